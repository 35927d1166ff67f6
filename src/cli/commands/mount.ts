import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { codeOf, messageOf, SyncmountError, UsageError } from '../../base/errors.js';
import { programFile } from '../../base/installation.js';
import { makeDirectory } from '../../base/make-directory.js';
import { requireAccountName } from '../../config/accounts.js';
import { readConfigFile } from '../../config/config-file.js';
import { tellUnmet } from '../../config/foreign-options.js';
import {
  parseDashO,
  quoteDashO,
  type RawOptions,
  resolveOptions,
  splitDashO,
  toRaw,
} from '../../config/option-texts.js';
import { callerOptionSpecs, type MountOptions, optionSpecs } from '../../config/options.js';
import { mountAt } from '../../fuse/mount-table.js';
import { automountType } from '../../mount/session/mountpoint.js';
import { type Context, createContext, mountpointOf } from '../context.js';
import { complain, outliveOutput, print } from '../terminal/output.js';
import { endOnSignal } from '../terminal/signals.js';
import { becomeCaller } from './caller.js';

/** Messages from the process in the background to the command that started it. */
type ChildMessage =
  | { readonly ready: true; readonly warnings: readonly string[] }
  | { readonly waiting: string }
  | { readonly failed: string; readonly code: string };

/** After this long without an answer, a user at the terminal is told the reason, ms. */
const SILENCE = 2000;

/** Set in the environment of the process in the background. */
const CHILD_MARK = 'SYNCMOUNT_BACKGROUND';

type Flags = Readonly<Record<string, unknown>> & {
  readonly o: readonly string[];
  readonly foreground?: boolean;
  /** The directory with a folder for each account. */
  readonly all?: string;
};

export async function mountCommand(
  asked: Context,
  source: string | undefined,
  target: string | undefined,
  flags: Flags,
): Promise<void> {
  const typed = [parseDashO(flags.o), fromFlags(flags)];
  warn(tellUnmet(flags.o.flatMap(splitDashO)));
  if (flags.all !== undefined) {
    if (source !== undefined) throw new UsageError(`'${source}' is not expected: --all mounts every account`);
    if (flags.foreground) throw new UsageError('--all mounts in the background');
    const context = contextOf(asked, typed);
    const { mountAll } = await import('./all-accounts.js');
    const one = (name: string, mountpoint: string) => mountOne(context, `${name}:`, mountpoint, typed, false);
    return await mountAll(context, flags.all, one);
  }
  if (source === undefined) throw new UsageError("missing required argument 'account:path'");
  // Checked before anything else, because it is the likelier mistake.
  parseSource(source);
  if (target === undefined) throw new UsageError("missing required argument 'mountpoint'");
  await mountOne(contextOf(asked, typed), source, target, typed, flags.foreground === true);
}

async function mountOne(
  context: Context,
  source: string,
  target: string,
  typed: readonly RawOptions[],
  isForeground: boolean,
): Promise<void> {
  const { account, path } = parseSource(source);
  const config = readConfigFile(context.places, account, context.accounts.names());
  if (process.env[CHILD_MARK] !== '1') warn(config.warnings);
  const sources = [...config.options, ...typed];
  const options = resolveOptions(...sources);
  const mountpoint = mountpointOf(target);
  // Checked before anything is started.
  context.accounts.load(account);
  if (isForeground) return await foreground(context, { account, path, mountpoint, options });
  await background(context, source, mountpoint, toRaw(sources), options, account);
}

/** Returns the context of the user and the config directory that the options name. From then on this process runs as that user. */
function contextOf(asked: Context, typed: readonly RawOptions[]): Context {
  const given = (name: string): string | undefined =>
    typed.map((source) => source.get(name)).findLast((value) => value !== undefined);
  const caller = { user: given('user'), config: given('config') };
  if (caller.user === undefined && caller.config === undefined) return asked;
  becomeCaller(caller);
  return createContext(process.env);
}

/** `NAME:` or `NAME:/PATH`. */
function parseSource(source: string): { account: string; path: string } {
  const colon = source.indexOf(':');
  if (colon < 0) throw new UsageError(`'${source}' is not NAME: or NAME:/PATH (is the colon missing?)`);
  return { account: requireAccountName(source.slice(0, colon)), path: source.slice(colon + 1) };
}

