/**
 * Asks beside the ranges of a file whether it still is the revision that they are to be of, where no header of their answers says so:
 * at most once a second for each revision.
 *
 * Invariant: an answer is proven only by a question that began after it. What the question may find, it finds within a second of the answer.
 */
import type { Clock } from '../../../base/clock.js';
import { codeOf } from '../../../base/errors.js';
import { lruOf } from '../../../base/lru.js';
import type { RevisionProof } from '../../content.js';
import { type RemoteFile, revisionKey } from '../../provider.js';

/** From the beginning of a question to that of the next one, ms. */
const INTERVAL_MS = 1000;
/** Revisions that are remembered. One that is forgotten may be asked for sooner than a second later. */
const REMEMBERED = 1000;

/** An answer that is not proven yet. */
interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Watched {
  readonly file: RemoteFile;
  /** Began so long after the epoch, ms: the last question, and the last one that found the file unchanged. */
  begunAt: number;
  goodAt: number;
  running: Promise<void> | null;
  isScheduled: boolean;
  waiting: Waiting[];
}

export class RevisionWatch {
  readonly #clock: Clock;
  readonly #look: (file: RemoteFile) => Promise<void>;
  readonly #watched = lruOf<string, Watched>(REMEMBERED);

  /** `look` rejects with `revision-changed` or `not-found` where the file is another one by now, and otherwise as the provider does. */
  constructor(clock: Clock, look: (file: RemoteFile) => Promise<void>) {
    this.#clock = clock;
    this.#look = look;
  }

  /** Resolves where a question of the last second has found the file unchanged; asks if there was none. Rejects as `look` does. */
  async recently(file: RemoteFile): Promise<void> {
    const watched = this.#of(file);
    if (watched.running === null && this.#isWithinInterval(watched.goodAt)) return;
    await this.#ask(watched);
  }

  /** To be called when an answer has begun. */
  proofOf(file: RemoteFile): RevisionProof {
    const watched = this.#of(file);
    let isSettled = false;
    const settled = new Promise<void>((resolve, reject) => {
      watched.waiting.push({ resolve, reject });
    }).finally(() => {
      isSettled = true;
    });
    settled.catch(() => undefined);
    this.#schedule(watched);
    const demand = async (): Promise<void> => {
      while (!isSettled) await this.#ask(watched);
      await settled;
    };
    return { settled, demand };
  }

  #of(file: RemoteFile): Watched {
    const key = revisionKey(file);
    let watched = this.#watched.get(key);
    if (watched === undefined) {
      const never = Number.NEGATIVE_INFINITY;
      watched = { file, begunAt: never, goodAt: never, running: null, isScheduled: false, waiting: [] };
      this.#watched.set(key, watched);
    }
    return watched;
  }

  /** Not where the clock was set back since. */
  #isWithinInterval(time: number): boolean {
    const age = this.#clock.now() - time;
    return age >= 0 && age < INTERVAL_MS;
  }

  #schedule(watched: Watched): void {
    if (watched.isScheduled || watched.running !== null) return;
    watched.isScheduled = true;
    const { begunAt } = watched;
    const delay = this.#isWithinInterval(begunAt) ? begunAt + INTERVAL_MS - this.#clock.now() : 0;
    void this.#clock.sleep(delay).then(() => {
      watched.isScheduled = false;
      // Somebody who could not wait has asked meanwhile, or asks now.
      if (watched.waiting.length > 0) this.#ask(watched).catch(() => undefined);
    });
  }

  #ask(watched: Watched): Promise<void> {
    watched.running ??= this.#run(watched).finally(() => {
      watched.running = null;
    });
    return watched.running;
  }

  async #run(watched: Watched): Promise<void> {
    const asked = watched.waiting;
    watched.waiting = [];
    watched.begunAt = this.#clock.now();
    try {
      await this.#look(watched.file);
    } catch (error) {
      const isVerdict = ['revision-changed', 'not-found'].includes(codeOf(error) ?? '');
      // Where there is no verdict, the next answer or whoever needs one asks again: in an outage nobody does.
      if (isVerdict) for (const one of asked) one.reject(error);
      else watched.waiting.unshift(...asked);
      if (isVerdict) this.#scheduleBehind(watched);
      throw error;
    }
    watched.goodAt = watched.begunAt;
    for (const one of asked) one.resolve();
    this.#scheduleBehind(watched);
  }

  /** For the answers that began after the question that ends now. */
  #scheduleBehind(watched: Watched): void {
    if (watched.waiting.length > 0) setImmediate(() => this.#schedule(watched));
  }
}
