/**
 * A mount's life: open the account, mount, answer `status` and `umount`, drain, unmount, close.
 */
import type { Server } from 'node:net';
import { systemClock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import { requireSqlite } from '../../base/sqlite.js';
import type { AccountStore, StoredAccount } from '../../config/accounts.js';
import { limitAt } from '../../config/bandwidth-timetable.js';
import type { BaseDirectories } from '../../config/base-directories.js';
import { kernelFlags, type MountOptions } from '../../config/options.js';
import type { Mounted } from '../../fuse/binding.js';
import { Bandwidth } from '../../providers/http/transport/token-bucket.js';
import { DataThreads } from '../../threads/data-threads.js';
import { type ControlArguments, type ControlCommand, serveControl } from '../control/control.js';
import { LiveOptions } from '../control/live-options.js';
import { isEnding, type Registry, serverGone } from '../control/registry.js';
import type { DrainProgress, MountStatus, UploadStatus } from '../control/status.js';
import { type Metered, MountMeter } from '../metrics/meter.js';
import { chooseBinding } from './bindings.js';
import { answerCommand } from './commands.js';
import { gatherStatus } from './gather-status.js';
import { limitHeapGrowth } from './heap-growth.js';
import { prepareMountpoint } from './mountpoint.js';
import type { OpenAccount } from './open-account.js';
import { loginCommand, openSessionAccount } from './open-session-account.js';
import { probeOutages } from './outage-probe.js';
import { makeProvider, renewedProvider } from './provider-factory.js';
import { type MadeProvider, RenewingProvider } from './renewing-provider.js';
import { SessionEnd } from './session-end.js';

/** How long a start waits for the killed process of an earlier mount, ms. */
const ENDING_PATIENCE = 10_000;

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
  /** Called when the start begins to wait, with words that follow `waiting for`. */
  readonly onWaiting?: (what: string) => void;
  /** Called before there is a mount: a process that ends from now on has to unmount. */
  readonly onMounting?: () => void;
}

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
  readonly #end: SessionEnd;

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
    const { signal } = this.#probing;
    void probeOutages({
      ...{ clock: systemClock, signal },
      outageSince: () => provider.metrics().outage?.since ?? null,
      ask: () => provider.account({ priority: 'background', signal }),
    });
    const { mountpoint, registry, log } = options;
    this.#end = new SessionEnd({
      ...{ mountpoint, mounted, opened, provider, registry, log },
      readOnly: options.options.readOnly,
      stop: () => this.#stop(),
      stopAnswering: () => this.#stopAnswering(),
    });
    this.ended = this.#end.ended;
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
    const ending = registry
      .all()
      .filter((entry) => (entry.account === account || entry.mountpoint === mountpoint) && isEnding(entry));
    for (const { pid } of ending) options.onWaiting?.(`the process of an earlier mount to end (${pid})`);
    await prepareMountpoint(mountpoint, registry, log);
    // Until it ends, the old process holds the lock on the account.
    await Promise.all(ending.map((entry) => serverGone(entry, ENDING_PATIENCE)));
    const { binding, warnings } = await chooseBinding(options.options.binding, log);
    const renew = (current: string): MadeProvider | null => renewedProvider(current, options);
    const provider = new RenewingProvider(makeProvider(stored, options), renew, loginCommand(account, stored), log);
    options.onWaiting?.(`${stored.provider} to answer for the account '${account}'`);
    const meter = await MountMeter.start(options.options.metrics, bandwidth);
    const { places, path } = options;
    const asked = {
      ...{ name: account, stored, provider, places, options: options.options, path, log, threads },
      ...{ sharesPages: binding.sharesPages, warnings },
    };
    const opened = await openSessionAccount(asked).catch((error) => {
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
    const live = new LiveOptions(options.options, { bandwidth, uploader, setLogLevel, log }, systemClock);
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

  async #metered(): Promise<Metered> {
    return { status: await this.status(), outcomes: this.#provider.metrics().outcomes, mounted: this.#mounted };
  }

  /** Warnings for the user, a sentence each. */
  get warnings(): readonly string[] {
    return this.#opened.warnings;
  }

  status(): Promise<MountStatus> {
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

  /** As `SessionEnd.unmount`. */
  unmount(progress: (left: DrainProgress) => void): Promise<readonly UploadStatus[]> {
    return this.#end.unmount(progress);
  }

  /** As `SessionEnd.forceUnmount`. */
  forceUnmount(alive: () => void = () => undefined): Promise<readonly UploadStatus[]> {
    return this.#end.forceUnmount(alive);
  }

  #stop(): void {
    this.#probing.abort();
    this.#live.close();
    this.#meter.close();
  }

  async #stopAnswering(): Promise<void> {
    const server = this.#server;
    if (server !== null) await new Promise((resolve) => server.close(resolve));
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
        return this.forceUnmount(() => progress(null));
      case 'metrics':
        return this.#meter.families(await this.#metered());
      case 'set':
        return this.#live.set(args.values ?? {});
      default:
        if (command === 'pause-uploads' || command === 'resume-uploads')
          this.#options.log.info({}, command === 'pause-uploads' ? 'uploads are paused' : 'uploads go on');
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
}
