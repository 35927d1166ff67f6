/**
 * The queue of background uploads: a few at a time, in a fair order. An upload is delayed while its content is being rewritten, and after
 * a failed try. Only one runs at a time while the provider is unavailable.
 */
import { type Clock, type SteadyTime, steadyTimeOf } from '../../base/clock.js';
import { Fifo } from '../../base/fifo.js';
import { lruOf } from '../../base/lru.js';
import type { Ino } from '../../tree/inode.js';
import {
  LONG_BYTES,
  nextKind,
  outageBackoff,
  type QueueWidth,
  REWRITE_WITHIN,
  rewriteDelay,
  uploadRetryDelay,
} from './policy.js';

/**
 * The outcome of an upload: `stored` (or no longer needed), `refused` (only a person can mend it), `transient` (later tries may succeed),
 * `cancelled` (the content changed meanwhile; its next close queues it again).
 */
export type Verdict = 'stored' | 'refused' | 'transient' | 'cancelled';

interface Entry {
  readonly ino: Ino;
  readonly size: number;
  readonly since: number;
}

interface History {
  at: number;
  rewrites: number;
  tries: number;
  /** The generation of the content that was added last; -1: none. */
  generation: number;
}

/** Number of files with a remembered history: more than are ever rewritten within `REWRITE_WITHIN`. */
const REMEMBERED = 10_000;

export class UploadQueue {
  readonly #clock: Clock;
  /** The clock of all moments here, ms. */
  readonly #time: SteadyTime;
  readonly #run: (ino: Ino) => Promise<Verdict>;
  #width: QueueWidth;
  /** Ready to begin, oldest first. */
  readonly #ready = { short: new Fifo<Ino, Entry>(), long: new Fifo<Ino, Entry>() };
  /** Waiting for their time to begin; the controller ends the wait. */
  readonly #later = new Map<Ino, { readonly entry: Entry; readonly wait: AbortController }>();
  readonly #running = new Map<Ino, { readonly isLong: boolean; readonly done: Promise<void> }>();
  readonly #history = lruOf<Ino, History>(REMEMBERED);
  /** Failed tries in a row, without a success in between. */
  #failures = 0;
  #backingOff: AbortController | null = null;
  #lastStored = Number.NEGATIVE_INFINITY;
  #isPaused = false;
  #hasEnded = false;

  /** `run` stores the file and never rejects. */
  constructor(clock: Clock, width: QueueWidth, run: (ino: Ino) => Promise<Verdict>) {
    this.#clock = clock;
    this.#time = steadyTimeOf(clock);
    this.#width = width;
    this.#run = run;
  }

  /** Running uploads go on; waiting ones begin as the new width allows. */
  resize(width: QueueWidth): void {
    this.#width = width;
    this.#pump();
  }

