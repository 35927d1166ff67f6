/**
 * Tells systemd the state of a mount in the foreground: sd_notify(3), with a watchdog. It is for a unit of `Type=notify`; without
 * `NOTIFY_SOCKET` in the environment nobody listens.
 */
import { codeOf } from '../../base/errors.js';
import { formatSize } from '../../config/units.js';
import { type Addon, errnoName, loadAddon } from '../../fuse/kernel/addon.js';
import type { MountStatus } from './status.js';

/** Sends one message. Throws if it cannot be sent. */
export type SendMessage = (message: string) => void;

/** How often the line of `systemctl status` is renewed, ms: often enough to show progress. */
const STATUS_INTERVAL_MS = 2000;

export class ServiceManager {
  readonly #send: SendMessage;
  readonly #watchdogMs: number | null;
  readonly #timers: NodeJS.Timeout[] = [];
  #shown = '';
  /** A status is being gathered: with very many pending contents that takes longer than the interval. */
  #isRenewing = false;

  constructor(send: SendMessage, watchdogMs: number | null) {
    this.#send = send;
    this.#watchdogMs = watchdogMs;
  }

  /** The subject that the start waits for. */
  waitsFor(what: string): void {
    this.#show(`waiting for ${what}`);
  }

  /** The mountpoint answers. From now on the event loop reports that it is alive, and the state of the mount. */
  async ready(status: () => Promise<MountStatus>): Promise<void> {
    const shown = statusLine(await status());
    this.#shown = shown;
    this.#send(`READY=1\nSTATUS=${shown}`);
    this.#timers.push(setInterval(() => void this.#renew(status), STATUS_INTERVAL_MS));
    // Half of the interval, as sd_watchdog_enabled(3) recommends, so that one report may be late.
    if (this.#watchdogMs !== null) this.#timers.push(setInterval(() => this.#send('WATCHDOG=1'), this.#watchdogMs / 2));
    for (const timer of this.#timers) timer.unref();
  }

  /** The mount is about to end. The watchdog goes on until the process does. */
  stopping(): void {
    this.#send('STOPPING=1');
  }

  async #renew(status: () => Promise<MountStatus>): Promise<void> {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    try {
      this.#show(statusLine(await status()));
    } catch {
      // The account is closed already: the process is about to end.
    } finally {
      this.#isRenewing = false;
    }
  }

  #show(line: string): void {
    if (line === this.#shown) return;
    this.#shown = line;
    this.#send(`STATUS=${line}`);
  }
}

/**
 * The service manager that has started this process; null: none. Removes its variables from the environment, so that no child process
 * reports for us. `onFailure` gets the reason why a message was not sent.
 */
export function serviceManagerOf(env: NodeJS.ProcessEnv, onFailure: (reason: string) => void): ServiceManager | null {
  const socket = env.NOTIFY_SOCKET;
  const watchdogMs = watchdogOf(env, process.pid);
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  if (socket === undefined || !/^[/@]/.test(socket)) return null;
  const sendDatagram = loadSendDatagram();
  if (sendDatagram === undefined) {
    onFailure('the addon is not built, or was built before it could: npm run build:addon');
    return null;
  }
  const send: SendMessage = (message) => {
    const result = sendDatagram(socket, message);
    if (result !== 0) onFailure(errnoName(result));
  };
  return new ServiceManager(send, watchdogMs);
}

function loadSendDatagram(): Addon['sendDatagram'] {
  try {
    return loadAddon().sendDatagram;
  } catch (error) {
    if (codeOf(error) === 'fuse-missing') return undefined;
    throw error;
  }
}

/** How long the watchdog waits for a report of this process, ms; null: there is none, or it is for another process. */
export function watchdogOf({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv, pid: number): number | null {
  const microseconds = Number(WATCHDOG_USEC);
  if (!Number.isSafeInteger(microseconds) || microseconds <= 0) return null;
  return WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === pid ? microseconds / 1000 : null;
}

/** One line for users about contents that are not stored yet. */
export function statusLine({ pending, failed, login, metadata, outage }: MountStatus): string {
  const files = (count: number): string => `${count} ${count === 1 ? 'file' : 'files'}`;
  const left = pending.reduce((sum, { size, sent }) => sum + Math.max(0, size - sent), 0);
  const parts = [
    ...(pending.length === 0 ? [] : [`${files(pending.length)} to upload, ${formatSize(left)} left`]),
    ...(failed.length === 0 ? [] : [`${files(failed.length)} failed to upload: see syncmount status`]),
    ...((metadata?.pending ?? 0) === 0 ? [] : [`${metadata?.pending} changes of metadata to store`]),
    ...(login === undefined ? [] : [`the login was refused: ${login}`]),
  ];
  const offline = outage === undefined ? [] : [`the service does not answer (${outage.error})`];
  return [...offline, ...(parts.length === 0 ? ['everything is stored'] : parts)].join('; ');
}
