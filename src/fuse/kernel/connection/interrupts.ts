/**
 * Decides which callers that got a signal are interrupted: those that are about to die (fatal-signals.ts). All others wait
 * for the end of their call, as on a local disk.
 *
 * The kernel reports only the first signal of a request. So a caller that got one is checked repeatedly until its call ends.
 * If a program is killed before it closes its files, the kernel reports nothing. So the caller of a long close is checked once.
 */
import type { RequestCaller } from './caller.js';
import { isDying, isKilled } from './fatal-signals.js';

/** How often callers are checked, ms: a killed caller must be gone within a second. A check reads files of /proc, which takes 0.1 ms. */
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
  /** Callers of closes that began after the last check. */
  #closing: RequestCaller[] = [];
  /** Threads that were found killed. They close one file after the other, and must not wait for a check at each. */
  readonly #killed = new Set<number>();
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

  /** A close waits. If a signal has killed its caller (a killed program still closes its files), the next check interrupts it. */
  waits(caller: RequestCaller): void {
    if (this.#killed.has(caller.pid) && this.#looks.isKilled(caller.pid)) {
      caller.interrupt();
      return;
    }
    this.#closing.push(caller);
    this.#start();
  }

  /** Stops all checks, because the mount is gone. */
  close(): void {
    this.#watched.clear();
    this.#closing = [];
    this.#killed.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #watch(caller: RequestCaller): void {
    this.#watched.add(caller);
    this.#start();
  }

  #start(): void {
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref();
  }

  #look(): void {
    const closing = this.#closing;
    this.#closing = [];
    // The timer runs one turn longer than needed, because the next close may follow at once.
    if (closing.length === 0 && this.#watched.size === 0) {
      this.close();
      return;
    }
    for (const caller of closing) {
      if (this.#isOver(caller) || !this.#looks.isKilled(caller.pid)) continue;
      this.#killed.add(caller.pid);
      caller.interrupt();
    }
    for (const caller of this.#watched) {
      const isOver = this.#isOver(caller);
      if (!isOver && !this.#looks.isDying(caller.pid)) continue;
      this.#watched.delete(caller);
      if (!isOver) caller.interrupt();
    }
  }

  #isOver(caller: RequestCaller): boolean {
    return this.#pending.get(caller.unique) !== caller;
  }
}