  /** Are queued uploads under way? */
  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /**
   * Adds a file to the queue. A file that already waits keeps its place. `generation` identifies the content: the same
   * content again (its upload was only suspended for a rename) is no rewrite, and goes up at once.
   */
  add(ino: Ino, size: number, generation: number): void {
    if (this.#hasEnded || this.#isReady(ino)) return;
    const now = this.#time.now();
    const before = this.#history.get(ino);
    const isSame = before?.generation === generation;
    if (isSame && this.#later.has(ino)) return;
    const isRewrite = before !== undefined && !isSame && now - before.at < REWRITE_WITHIN;
    const rewrites = isRewrite ? before.rewrites + 1 : 0;
    this.#history.set(ino, { at: now, rewrites, tries: 0, generation });
    const first = this.#forget(ino);
    this.#wait({ ino, size, since: first?.since ?? now }, rewriteDelay(rewrites));
  }

  /** An upload outside the queue has failed for a transient reason: retries it later. */
  postpone(ino: Ino, size: number): void {
    if (this.#hasEnded || this.#isReady(ino) || this.#later.has(ino)) return;
    const now = this.#time.now();
    const history = this.#history.get(ino) ?? { at: now, rewrites: 0, tries: 0, generation: -1 };
    this.#history.set(ino, history);
    this.#wait({ ino, size, since: now }, uploadRetryDelay(++history.tries));
  }

  /** Ends all waits, and the back-off too. */
  runNow(): void {
    for (const { entry } of [...this.#later.values()]) {
      this.#forget(entry.ino);
      this.#put(entry);
    }
    this.#backingOff?.abort();
    this.#backingOff = null;
    this.#pump();
  }

  /** Begins nothing until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.runNow();
  }

  /** Resolves when no queued upload is under way and none can begin: all are stored, delayed, or behind the back-off. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** Begins no further upload. */
  end(): void {
    this.#hasEnded = true;
    for (const ino of [...this.#later.keys()]) this.#forget(ino);
    this.#ready.short.clear();
    this.#ready.long.clear();
    this.#backingOff?.abort();
  }

  #isReady(ino: Ino): boolean {
    return this.#ready.short.has(ino) || this.#ready.long.has(ino);
  }

  #put(entry: Entry): void {
    this.#ready[entry.size >= LONG_BYTES ? 'long' : 'short'].set(entry.ino, entry);
  }

  #wait(entry: Entry, ms: number): void {
    if (this.#hasEnded) return;
    if (ms === 0) {
      this.#put(entry);
      this.#pump();
      return;
    }
    const wait = new AbortController();
    this.#later.set(entry.ino, { entry, wait });
    this.#clock.sleep(ms, wait.signal).then(
      () => {
        this.#later.delete(entry.ino);
        this.#put(entry);
        this.#pump();
      },
      () => undefined,
    );
  }

  /** Ends the wait of a file and returns its entry. */
  #forget(ino: Ino): Entry | undefined {
    const waiting = this.#later.get(ino);
    this.#later.delete(ino);
    waiting?.wait.abort();
    return waiting?.entry;
  }

  #pump(): void {
    while (!this.#hasEnded && !this.#isPaused && this.#backingOff === null) {
      // After a back-off, one upload tests whether the provider is available again.
      if (this.#failures > 0 && this.#running.size > 0) return;
      const next = this.#next();
      if (next === undefined) return;
      this.#start(next);
    }
  }

  #next(): Entry | undefined {
    const { short, long } = this.#ready;
    const { first: small } = short;
    const { first: big } = long;
    let longs = 0;
    for (const { isLong } of this.#running.values()) if (isLong) longs++;
    const kind = nextKind(
      {
        oldest: { short: small?.since ?? null, long: big?.since ?? null },
        running: { short: this.#running.size - longs, long: longs },
      },
      this.#width,
    );
    return kind === null ? undefined : kind === 'short' ? small : big;
  }

  #start(entry: Entry): void {
    const { ino, size } = entry;
    this.#ready.short.delete(ino);
    this.#ready.long.delete(ino);
    const began = this.#time.now();
    const done = this.#run(ino).then((verdict) => {
      this.#running.delete(ino);
      this.#ended(entry, verdict, began);
      this.#pump();
    });
    this.#running.set(ino, { isLong: size >= LONG_BYTES, done });
  }

  #ended(entry: Entry, verdict: Verdict, began: number): void {
    const history = this.#history.get(entry.ino) ?? { at: began, rewrites: 0, tries: 0, generation: -1 };
    this.#history.set(entry.ino, history);
    history.at = this.#time.now();
    if (verdict === 'stored' || verdict === 'refused') {
      // A refusal is an answer too: the provider is available.
      this.#failures = 0;
      this.#lastStored = this.#time.now();
      history.tries = 0;
    }
    // The next content of this file counts its generations from the beginning.
    if (verdict === 'stored') history.generation = -1;
    if (verdict !== 'transient') return;
    // If it was rewritten meanwhile, the entry queued since takes its place.
    if (!this.#isReady(entry.ino) && !this.#later.has(entry.ino)) this.#wait(entry, uploadRetryDelay(++history.tries));
    // Other files were stored while this one failed: the cause is this file, and no reason to back off.
    if (this.#lastStored >= began) return;
    this.#failures++;
    this.#backOff(outageBackoff(this.#failures));
  }

  #backOff(ms: number): void {
    if (this.#hasEnded || this.#backingOff !== null) return;
    const rest = new AbortController();
    this.#backingOff = rest;
    this.#clock.sleep(ms, rest.signal).then(
      () => {
        this.#backingOff = null;
        this.#pump();
      },
      () => undefined,
    );
  }
}
