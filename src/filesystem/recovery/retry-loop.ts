/**
 * Repeats work in the background until nothing is left to do, with pauses that double.
 *
 * Invariant: new work waits for FIRST_PAUSE at most, and the pauses begin again with it, however long those of older failures have
 * become. Work that is scheduled during a run counts as having failed in that run.
 */
import { type Clock, SteadyTime } from '../../base/clock.js';

/** Pause before work is repeated, ms, doubling from the first to the longest. */
const FIRST_PAUSE = 10_000;
const LONGEST_PAUSE = 600_000;

export class RetryLoop {
  readonly #clock: Clock;
  readonly #time: SteadyTime;
  readonly #work: () => Promise<void>;
  readonly #isDone: () => boolean;
  readonly #ending = new AbortController();
  #isRunning = false;
  #isWorking = false;
  /** When the work is due, by `#time`. */
  #dueAt = 0;
  /** The pause before the next turn, ms. */
  #pause = FIRST_PAUSE;
  /** Ends the sleep that is under way. */
  #waking = new AbortController();

  constructor(clock: Clock, work: () => Promise<void>, isDone: () => boolean) {
    this.#clock = clock;
    this.#time = new SteadyTime(clock);
    this.#work = work;
    this.#isDone = isDone;
  }

  /** Call this when there is new work. Rejects if the work does, and when the loop is closed. */
  async schedule(): Promise<void> {
    // The work itself reports what has failed once more.
    if (this.#isWorking) return;
    this.#pause = FIRST_PAUSE;
    const due = this.#time.now() + FIRST_PAUSE;
    if (!this.#isRunning) return await this.#run(due);
    if (due >= this.#dueAt) return;
    this.#dueAt = due;
    this.#waking.abort();
  }

  /** Ends the loop. What is left stays as it is. */
  close(): void {
    this.#ending.abort();
    this.#waking.abort();
  }

  get isClosed(): boolean {
    return this.#ending.signal.aborted;
  }

  async #run(due: number): Promise<void> {
    this.#isRunning = true;
    this.#dueAt = due;
    try {
      while (!this.#isDone()) {
        await this.#untilDue();
        this.#isWorking = true;
        await this.#work();
        this.#isWorking = false;
        this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
        this.#dueAt = this.#time.now() + this.#pause;
      }
    } finally {
      this.#isRunning = false;
      this.#isWorking = false;
    }
  }

  async #untilDue(): Promise<void> {
    for (let left = this.#dueAt - this.#time.now(); left > 0; left = this.#dueAt - this.#time.now()) {
      this.#ending.signal.throwIfAborted();
      this.#waking = new AbortController();
      await this.#clock.sleep(left, this.#waking.signal).catch(() => undefined);
    }
    this.#ending.signal.throwIfAborted();
  }
}
