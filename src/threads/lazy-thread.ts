/**
 * A thread that starts with its first order. If it has ended, the next order starts it again.
 *
 * Its program is read in advance, because a mount runs for weeks, and an upgrade may replace the files under it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { packageRoot } from '../base/installation.js';

export interface ThreadEvents<Report> {
  reported(report: Report): void;
  /** The thread has ended, and all its work with it. */
  ended(why: Error): void;
}

export class LazyThread<Order, Report> {
  readonly #program: string;
  readonly #events: ThreadEvents<Report>;
  #worker: Worker | null = null;

  /** `file`: the program of the thread, in `dist/`. Throws if it cannot be read. */
  constructor(file: string, events: ThreadEvents<Report>) {
    this.#program = readFileSync(join(packageRoot, 'dist', file), 'utf8');
    this.#events = events;
  }

  tell(order: Order): void {
    this.#started().postMessage(order);
  }

  /** While somebody waits for the thread, the process does not end by itself. */
  hold(isAwaited: boolean): void {
    if (isAwaited) this.#worker?.ref();
    else this.#worker?.unref();
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    this.#hasEnded(worker, new Error('the thread was closed'));
    await worker.terminate();
  }

  #started(): Worker {
    if (this.#worker !== null) return this.#worker;
    const worker = new Worker(this.#program, { eval: true });
    worker.unref();
    worker.on('message', (report: Report) => this.#events.reported(report));
    worker.on('error', (error) => this.#hasEnded(worker, error));
    worker.on('exit', () => this.#hasEnded(worker, new Error('the thread has ended')));
    this.#worker = worker;
    return worker;
  }

  #hasEnded(worker: Worker, why: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#events.ended(why);
  }
}
