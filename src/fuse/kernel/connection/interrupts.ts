/**
 * Which of the callers that got a signal are let go: those who are about to die (dying.ts). All others wait for the end of
 * their call, as on a local disk.
 *
 * The kernel tells of the first signal of a request only. So a caller that got one is looked at until its call is over.
 */
import type { RequestCaller } from './caller.js';
import { isDying, isKilled } from './fatal-signals.js';

/** How often callers that got a signal are looked at, ms: one that is killed is to be gone within a second. */
const lookEveryMs = 200;

/** The two looks at a thread, by its id; replaced in tests. */
export interface Looks {
  readonly isDying: (tid: number) => boolean;
  readonly isKilled: (tid: number) => boolean;
}

export class Interrupts {
  readonly #pending: ReadonlyMap<number, RequestCaller>;
  readonly #looks: Looks;
  /** Callers that got a signal, and whose call goes on. */
  readonly #watched = new Set<RequestCaller>();
  #timer: NodeJS.Timeout | undefined;

  /** `pending`: the callers whose requests are not answered yet, by `unique`. */
  constructor(pending: ReadonlyMap<number, RequestCaller>, looks: Looks = { isDying, isKilled }) {
    this.#pending = pending;
    this.#looks = looks;
  }

  /** FUSE_INTERRUPT: the caller of request `unique` got a signal. Nothing happens where that is answered already. */
  signalled(unique: number): void {
    const caller = this.#pending.get(unique);
    if (caller === undefined || caller.interrupted) return;
    if (this.#looks.isDying(caller.pid)) caller.interrupt();
    else this.#watch(caller);
  }

  /** A request waits that a program may have sent while it dies: the last closes of one that was killed. */
  waits(caller: RequestCaller): void {
    if (this.#looks.isKilled(caller.pid)) caller.interrupt();
  }

  /** The mount is gone. */
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
