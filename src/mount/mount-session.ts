/**
 * A mount's life: open the account, mount, answer `status` and `umount`, drain, unmount, close.
 */
import type { Server } from 'node:net';
import { systemClock } from '../base/clock.js';
import { codeOf, messageOf, SyncmountError } from '../base/errors.js';
import { InUse } from '../base/in-use.js';
import type { Log } from '../base/log.js';
import { requireSqlite } from '../base/sqlite.js';
import type { AccountStore, StoredAccount } from '../config/accounts.js';
import { limitAt } from '../config/bandwidth-timetable.js';
import type { BaseDirectories } from '../config/base-directories.js';
import { kernelFlags, type MountOptions } from '../config/options.js';
import type { Binding, Mounted } from '../fuse/binding.js';
import { loadHoles } from '../fuse/holes.js';
import { ProviderError } from '../providers/errors.js';
import { Bandwidth } from '../providers/http/transport/token-bucket.js';
import { DataThreads } from '../threads/data-threads.js';
import { chooseBinding } from './bindings.js';
import { unlessBrieflyBusy } from './briefly-busy.js';
import { answerCommand } from './commands.js';
import { type ControlArguments, type ControlCommand, serveControl } from './control.js';
import { gatherStatus, isPending } from './gather-status.js';
import { limitHeapGrowth } from './heap-growth.js';
import { LiveOptions } from './live-options.js';
import { type Metered, MountMeter } from './metrics/meter.js';
import { prepareMountpoint } from './mountpoint.js';
import { type OpenAccount, openAccount } from './open-account.js';
import { probeOutages } from './outage-probe.js';
import { makeProvider, renewedProvider } from './provider-factory.js';
import type { Registry } from './registry.js';
import { type MadeProvider, RenewingProvider } from './renewing-provider.js';
import type { DrainProgress, MountStatus, UploadStatus } from './status.js';

export interface MountSessionOptions {
  readonly account: string;
  /** A folder within the account; '' for all of it. */
  readonly path: string;
  /** Absolute. */
  readonly mountpoint: string;
  readonly options: MountOptions;
  readonly places: BaseDirectories;
  readonly accounts: AccountStore;
  readonly registry: Registry;
  readonly log: Log;
  readonly logFile: string | null;
  readonly setLogLevel?: (level: MountOptions['logLevel']) => void;
  /** Called with the subject that the start waits for, in words that follow `waiting for`. */
  readonly onWaiting?: (what: string) => void;
  /** Called before there is a mount: a process that ends from now on has to unmount. */
  readonly onMounting?: () => void;
}

/** How often a drain reports its progress, ms: a progress bar looks alive, and a log is not flooded. */
const PROGRESS_INTERVAL_MS = 250;

/** How long the process waits at its end until a command has received its answer, ms. */
const ANSWER_TIMEOUT_MS = 2000;

export class MountSession {
  /** Resolves when the mount has ended and everything is closed. */
  readonly ended: Promise<void>;
  readonly #options: MountSessionOptions;
  readonly #stored: StoredAccount;
  readonly #provider: RenewingProvider;
  readonly #opened: OpenAccount;
  readonly #mounted: Mounted;
  readonly #binding: string;
  readonly #live: LiveOptions;
  readonly #meter: MountMeter;
  readonly #probing = new AbortController();
  #server: Server | null = null;
  #closing: Promise<void> | null = null;
  /** The session ends without a drain. */
  #isForced = false;
  #resolveEnded: () => void = () => {};

