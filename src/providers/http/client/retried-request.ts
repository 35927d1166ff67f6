/**
 * One request with all its tries. It ends when a try succeeds, when the request fails for good, or at its deadline. A request that
 * is not idempotent is never repeated before its outcome has been looked up. Knows nothing of how a try is sent.
 */
import { type Clock, type SteadyTime, steadyTimeOf } from '../../../base/clock.js';
import type { Log } from '../../../base/log.js';
import { ProviderError } from '../../errors.js';
import { type TryFailure, toTryFailure } from '../answers/http-error.js';
import type { Signer } from '../auth/signer.js';
import type { Call, CallOptions } from './call.js';
import type { RateLimiter } from './rate-limit.js';
import { type RetryPolicy, retryDelay } from './retry-delay.js';

/** A try calls this when it has its slot at the host. Returns the stall timeout of the try, ms. */
export interface Begin {
  (): number;
  /** See `RateLimiter.takeTurn`. */
  readonly turn: number | undefined;
}

/** Finds out what an earlier try, whose answer was lost, has done. Undefined: nothing. */
export type Lookup<T> = (options: CallOptions) => Promise<T | undefined>;

/** Settings and state that the requests of one client share. */
export interface RepeatContext {
  readonly clock: Clock;
  /** Longest time for a request with all its tries, ms. */
  readonly deadlineMs: number;
  /** Stall timeout of a try, ms. */
  readonly stallMs: number;
  readonly retry: RetryPolicy;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signer: Signer | undefined;
  readonly limiter: RateLimiter | undefined;
  readonly isClosed: () => boolean;
}

/** Maximal tries with answers that the documents do not allow. More tries would only repeat the same answer. */
const PROTOCOL_TRIES = 3;
/** Maximal renewals of a refused credential. A second refusal may concern a credential that another request has renewed meanwhile. */
const MAX_RENEWALS = 2;
/** Share of the deadline that is reserved to look up the outcome of a change. */
const LOOKUP_SHARE = 1 / 4;
/** Share of the deadline that a lookup gets in any case, even when the deadline is nearly over. */
const MIN_LOOKUP_SHARE = 1 / 10;
/** Tries whose transfer time is not charged to the deadline. */
const FREE_TRANSFERS = 4;
/** The shortest stall timeout of a try, ms: within less than a round trip no try can succeed. */
const MIN_STALL_MS = 50;

export class RetriedRequest<T> {
  readonly #context: RepeatContext;
  readonly #time: SteadyTime;
  readonly #call: Pick<Call, 'route' | 'content'>;
  readonly #options: CallOptions;
  readonly #lookup: Lookup<T> | undefined;
  readonly #isIdempotent: boolean;
  /** The time that the whole operation, of which this request is a part, has left of its deadline, ms. */
  readonly #allowedMs: number;
  /** Time within the deadline that is reserved to look up the outcome of a try with a lost answer, ms. */
  readonly #reserveMs: number;
  /** Ms of the `SteadyTime`. NaN until the first try has its slot: the wait behind our own requests is not the server's fault. */
  #deadline: number;
  #begunAt: number | undefined;
  /** Time in which bytes of a body moved, ms: it does not count as waiting. */
  #transferMs = 0;
  #tries = 0;
  #renewals = 0;
  /** A try may have been carried out, and only its answer was lost. */
  #isUncertain = false;
  /** The present try has its slot at the host. */
  #isUnderWay = false;
  /** A try has reached the service, or may have. */
  #mayHaveArrived = false;

  constructor(
    context: RepeatContext,
    call: Pick<Call, 'method' | 'route' | 'idempotent' | 'content'>,
    options: CallOptions,
    lookup?: Lookup<T>,
  ) {
    this.#context = context;
    this.#time = steadyTimeOf(context.clock);
    this.#call = call;
    this.#options = options;
    this.#lookup = lookup;
    this.#isIdempotent = call.idempotent ?? call.method === 'GET';
    this.#deadline = options.deadline ?? Number.NaN;
    this.#allowedMs = context.deadlineMs - (options.waitBudget?.spentMs ?? 0);
    this.#reserveMs = this.#isIdempotent || lookup === undefined ? 0 : context.deadlineMs * LOOKUP_SHARE;
  }

  /** Rejects with a `ProviderError`. */
  async run(attempt: (begin: Begin) => Promise<T>): Promise<T> {
    try {
      const answer = await this.#run(attempt);
      this.#mayHaveArrived = true;
      return answer;
    } finally {
      this.#call.content?.onOutcome?.(this.#mayHaveArrived);
    }
  }