function fromFlags(flags: Flags): RawOptions {
  const raw = new Map<string, string>();
  for (const { name } of [...optionSpecs, ...callerOptionSpecs]) {
    const value = flags[name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
    if (value !== undefined) raw.set(name, [value].flat().join('\n'));
  }
  return raw;
}

interface Foreground {
  readonly account: string;
  readonly path: string;
  readonly mountpoint: string;
  readonly options: MountOptions;
}

async function foreground(context: Context, { account, path, mountpoint, options }: Foreground): Promise<void> {
  const isChild = process.env[CHILD_MARK] === '1';
  outliveOutput();
  // Loaded here, because the command that only starts this process needs none of it.
  const [{ MountSession }, { createLogger }, { serviceManagerOf }] = await Promise.all([
    import('../../mount/session/mount-session.js'),
    import('../../mount/logging/logger.js'),
    import('../../mount/control/service-manager.js'),
  ]);
  const rotation = { maxSize: options.logMaxSize, keep: options.logKeep, maxAge: options.logMaxAge };
  const logFile = createLogger(options.logLevel, options.logFile, rotation);
  const { log } = logFile;
  // A bug in one call must not end the mount for all programs that use it.
  process.on('unhandledRejection', (error) => log.error({ error }, 'unhandled'));
  const silence = breakSilence();
  // A mount in the background is no service. Its messages go to the command that has started it.
  const manager = isChild
    ? null
    : serviceManagerOf(process.env, (reason) => log.warn({ reason }, 'systemd cannot be told how the mount is'));
  const waitsFor = (waiting: string): void => {
    if (isChild) process.send?.({ waiting } satisfies ChildMessage);
    else silence.waitsFor(waiting);
    manager?.waitsFor(waiting);
  };
  // If the process died between the kernel's mount and the end of `start`, nobody would answer the mountpoint.
  let early = 0;
  let stop = (): void => {
    early++;
  };
  try {
    const session = await MountSession.start({
      ...context,
      account,
      path,
      mountpoint,
      options,
      log,
      logFile: options.logFile,
      setLogLevel: (level) => {
        log.level = level;
      },
      onWaiting: waitsFor,
      onMounting: () => answerSignals(() => stop(), logFile.reopen, isChild),
    }).finally(silence.end);
    const { stopTimeout } = options;
    const onStopping = (): void => manager?.stopping();
    stop = endOnSignal(session, {
      log,
      stopTimeout,
      isUnattended: isChild || stopTimeout !== null,
      onStopping,
      complain,
    });
    for (; early > 0; early--) stop();
    await manager?.ready(() => session.status());
    if (isChild) tell({ ready: true, warnings: session.warnings });
    else if (manager === null) {
      warn(session.warnings);
      print(`${account}:${path} is mounted on ${mountpoint}. Ctrl-C unmounts it.`);
    }
    await session.ended;
    // libfuse's thread may still run; everything is closed, so nothing can be lost.
    process.exit(0);
  } catch (error) {
    log.error({ error }, 'mount failed');
    if (!isChild) throw error;
    tell({ failed: messageOf(error), code: codeOf(error) ?? 'error' });
    process.exit(1);
  }
}

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) complain(`warning: ${warning}`);
}

function tell(message: ChildMessage): void {
  process.send?.(message);
  process.disconnect?.();
}

/**
 * SIGINT and SIGTERM end the mount (signals.ts). SIGHUP reopens the log, as logrotate(8) needs it. A mount in the foreground of a terminal
 * ends with that terminal.
 */
function answerSignals(end: () => void, reopen: () => void, isChild: boolean): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  process.on('SIGHUP', !isChild && process.stdin.isTTY ? end : reopen);
}

/** Starts the mount in a process of its own and waits until it answers. */
async function background(
  context: Context,
  source: string,
  mountpoint: string,
  raw: Record<string, string>,
  options: MountOptions,
  account: string,
): Promise<void> {
  const logFile = resolve(options.logFile ?? join(context.places.state, 'log', `${account}.log`));
  const args = Object.entries({ ...raw, 'log-file': logFile }).flatMap(([name, value]) => [
    '-o',
    `${name}=${quoteDashO(value)}`,
  ]);
  // Until an automount point is mounted on, it blocks all processes outside of systemd's process group. A command that systemd starts is in
  // that group, so the child stays in it too.
  const isAutomount = (await mountAt(mountpoint))?.type === automountType;
  const errors = openLog(logFile);
  const child = spawn(process.execPath, [programFile, 'mount', source, mountpoint, '--foreground', ...args], {
    cwd: '/',
    detached: !isAutomount,
    // The last output of a crashing runtime belongs in the log.
    stdio: ['ignore', 'ignore', errors, 'ipc'],
    // Many files are read, written and synced at the same time. With four threads, Node's default, they would queue.
    env: { UV_THREADPOOL_SIZE: '16', ...process.env, [CHILD_MARK]: '1' },
  });
  closeSync(errors);
  const silence = breakSilence();
  await new Promise<void>((ready, failed) => {
    child.on('message', (message: ChildMessage) => {
      if ('waiting' in message) silence.waitsFor(message.waiting);
      else if ('ready' in message) {
        warn(message.warnings);
        ready();
      } else failed(new SyncmountError(message.code, message.failed));
    });
    child.on('error', failed);
    child.on('exit', (code, signal) =>
      failed(new SyncmountError('died', `the mount ended before it was ready (${signal ?? code}); see ${logFile}`)),
    );
    // Ctrl-C during the start cancels the mount.
    process.once('SIGINT', () => child.kill('SIGTERM'));
  }).finally(silence.end);
  child.unref();
  child.disconnect();
}

/** Tells a user at a terminal what the start waits for, whenever a step takes long. */
function breakSilence(): { waitsFor(what: string): void; end(): void } {
  let awaited = 'the mount to start';
  let timer: NodeJS.Timeout | null = null;
  const tellLater = (): void => {
    if (!process.stderr.isTTY) return;
    timer ??= setTimeout(() => {
      timer = null;
      complain(`waiting for ${awaited}; Ctrl-C ends it`);
    }, SILENCE);
  };
  tellLater();
  return {
    waitsFor: (what) => {
      awaited = what;
      tellLater();
    },
    end: () => clearTimeout(timer ?? undefined),
  };
}

function openLog(path: string): number {
  try {
    makeDirectory(dirname(path));
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw new SyncmountError('log-file', `cannot write the log file ${path}: ${messageOf(error)}`, { cause: error });
  }
}
