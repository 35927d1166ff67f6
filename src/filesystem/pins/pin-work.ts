/**
 * The background work for pins: listings and downloads, a few at a time, with pauses while the service refuses. Without work there is no
 * timer and no request.
 */
import { type Clock, SteadyTime } from '../../base/clock.js';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { Ino } from '../../tree/inode.js';
import { afterFailure } from './pin-policy.js';
import { WaitingJobs } from './waiting-jobs.js';

/** Jobs at a time: few, so that the requests of programs find connections free. */
const PARALLEL = 2;

/** How often a waiting worker looks at the clock, ms: after a sleep of the machine, it finds that a pause is over. */
const LOOK_MS = 60_000;

export interface Job {
  readonly act: 'list' | 'fetch';
  readonly ino: Ino;
  /** Why the last try failed; null: it was not tried yet, or has succeeded. */
  error: string | null;
  failures: number;
  /** Bytes of the file that the job has gone through. */
  bytes: number;
  /** The earliest time to begin, by a steady clock. */
  notBefore: number;
}

export interface PinWorkOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Carries out a job. Rejects with the reason why it must be tried again. */
  readonly run: (job: Job, signal: AbortSignal) => Promise<void>;
  /** Called if the known state of a job's object is out of date. */
  readonly relist: (ino: Ino) => void;
}

export class PinWork {
  readonly #options: PinWorkOptions;
  readonly #time: SteadyTime;
  /** Listings come first: they show which files must be fetched. */
  readonly #waiting = { list: new WaitingJobs<Job>(), fetch: new WaitingJobs<Job>() };
  /** Ends each running job. Waiting jobs have no controller, because there may be a hundred thousand of them. */
  readonly #running = new Map<Job, AbortController>();
  /** Jobs whose last try has failed. */
  readonly #failed = new Set<Job>();
  readonly #workers = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #pausedUntil = 0;
  #pauseReason: string | null = null;
  #failuresInARow = 0;
  #wake = new AbortController();

  constructor(options: PinWorkOptions) {
    this.#options = options;
    this.#time = new SteadyTime(options.clock);
  }

  /** Why nothing is fetched for now, or why one file or folder is not here; null if there is no problem. */
  get problem(): string | null {
    if (this.#time.now() < this.#pausedUntil) return this.#pauseReason;
    const [failed] = this.#failed;
    return failed?.error ?? null;
  }

  add(act: Job['act'], ino: Ino): Job {
    const job: Job = { act, ino, error: null, failures: 0, bytes: 0, notBefore: 0 };
    this.#waiting[act].add(job, 0);
    this.#start();
    return job;
  }

  /** Ends a job whose result nobody wants any longer. */
  cancel(job: Job): void {
    this.#waiting[job.act].delete(job);
    this.#failed.delete(job);
    this.#running.get(job)?.abort(new SyncmountError('aborted', 'not wanted any more'));
  }

  /** Ends all work. Resolves when nothing is under way. */
  async close(): Promise<void> {
    const reason = new SyncmountError('aborted', 'the mount ends');
    this.#closing.abort(reason);
    for (const abort of this.#running.values()) abort.abort(reason);
    this.#wake.abort(null);
    await Promise.all(this.#workers);
  }

  #start(): void {
    // `null`: without a reason Node makes an error with a stack trace.
    this.#wake.abort(null);
    if (this.#workers.size >= PARALLEL || this.#closing.signal.aborted) return;
    const worker = this.#work().finally(() => this.#workers.delete(worker));
    this.#workers.add(worker);
  }

  async #work(): Promise<void> {
    // The caller of `add` finishes first.
    await Promise.resolve();
    while (!this.#closing.signal.aborted) {
      const job = this.#next();
      if (job !== undefined) await this.#run(job);
      else if (this.#waiting.list.size + this.#waiting.fetch.size === 0) return;
      else await this.#untilDue();
    }
  }

  #next(): Job | undefined {
    const now = this.#time.now();
    if (now < this.#pausedUntil) return undefined;
    return this.#waiting.list.take(now) ?? this.#waiting.fetch.take(now);
  }

  async #run(job: Job): Promise<void> {
    const { log, run, relist } = this.#options;
    // Not `AbortSignal.any` with that of the mount: Node.js 20 keeps a trace of each such signal as long as the mount lives.
    const abort = new AbortController();
    const { signal } = abort;
    this.#running.set(job, abort);
    try {
      await run(job, signal);
      job.error = null;
      job.failures = 0;
      this.#failed.delete(job);
      this.#failuresInARow = 0;
    } catch (error) {
      if (signal.aborted) return;
      job.error = messageOf(error);
      job.failures++;
      this.#failed.add(job);
      this.#failuresInARow++;
      const {
        pauseMs,
        delayMs,
        relist: isOutdated,
      } = afterFailure({
        code: codeOf(error),
        retryAfterMs: retryAfterOf(error),
        failures: job.failures,
        inARow: this.#failuresInARow,
      });
      const now = this.#time.now();
      job.notBefore = now + delayMs;
      if (pauseMs > 0) {
        this.#pausedUntil = Math.max(this.#pausedUntil, now + pauseMs);
        this.#pauseReason = job.error;
      }
      log.info({ ino: job.ino, code: codeOf(error), pauseMs, delayMs }, `pinned: ${job.error}`);
      this.#waiting[job.act].add(job, delayMs);
      if (isOutdated) relist(job.ino);
    } finally {
      this.#running.delete(job);
    }
  }

  /** Waits until a job may begin, or a new one comes. */
  async #untilDue(): Promise<void> {
    const due = Math.min(this.#waiting.list.due(), this.#waiting.fetch.due());
    const ms = Math.min(LOOK_MS, Math.max(1, Math.max(due, this.#pausedUntil) - this.#time.now()));
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    await this.#options.clock.sleep(ms, this.#wake.signal).catch(() => undefined);
  }
}

function retryAfterOf(error: unknown): number | undefined {
  const data = error instanceof SyncmountError ? error.data : undefined;
  return typeof data?.retryAfterMs === 'number' ? data.retryAfterMs : undefined;
}
