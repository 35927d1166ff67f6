/**
 * One deadline for each system call. All provider requests of a call share it.
 *
 * The kernel may split one read(2) into several requests: after one has failed with an unavailable provider, the next
 * ones fail at once instead of waiting again.
 */
import { type Clock, steadyTimeOf } from '../../base/clock.js';
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.js';
import type { Caller } from '../api.js';

/**
 * Requests within this time after the previous one, ms, belong to the same system call: the kernel sends them without a
 * pause.
 */
const SAME_CALL_MS = 1000;
/** A wait shorter than this, ms, is not remembered: repeating it costs little. */
const SLOW_MS = 1000;

/**
 * Least share of the deadline that a call gets after a slow look-up. The look-up may have been an earlier call of the same thread
 * (`stat`), and a call that nobody tried to carry out must not fail.
 */
const LEAST_SHARE = 1 / 2;

/** The parts of `Core` that measuring a call needs. */
interface Timing {
  readonly clock: Clock;
  readonly options: {
    /** How long a call waits for the provider, ms. */
    readonly deadline: number;
  };
}

const unavailable: ReadonlySet<string> = new Set<ProviderErrorCode>(['timeout', 'network', 'server', 'rate-limited']);

/** Did the provider give no usable answer? Whether it carried out the request is then unknown. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof ProviderError && unavailable.has(error.code);
}

/** The caller with the deadline of a call that arrives now. */
export function withDeadline(core: Timing, caller: Caller | undefined): Caller {
  return withDeadlineAt(steadyTimeOf(core.clock).now() + core.options.deadline, caller);
}

/**
 * Extends the deadline of a call by the time, ms, that it has spent transferring content since `since` (steady time): a transfer may
 * take as long as bytes move.
 */
export function extendDeadline(core: Pick<Timing, 'clock'>, caller: Caller | undefined, since: number): void {
  if (caller?.deadline !== undefined) caller.deadline += steadyTimeOf(core.clock).now() - since;
}

/** Is the deadline of the call over, so that no further request makes sense? */
export function isPastDeadline(core: Pick<Timing, 'clock'>, caller: Caller | undefined): boolean {
  return caller?.deadline !== undefined && steadyTimeOf(core.clock).now() >= caller.deadline;
}

function withDeadlineAt(deadline: number, caller: Caller | undefined): Caller {
  if (caller === undefined) return { deadline };
  caller.deadline = deadline;
  return caller;
}

/**
 * Carries the deadline from look-ups to the call that follows them. The kernel looks up each name of a path before it
 * creates, removes or renames the last one: several requests, one system call. The last request gets the time that a
 * slow look-up has left.
 */
export class LookupDeadlines {
  readonly #core: Timing;
  /** The last slow look-up of each thread. */
  readonly #slow = new Map<number, { readonly deadline: number; at: number }>();

  constructor(core: Timing) {
    this.#core = core;
  }

  /** A look-up was answered at once. */
  lookedUpAtOnce(pid: number | undefined): void {
    if (this.#slow.size === 0 || pid === undefined) return;
    const before = this.#slow.get(pid);
    if (before !== undefined && this.#isSameCall(before)) before.at = steadyTimeOf(this.#core.clock).now();
  }

  async measure<T>(pid: number | undefined, look: Promise<T>): Promise<T> {
    const { options } = this.#core;
    const time = steadyTimeOf(this.#core.clock);
    const begun = time.now();
    let found: T;
    try {
      found = await look;
    } catch (error) {
      // The call ends with this error. The thread's next call has a deadline of its own.
      if (pid !== undefined) this.#slow.delete(pid);
      throw error;
    }
    const at = time.now();
    // The map holds leftovers only of threads that were killed between look-up and call: few.
    if (this.#slow.size > 1000) this.#slow.clear();
    if (pid !== undefined && at - begun >= SLOW_MS) this.#slow.set(pid, { deadline: begun + options.deadline, at });
    else this.lookedUpAtOnce(pid);
    return found;
  }

  /** Like `withDeadline` above, for a call that may follow look-ups of the same thread. */
  withDeadline(caller: Caller | undefined): Caller {
    const before = caller?.pid === undefined ? undefined : this.#slow.get(caller.pid);
    if (caller?.pid !== undefined) this.#slow.delete(caller.pid);
    if (before === undefined || !this.#isSameCall(before)) return withDeadline(this.#core, caller);
    const least = steadyTimeOf(this.#core.clock).now() + this.#core.options.deadline * LEAST_SHARE;
    return withDeadlineAt(Math.max(before.deadline, least), caller);
  }

  #isSameCall({ at }: { readonly at: number }): boolean {
    return steadyTimeOf(this.#core.clock).now() - at < SAME_CALL_MS;
  }
}

/** Remembers the last failed read of one handle, so that the kernel's other requests of the same read(2) fail at once. */
export class ReadFailures {
  #last: { readonly error: unknown; readonly at: number } | null = null;

  /** Runs `read`, or throws the remembered error at once. */
  async run<T>(clock: Clock, read: () => Promise<T>): Promise<T> {
    const time = steadyTimeOf(clock);
    const begun = time.now();
    if (this.#last !== null && begun - this.#last.at < SAME_CALL_MS) throw this.#last.error;
    this.#last = null;
    try {
      return await read();
    } catch (error) {
      if (isUnavailable(error) && time.now() - begun >= SLOW_MS) this.#last = { error, at: time.now() };
      throw error;
    }
  }
}
