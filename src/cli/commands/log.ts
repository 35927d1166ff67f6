/** `syncmount log`: prints the log of a mount. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.js';
import { codeOf, SyncmountError, UsageError } from '../../base/errors.js';
import { readConfigFile } from '../../config/config-file.js';
import { resolveOptions } from '../../config/option-texts.js';
import { parseDuration } from '../../config/units.js';
import { type LogFilter, logLevels, parseRecord, passes, textOfRecord } from '../../mount/logging/log-records.js';
import { readLog } from '../../mount/logging/read-log.js';
import { type Context, mountNamed } from '../context.js';
import { print } from '../terminal/output.js';

interface LogOptions {
  readonly follow?: boolean;
  readonly lines?: string;
  readonly level?: string;
  readonly since?: string;
  readonly json?: boolean;
}

/** The number of lines that --follow prints before the new ones, as in tail(1). */
const FOLLOWED_LINES = 10;

export async function logCommand(context: Context, target: string | undefined, options: LogOptions): Promise<void> {
  const { follow = false, json = false } = options;
  const filter: LogFilter = { level: levelOf(options.level), since: sinceOf(options.since) };
  const lines = linesOf(options.lines) ?? (follow ? FOLLOWED_LINES : Number.POSITIVE_INFINITY);
  const path = logOf(context, target);
  /** Only this many of the last lines. */
  let before: string[] | null = [];
  const flush = (): void => {
    for (const line of before ?? []) print(line);
    before = null;
  };
  for await (const shown of shownLines(path, filter, follow, json)) {
    if (shown === null) flush();
    else if (before === null || lines === Number.POSITIVE_INFINITY) print(shown);
    else if (before.push(shown) > lines) before.shift();
  }
  flush();
}

async function* shownLines(
  path: string,
  filter: LogFilter,
  follow: boolean,
  json: boolean,
): AsyncGenerator<string | null> {
  // A line that the logger did not write (the last output of a crashing runtime) belongs to the one before it.
  let isShown = filter.since === undefined && filter.level === undefined;
  try {
    for await (const line of readLog(path, systemClock, follow)) {
      if (line === null) yield null;
      else {
        const record = parseRecord(line);
        if (record !== null) isShown = passes(record, filter);
        if (isShown) yield json || record === null ? line : textOfRecord(record);
      }
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new SyncmountError('no-log', `there is no log ${path} yet`, { cause: error });
    throw error;
  }
}

/** The log file of the named mount, which may have ended. Throws `no-log`, and `UsageError` if it is not clear which mount is meant. */
function logOf(context: Context, target: string | undefined): string {
  const { registry, accounts } = context;
  if (target === undefined) {
    const running = registry.all();
    const names =
      running.length > 0
        ? running.map(({ account }) => account)
        : accounts.names().filter((name) => hasLog(context, name));
    const [only, ...others] = names;
    if (only === undefined) throw new SyncmountError('no-log', 'nothing is mounted, and no account has a log');
    if (others.length > 0)
      throw new UsageError(`there are several logs; name one of ${names.map((name) => `${name}:`).join(', ')}`);
    return logOf(context, `${only}:`);
  }
  const account = /^([A-Za-z0-9][\w.-]*):$/.exec(target)?.[1];
  const entry =
    account === undefined ? mountNamed(context, target).entry : registry.all().find((one) => one.account === account);
  if (entry !== undefined) {
    if (entry.log !== null) return entry.log;
    const journal = `journalctl ${process.getuid?.() === 0 ? '' : '--user '}-u syncmount@${entry.account}`;
    throw new SyncmountError(
      'no-log',
      `the mount on ${entry.mountpoint} runs in the foreground, and logs to where it was started; for a service: ${journal}`,
    );
  }
  if (account !== undefined) {
    // An account that was logged out may still have a log. Without one, an unknown name is misspelt.
    if (!hasLog(context, account)) accounts.load(account);
    return logOfAccount(context, account);
  }
  const { mountpoint } = mountNamed(context, target);
  const found = accounts
    .names()
    .map((name) => logOfAccount(context, name))
    .filter((path) => mentions(path, mountpoint))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (found === undefined)
    throw new SyncmountError(
      'no-log',
      `${mountpoint} is not mounted, and no log tells of it; an account is named as NAME:`,
    );
  return found;
}

/** The log file of a mount in the background without --log-file on its command line. */
function logOfAccount({ places, accounts }: Context, account: string): string {
  const { options } = readConfigFile(places, account, accounts.names());
  return resolveOptions(...options).logFile ?? join(places.state, 'log', `${account}.log`);
}

function hasLog(context: Context, account: string): boolean {
  return statSync(logOfAccount(context, account), { throwIfNoEntry: false }) !== undefined;
}

/** Whether the log tells of a mount there. */
function mentions(path: string, mountpoint: string): boolean {
  try {
    return readFileSync(path, 'utf8').includes(`"mountpoint":${JSON.stringify(mountpoint)}`);
  } catch {
    // No log.
    return false;
  }
}

function levelOf(text: string | undefined): LogFilter['level'] {
  if (text === undefined) return undefined;
  const level = logLevels.find((known) => known === text);
  if (level === undefined) throw new UsageError(`'${text}' is none of ${logLevels.join(', ')}`);
  return level;
}

/** `1h`: that long ago. Otherwise a date in local time, such as `2026-11-29 08:00`. */
function sinceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+(\.\d+)?(ms|[smhd])$/i.test(text)) return Date.now() - parseDuration(text);
  // JavaScript reads a date alone as UTC.
  const date = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text);
  if (Number.isNaN(date))
    throw new UsageError(`'${text}' is neither a time ago (such as 1h) nor a date (2026-11-29 08:00)`);
  return date;
}

function linesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError(`'${text}' is not a number of lines`);
  return Number(text);
}
