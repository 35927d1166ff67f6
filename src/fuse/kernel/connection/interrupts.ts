/**
 * Decides which callers that got a signal are interrupted: those that are about to die (fatal-signals.ts). All others wait
 * for the end of their call, as on a local disk.
 *
 * The kernel reports only the first signal of a request. So a caller that got one is checked repeatedly until its call ends.
 */
import type { RequestCaller } from './caller.js';
import { isDying, isKilled } from './fatal-signals.js';

/** How often callers that got a signal are checked, ms: a killed caller must be gone within a second. */
const lookEveryMs = 200;

/** The two checks of a thread, by its id; replaced in tests. */
export interface Looks {
  readonly isDying: (tid: number) => boolean;
  readonly isKilled: (tid: number) => boolean;
}

export class Interrupts {
  readonly #pending: ReadonlyMap<number, RequestCaller>;
  readonly #looks: Looks;
  /** Callers that got a signal and whose call continues. */
  readonly #watched = new Set<RequestCaller>();
  #timer: NodeJS.Timeout | undefined;

  /** `pending`: the callers whose requests are not answered yet, by `unique`. */
  constructor(pending: ReadonlyMap<number, RequestCaller>, looks: Looks = { isDying, isKilled }) {
    this.#pending = pending;
    this.#looks = looks;
  }

  /** Handles FUSE_INTERRUPT: the caller of request `unique` got a signal. Does nothing if the request is answered already. */
  signalled(unique: number): void {
    const caller = this.#pending.get(unique);
    if (caller === undefined || caller.interrupted) return;
    if (this.#looks.isDying(caller.pid)) caller.interrupt();
    else this.#watch(caller);
  }

  /** Interrupts a waiting request if a signal has killed its caller: a killed program still closes its files. */
  waits(caller: RequestCaller): void {
    if (this.#looks.isKilled(caller.pid)) caller.interrupt();
  }

  /** Stops all checks, because the mount is gone. */
  close(): void {
    this.#watched.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #watch(caller: RequestCaller): void {
    this.#watched.add(caller);
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref();
  }

  #look(): void {
    for (const caller of this.#watched) {
      const isOver = this.#pending.get(caller.unique) !== caller;
      if (!isOver && !this.#looks.isDying(caller.pid)) continue;
      this.#watched.delete(caller);
      if (!isOver) caller.interrupt();
    }
    if (this.#watched.size === 0) this.close();
  }
}