  private constructor(
    options: MountSessionOptions,
    stored: StoredAccount,
    provider: RenewingProvider,
    opened: OpenAccount,
    mounted: Mounted,
    binding: string,
    live: LiveOptions,
    meter: MountMeter,
  ) {
    this.#meter = meter;
    this.#live = live;
    this.#options = options;
    this.#stored = stored;
    this.#provider = provider;
    this.#opened = opened;
    this.#mounted = mounted;
    this.#binding = binding;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const { signal } = this.#probing;
    void probeOutages({
      ...{ clock: systemClock, signal },
      outageSince: () => provider.metrics().outage?.since ?? null,
      ask: () => provider.account({ priority: 'background', signal }),
    });
    // A person may have run umount(8): waiting contents are uploaded before the process ends.
    void mounted.ended.then(() => this.#close(!this.#isForced));
  }

  /** Resolves when the mountpoint answers. A failure before that leaves nothing behind. */
  static async start(given: MountSessionOptions): Promise<MountSession> {
    limitHeapGrowth();
    const bandwidth = new Bandwidth();
    bandwidth.set(limitAt(given.options.bwlimit.timetable, new Date()).limit);
    const threads = new DataThreads(bandwidth);
    const options = { ...given, bulk: threads.bulk, bandwidth };
    const { account, mountpoint, registry, log, accounts, setLogLevel } = options;
    const stored = accounts.load(account);
    requireSqlite();
    await prepareMountpoint(mountpoint, registry, log);
    const binding = await chooseBinding(options.options.binding, log);
    const renew = (current: string): MadeProvider | null => renewedProvider(current, options);
    const provider = new RenewingProvider(makeProvider(stored, options), renew, loginCommand(account, stored), log);
    options.onWaiting?.(`${stored.provider} to answer for the account '${account}'`);
    const meter = await MountMeter.start(options.options.metrics, bandwidth);
    const opened = await openSessionAccount(provider, stored, options, binding, threads).catch((error) => {
      meter.close();
      throw error;
    });
    options.onWaiting?.(`the kernel to mount ${mountpoint}`);
    options.onMounting?.();
    const mount = {
      mountpoint,
      source: `${account}:${options.path}`,
      readOnly: options.options.readOnly,
      flags: kernelFlags.filter((flag) => options.options[flag]),
      allowOther: options.options.allowOther,
      log,
    };
    const mounted = await binding.mount(opened.filesystem.withTrash(), mount).catch(async (error) => {
      meter.close();
      await opened.close();
      throw error;
    });
    const { uploader } = opened.filesystem;
    const live = new LiveOptions(options.options, { bandwidth, uploader, setLogLevel }, systemClock);
    const session = new MountSession(options, stored, provider, opened, mounted, binding.name, live, meter);
    try {
      await session.#listen();
      meter.ready(() => session.#metered());
      log.info({ account, mountpoint, binding: binding.name }, 'mounted');
      for (const warning of opened.warnings) log.warn({ account }, warning);
      opened.cache.counting.begin();
      return session;
    } catch (error) {
      meter.close();
      await session.forceUnmount();
      throw error;
    }
  }

  #metered(): Metered {
    return { status: this.status(), outcomes: this.#provider.metrics().outcomes, mounted: this.#mounted };
  }

  /** Warnings for the user, a sentence each. */
  get warnings(): readonly string[] {
    return this.#opened.warnings;
  }

  status(): MountStatus {
    const { account, mountpoint, options } = this.#options;
    const { provider } = this.#stored;
    return gatherStatus({
      mount: { mountpoint, account, provider, binding: this.#binding },
      options,
      provider: this.#provider,
      opened: this.#opened,
      live: this.#live,
      login: loginCommand(account, this.#stored),
    });
  }

  /**
   * Finishes the pending uploads, then unmounts; answers the uploads that failed, whose contents stay in the spool.
   * Rejects with `busy`, changing nothing, while a file is open for writing or the mountpoint is in use.
   */
  unmount(progress: (left: DrainProgress) => void): Promise<readonly UploadStatus[]> {
    return this.#unmounting.during(async () => {
      this.#requireIdle();
      await this.#drain(progress);
      this.#requireIdle();
      await unlessBrieflyBusy(() => this.#mounted.unmount(), systemClock);
      await this.#close(true);
      return this.#left;
    });
  }

  /** Unmounts even while files are open. Pending contents wait in the spool for the next mount. */
  forceUnmount(): Promise<readonly UploadStatus[]> {
    this.#isForced = true;
    return this.#unmounting.during(async () => {
      await this.#mounted.detach();
      // A drain that is under way ends now.
      if (this.#closing !== null && !this.#isDrained) {
        this.#interrupting = this.#opened.filesystem.uploader.interrupt();
        await this.#interrupting;
      }
      await this.#close(false);
      return this.#left;
    });
  }

  /**
   * Unmount commands under way. The kernel removes the mount first and drops its caches later, which takes a while for a
   * million names. Until then these commands have no answer, although the session may be closed already.
   */
  readonly #unmounting = new InUse();

  /** The interruption of uploads under way. The account stays open until it has finished. */
  #interrupting: Promise<void> | null = null;
  /** The drain is over and the account is being closed: there are no uploads left to interrupt. */
  #isDrained = false;

  /** The uploads that were not finished when the account was closed. */
  #left: readonly UploadStatus[] = [];

  #uploads(): UploadStatus[] {
    const { filesystem } = this.#opened;
    return filesystem.uploader.pending(filesystem.root);
  }