  async #run(attempt: (begin: Begin) => Promise<T>): Promise<T> {
    this.#requireTimeForLookup();
    const begin = Object.assign(() => this.#beginTry(), { turn: this.#context.limiter?.takeTurn() });
    for (;;) {
      this.#tries++;
      this.#isUnderWay = false;
      let failure: TryFailure;
      try {
        const answer = await attempt(begin);
        // With content, it is unknown how much of the time was transfer: charge nothing.
        if (this.#call.content === undefined) this.#spend();
        return answer;
      } catch (thrown) {
        failure = toTryFailure(thrown, this.#call.route);
      }
      this.#note(failure);
      if (await this.#hasRenewed(failure)) continue;
      const found = await (failure.repeat === 'never' ? this.#end(failure.error) : this.#waitAfter(failure));
      if (found !== undefined) return found;
    }
  }

  /** A change does not begin if no time would be left to look up its outcome. */
  #requireTimeForLookup(): void {
    if (this.#isIdempotent) return;
    const { deadlineMs } = this.#context;
    const left = Number.isNaN(this.#deadline) ? this.#allowedMs : this.#deadline - this.#time.now();
    if (Math.min(this.#allowedMs, left) >= deadlineMs * MIN_LOOKUP_SHARE) return;
    const { route } = this.#call;
    throw new ProviderError('timeout', `${route}: no time is left`, { data: { route } });
  }

  #beginTry(): number {
    const { deadlineMs, stallMs } = this.#context;
    const now = this.#time.now();
    this.#isUnderWay = true;
    this.#begunAt ??= now;
    // Idempotent requests get a little time in any case, because they confirm a finished change (what has been stored?).
    if (Number.isNaN(this.#deadline)) this.#deadline = now + Math.max(this.#allowedMs, deadlineMs * MIN_LOOKUP_SHARE);
    return Math.max(MIN_STALL_MS, Math.min(stallMs, this.#deadline - this.#reserveMs - now));
  }

  #spend(): void {
    if (this.#begunAt === undefined) return;
    this.#options.waitBudget?.spend(this.#begunAt + this.#transferMs, this.#time.now());
  }

  #note({ repeat, transferMs, mayHaveArrived }: TryFailure): void {
    this.#transferMs += transferMs;
    if (this.#isUnderWay && mayHaveArrived) this.#mayHaveArrived = true;
    if (repeat === 'never') this.#spend();
    if (repeat === 'uncertain') this.#isUncertain = true;
  }

  /** The server refused the credential and did nothing: a new one may be accepted. */
  async #hasRenewed({ refused }: TryFailure): Promise<boolean> {
    if (refused === undefined || this.#renewals >= MAX_RENEWALS) return false;
    this.#renewals++;
    return (await this.#context.signer?.renew?.(refused, this.#options.signal)) === true;
  }

  /** The request fails with this error, unless an earlier try, whose answer was lost, has taken the name or removed the object itself. */
  async #end(error: ProviderError): Promise<T> {
    const mayBeOurs = this.#isUncertain && ['exists', 'not-found', 'permission'].includes(error.code);
    const found = mayBeOurs ? await this.#lookUp() : undefined;
    if (found !== undefined) return found;
    throw error;
  }

  /** Resolves when the next try is due, or with the result of an earlier try. Rejects if there is no next try. */
  async #waitAfter(failure: TryFailure): Promise<T | undefined> {
    const { clock, log, signer } = this.#context;
    const { error, serverNow, transferMs } = failure;
    if (serverNow !== undefined) signer?.adjustTime?.(serverNow);
    if (this.#tries <= FREE_TRANSFERS) this.#deadline += transferMs;
    const delay = this.#delayAfter(failure);
    if (delay === null) return await this.#giveUp(error);
    const { route } = this.#call;
    log.debug({ route, code: error.code, tries: this.#tries, delay }, 'request failed, trying again');
    await sleep(clock, delay, route, this.#options.signal);
    if (!this.#isUncertain) return undefined;
    if (!this.#isIdempotent) return await this.#lookUp(error);
    // An idempotent request may be repeated. But an earlier try may have succeeded: one lookup, after the second try, saves the rest of the
    // time for the operation's other requests. Content needs a lookup each time: another client may have stored a version meanwhile.
    if (this.#tries !== 2 && this.#call.content === undefined) return undefined;
    return await this.#lookUp().catch((failed: unknown) => {
      if (isFinal(failed)) throw failed;
      return undefined;
    });
  }

  /** In ms. Null if another try is useless, or would not begin before the deadline. */
  #delayAfter({ error, retryAfterMs }: TryFailure): number | null {
    const { random, retry, isClosed, limiter } = this.#context;
    const isHopeless =
      isClosed() ||
      (this.#isUncertain && !this.#isIdempotent && this.#lookup === undefined) ||
      (error.code === 'protocol' && this.#tries >= PROTOCOL_TRIES);
    if (isHopeless) return null;
    const leftMs = this.#deadline - this.#reserveMs - this.#time.now();
    // The limiter holds back all requests together. A longer wait of its own would put the one that was refused most often last.
    const isPaced = error.code === 'rate-limited' && limiter !== undefined;
    return retryDelay({ tries: isPaced ? 1 : this.#tries, leftMs, retryAfterMs, random: random() }, retry);
  }

  /** One of the tries may have succeeded, and only its answer was lost. */
  async #giveUp(error: ProviderError): Promise<T> {
    const { limiter, isClosed } = this.#context;
    this.#spend();
    if (typeof error.data.resetAt === 'number') limiter?.announce(error.data.resetAt);
    const found = this.#isUncertain && !isClosed() ? await this.#lookUp(error) : undefined;
    if (found !== undefined) return found;
    throw error;
  }

  /**
   * If the lookup fails, the outcome stays unknown: the error of the request itself (`instead`) is thrown. A final failure of the lookup
   * is thrown itself.
   */
  async #lookUp(instead?: ProviderError): Promise<T | undefined> {
    if (this.#lookup === undefined) return undefined;
    const { deadlineMs } = this.#context;
    const deadline = Math.max(this.#deadline, this.#time.now() + deadlineMs * MIN_LOOKUP_SHARE);
    try {
      return await this.#lookup({ ...this.#options, deadline });
    } catch (error) {
      throw instead === undefined || isFinal(error) ? error : instead;
    }
  }
}

/**
 * True if the request must not be repeated after this failure of a lookup. The name belongs to another object by now (`exists`), or
 * the object has another content (`revision-changed`): a repeat could replace it.
 */
function isFinal(error: unknown): boolean {
  return error instanceof ProviderError && ['aborted', 'exists', 'revision-changed'].includes(error.code);
}

/** Sleeps for `ms`. Rejects with a `ProviderError` (`aborted`) when the signal aborts. */
export async function sleep(clock: Clock, ms: number, route: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (cause) {
    throw new ProviderError('aborted', `${route}: cancelled`, { cause, data: { route } });
  }
}
