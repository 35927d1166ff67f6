/**
 * One deadline a system call. What a call asks of the provider one thing after the other shares it; and where the kernel makes
 * several requests of one read(2), the later ones do not wait anew for a provider that has just not answered.
 */
import type { Clock } from '../../base/clock.js';
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.js';
import type { Caller } from '../api.js';

/** After a read that nobody answered, those that come within this time, ms, get the same error: the kernel's come at once. */
const SAME_CALL_MS = 1000;
/** A failure that took less, ms, costs nobody anything again. */
const SLOW_MS = 1000;

/** What is needed of a mount to measure a call. */
interface Timing {
  readonly clock: Clock;
  readonly options: {
    /** How long a call waits for the provider, ms. */
    readonly deadline: number;
  };
}

const unavailable: ReadonlySet<string> = new Set<ProviderErrorCode>(['timeout', 'network', 'server', 'rate-limited']);

/** Nobody knows what the provider would have said. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof ProviderError && unavailable.has(error.code);
}

/** The caller of a call that comes now. */
export function withDeadline(core: Timing, caller: Caller | undefined): Caller {
  return withDeadlineAt(core.clock.now() + core.options.deadline, caller);
}

/** What a call has spent on a content since `since`, ms, is not counted: it has as long as bytes move. */
export function extendDeadline(core: Pick<Timing, 'clock'>, caller: Caller | undefined, since: number): void {
  if (caller?.deadline !== undefined) caller.deadline += Math.max(0, core.clock.now() - since);
}

/** Is the time of the call over, as far as anything could still be asked? */
export function isPastDeadline(core: Pick<Timing, 'clock'>, caller: Caller | undefined): boolean {
  return caller?.deadline !== undefined && core.clock.now() >= caller.deadline;
}

function withDeadlineAt(deadline: number, caller: Caller | undefined): Caller {
  if (caller === undefined) return { deadline };
  caller.deadline = deadline;
  return caller;
}

/**
 * The kernel looks up the names of a path before it makes, removes or renames what the last one stands for: several requests of
 * one call. The last one has what a look-up that took long has left of the deadline.
 */
export class LookupDeadlines {
  readonly #core: Timing;
  /** By thread: the last that took long. */
  readonly #slow = new Map<number, { readonly deadline: number; at: number }>();

  constructor(core: Timing) {
    this.#core = core;
  }

  /** One that was answered at once. */
  answered(pid: number | undefined): void {
    if (this.#slow.size === 0 || pid === undefined) return;
    const before = this.#slow.get(pid);
    if (before !== undefined && this.#isSameCall(before)) before.at = this.#core.clock.now();
  }

  async measure<T>(pid: number | undefined, look: Promise<T>): Promise<T> {
    const { clock, options } = this.#core;
    const begun = clock.now();
    try {
      return await look;
    } finally {
      const at = clock.now();
      // Those who have never come back are not many: threads that were killed in between.
      if (this.#slow.size > 1000) this.#slow.clear();
      if (pid !== undefined && at - begun >= SLOW_MS) this.#slow.set(pid, { deadline: begun + options.deadline, at });
      else this.answered(pid);
    }
  }

  /** As `timed`, of a call that a thread's look-ups may have belonged to. */
  withDeadline(caller: Caller | undefined): Caller {
    const before = caller?.pid === undefined ? undefined : this.#slow.get(caller.pid);
    if (caller?.pid !== undefined) this.#slow.delete(caller.pid);
    if (before === undefined || !this.#isSameCall(before)) return withDeadline(this.#core, caller);
    return withDeadlineAt(before.deadline, caller);
  }

  #isSameCall({ at }: { readonly at: number }): boolean {
    return this.#core.clock.now() - at < SAME_CALL_MS;
  }
}

/** The reads of one handle. */
export class ReadFailures {
  #last: { readonly error: unknown; readonly at: number } | null = null;

  /** Throws at once where the same call has failed already. */
  async run<T>(clock: Clock, read: () => Promise<T>): Promise<T> {
    const begun = clock.now();
    if (this.#last !== null && begun >= this.#last.at && begun - this.#last.at < SAME_CALL_MS) throw this.#last.error;
    this.#last = null;
    try {
      return await read();
    } catch (error) {
      if (isUnavailable(error) && clock.now() - begun >= SLOW_MS) this.#last = { error, at: clock.now() };
      throw error;
    }
  }
}
