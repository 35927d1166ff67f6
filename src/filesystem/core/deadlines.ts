/**
 * One deadline a system call. What a call asks of the provider one thing after the other shares it; and where the kernel makes
 * several requests of one read(2), the later ones do not wait anew for a provider that has just not answered.
 */
import type { Clock } from '../../base/clock.js';
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.js';
import type { Caller } from '../api.js';

/** After a read that nobody answered, those that come within this time, ms, get the same error: the kernel's come at once. */
const SAME_CALL = 1000;
/** A failure that took less, ms, costs nobody anything again. */
const LONG = 1000;

/** What is needed of a mount to measure a call. */
interface Timing {
  readonly clock: Clock;
  readonly options: {
    /** How long a call waits for the provider, ms. */
    readonly deadline: number;
  };
}

const silences: ReadonlySet<string> = new Set<ProviderErrorCode>(['timeout', 'network', 'server', 'rate-limited']);

/** Nobody knows what the provider would have said. */
export function isSilence(error: unknown): boolean {
  return error instanceof ProviderError && silences.has(error.code);
}

/** The caller of a call that comes now. */
export function timed(core: Timing, caller: Caller | undefined): Caller {
  return until(core.clock.now() + core.options.deadline, caller);
}

/** What a call has spent on a content since `since`, ms, is not counted: it has as long as bytes move. */
export function uncounted(core: Pick<Timing, 'clock'>, caller: Caller | undefined, since: number): void {
  if (caller?.deadline !== undefined) caller.deadline += Math.max(0, core.clock.now() - since);
}

/** Is the time of the call over, as far as anything could still be asked? */
export function isOver(core: Pick<Timing, 'clock'>, caller: Caller | undefined): boolean {
  return caller?.deadline !== undefined && core.clock.now() >= caller.deadline;
}

function until(deadline: number, caller: Caller | undefined): Caller {
  if (caller === undefined) return { deadline };
  caller.deadline = deadline;
  return caller;
}

/**
 * The kernel looks up the names of a path before it makes, removes or renames what the last one stands for: several requests of
 * one call. The last one has what a look-up that took long has left of the deadline.
 */
export class LookUps {
  readonly #core: Timing;
  /** By thread: the last that took long. */
  readonly #long = new Map<number, { readonly deadline: number; at: number }>();

  constructor(core: Timing) {
    this.#core = core;
  }

  /** One that was answered at once. */
  done(pid: number | undefined): void {
    if (this.#long.size === 0 || pid === undefined) return;
    const before = this.#long.get(pid);
    if (before !== undefined && this.#isSameCall(before)) before.at = this.#core.clock.now();
  }

  async during<T>(pid: number | undefined, look: Promise<T>): Promise<T> {
    const { clock, options } = this.#core;
    const begun = clock.now();
    try {
      return await look;
    } finally {
      const at = clock.now();
      // Those who have never come back are not many: threads that were killed in between.
      if (this.#long.size > 1000) this.#long.clear();
      if (pid !== undefined && at - begun >= LONG) this.#long.set(pid, { deadline: begun + options.deadline, at });
      else this.done(pid);
    }
  }

  /** As `timed`, of a call that a thread's look-ups may have belonged to. */
  timed(caller: Caller | undefined): Caller {
    const before = caller?.pid === undefined ? undefined : this.#long.get(caller.pid);
    if (caller?.pid !== undefined) this.#long.delete(caller.pid);
    if (before === undefined || !this.#isSameCall(before)) return timed(this.#core, caller);
    return until(before.deadline, caller);
  }

  #isSameCall({ at }: { readonly at: number }): boolean {
    return this.#core.clock.now() - at < SAME_CALL;
  }
}

/** The reads of one handle. */
export class Reads {
  #last: { readonly error: unknown; readonly at: number } | null = null;

  /** Throws at once where the same call has failed already. */
  async during<T>(clock: Clock, read: () => Promise<T>): Promise<T> {
    const begun = clock.now();
    if (this.#last !== null && begun >= this.#last.at && begun - this.#last.at < SAME_CALL) throw this.#last.error;
    this.#last = null;
    try {
      return await read();
    } catch (error) {
      if (isSilence(error) && clock.now() - begun >= LONG) this.#last = { error, at: clock.now() };
      throw error;
    }
  }
}