  #requireIdle(): void {
    const writers = this.#opened.filesystem.writers();
    if (writers.length === 0) return;
    const more = writers.length > 3 ? ` and ${writers.length - 3} more` : '';
    throw new SyncmountError(
      'busy',
      `${this.#options.mountpoint} is busy: ${writers.slice(0, 3).join(', ')}${more} open for writing`,
    );
  }

  async #drain(progress: (left: DrainProgress) => void): Promise<void> {
    let metadata = 0;
    const tell = (): void => {
      const pending = this.#uploads().filter(isPending);
      const { outage } = this.#provider.metrics();
      progress({
        files: pending.length,
        bytes: pending.reduce((sum, { size, sent }) => sum + size - Math.min(size, sent), 0),
        ...(metadata > 0 && { metadata }),
        ...(outage !== null && { outage: outage.error }),
      });
    };
    tell();
    const timer = setInterval(tell, PROGRESS_INTERVAL_MS);
    try {
      await this.#opened.filesystem.uploader.drain();
      metadata = this.#opened.metadata()?.pending ?? 0;
      tell();
      if (metadata > 0) await this.#storeMetadata();
    } finally {
      clearInterval(timer);
    }
    metadata = 0;
    tell();
  }

  /** What cannot be written now waits for the next mount, and `#left` says so. */
  async #storeMetadata(): Promise<void> {
    await this.#opened.storeMetadata().catch((error) => {
      this.#options.log.warn({ code: codeOf(error) }, `the metadata waits for the next mount: ${messageOf(error)}`);
    });
  }

  /** The metadata that is not in the account, as an upload that has failed. */
  #leftMetadata(): UploadStatus[] {
    const { pending, error } = this.#opened.metadata() ?? { pending: 0, error: undefined };
    if (pending === 0 || this.#options.options.readOnly) return [];
    const path = `metadata of the account (${pending} changes)`;
    return [{ path, size: 0, sent: 0, state: 'failed', ...(error === undefined ? {} : { error }) }];
  }

  async #listen(): Promise<void> {
    const { registry, mountpoint, account, logFile } = this.#options;
    const socket = registry.socketPath(mountpoint);
    this.#server = await serveControl(socket, (...asked) => this.#answer(...asked));
    registry.put({
      mountpoint,
      account,
      provider: this.#stored.provider,
      socket,
      log: logFile,
    });
  }

  async #answer(
    command: ControlCommand,
    args: ControlArguments,
    progress: (what: unknown) => void,
    given: AbortSignal,
  ): Promise<unknown> {
    switch (command) {
      case 'status':
        return this.status();
      case 'unmount':
        return this.unmount(progress);
      case 'unmount-force':
        return this.forceUnmount();
      case 'metrics':
        return this.#meter.families(this.#metered());
      case 'set':
        return this.#live.set(args.values ?? {});
      default:
        return answerCommand(
          { provider: this.#provider, clock: systemClock },
          this.#opened.filesystem,
          command,
          args,
          progress,
          given,
        );
    }
  }

  #close(drain: boolean): Promise<void> {
    this.#closing ??= this.#closeOnce(drain).finally(() => void this.#endWhenAnswered());
    return this.#closing;
  }

  /** Ends the session, once the command that asked for the end has its answer. */
  async #endWhenAnswered(): Promise<void> {
    await this.#unmounting.idle();
    if (this.#server === null) this.#resolveEnded();
    else this.#server.close(() => this.#resolveEnded());
    setTimeout(this.#resolveEnded, ANSWER_TIMEOUT_MS).unref();
  }

  async #closeOnce(drain: boolean): Promise<void> {
    const { registry, mountpoint, log } = this.#options;
    if (drain) await this.#drain(() => undefined).then(() => this.#opened.filesystem.disposeAside());
    else await this.#opened.filesystem.uploader.interrupt();
    await this.#interrupting;
    this.#isDrained = true;
    // What is excluded waits for nothing.
    const left = this.#uploads().filter(({ state }) => state !== 'excluded');
    this.#left = [...left, ...this.#leftMetadata()];
    this.#probing.abort();
    this.#live.close();
    this.#meter.close();
    await this.#opened.close();
    registry.remove(mountpoint);
    log.info({ mountpoint, left: this.#left.length }, 'unmounted');
  }
}

/** The login command that replaces refused credentials. */
function loginCommand(name: string, stored: StoredAccount): string {
  return `syncmount login ${name} --provider ${stored.provider}`;
}

/** Opens the account. Errors name the provider and the account; for refused credentials also the login command. */
async function openSessionAccount(
  provider: RenewingProvider,
  stored: StoredAccount,
  options: MountSessionOptions,
  { sharesPages }: Binding,
  threads: DataThreads,
): Promise<OpenAccount> {
  const { account, places, log, path } = options;
  try {
    return await openAccount({
      name: account,
      stored,
      provider,
      places,
      options: options.options,
      path,
      log,
      threads,
      sharesPages,
      ...loadHoles(),
    });
  } catch (error) {
    await provider.close();
    if (!(error instanceof ProviderError)) throw error;
    const { code } = error;
    const text =
      code === 'auth'
        ? `${stored.provider} refuses the credentials of '${account}' (${messageOf(error)}); run '${loginCommand(account, stored)}'`
        : `${stored.provider} cannot be asked for the account '${account}' (${messageOf(error)})`;
    throw new SyncmountError(code, text, { cause: error });
  }
}
