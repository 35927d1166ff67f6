/** Waiting jobs, perhaps a hundred thousand: no call here goes through them all. */
import { Fifo } from '../../base/fifo.js';

interface Waiting {
  /** Not before this time, ms. */
  readonly notBefore: number;
}

export class WaitingJobs<Job extends Waiting> {
  /** By the delay of each job, ms. Jobs of the same delay are due in the order in which they came. The policy knows a handful of delays. */
  readonly #byDelay = new Map<number, Fifo<Job, Job>>();

  get size(): number {
    let size = 0;
    for (const jobs of this.#byDelay.values()) size += jobs.size;
    return size;
  }

  /** `delayMs`: how long the job waits from now. */
  add(job: Job, delayMs: number): void {
    const jobs = this.#byDelay.get(delayMs) ?? new Fifo<Job, Job>();
    this.#byDelay.set(delayMs, jobs);
    jobs.set(job, job);
  }

  delete(job: Job): void {
    for (const jobs of this.#byDelay.values()) jobs.delete(job);
  }

  /** Takes the job that has been due for longest; undefined if none is due. */
  take(now: number): Job | undefined {
    const first = this.#first();
    if (first === undefined || first.notBefore > now) return undefined;
    this.delete(first);
    return first;
  }

  /** When the next job is due; infinite if none waits. */
  due(): number {
    return this.#first()?.notBefore ?? Number.POSITIVE_INFINITY;
  }

  #first(): Job | undefined {
    let found: Job | undefined;
    for (const { first } of this.#byDelay.values())
      if (first !== undefined && (found === undefined || first.notBefore < found.notBefore)) found = first;
    return found;
  }
}
