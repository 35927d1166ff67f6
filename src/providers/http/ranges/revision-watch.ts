/**
 * Asks, in parallel with the downloads of a file, whether the file still has the revision that they want. It is for services whose answers
 * do not tell the revision. It asks at most once a second for each revision, unless a caller cannot wait.
 *
 * Invariant: an answer is proven only by a question that began after it. That question begins within a second of the answer.
 */
import type { Clock } from '../../../base/clock.js';
import { codeOf } from '../../../base/errors.js';
import { lruOf } from '../../../base/lru.js';
import type { RevisionProof } from '../../content.js';
import { type RemoteFile, revisionKey } from '../../provider.js';

/** The time between the beginnings of two questions, ms. */
const INTERVAL_MS = 1000;
/** The number of revisions that are remembered. A forgotten one may be asked for again in less than a second. */
const REMEMBERED = 1000;

/** An answer that is not proven yet. */
interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Watched {
  readonly file: RemoteFile;
  /** When the last question began, and the last one that found the file unchanged, ms since the epoch. */
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

  /** `look` rejects with `revision-changed` or `not-found` if the file has changed or is gone, or with another error of the provider. */
  constructor(clock: Clock, look: (file: RemoteFile) => Promise<void>) {
    this.#clock = clock;
    this.#look = look;
  }

  /** Resolves if a question of the last second has found the file unchanged; asks if there was none. Rejects as `look` does. */
  async recently(file: RemoteFile): Promise<void> {
    const watched = this.#of(file);
    if (watched.running === null && this.#isWithinInterval(watched.goodAt)) return;
    await this.#ask(watched);
  }

  /** The proof for an answer. The caller must call this after the answer has begun. */
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

  /** False if the clock was set back since. */
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
      // If none waits, a caller of `demand` or `recently` has asked meanwhile. If a question runs, this call shares it.
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
      // Without a verdict, the next answer or the next `demand` asks again. No timer does, which would be useless in an outage.
      if (isVerdict) for (const one of asked) one.reject(error);
      else watched.waiting.unshift(...asked);
      if (isVerdict) this.#scheduleBehind(watched);
      throw error;
    }
    watched.goodAt = watched.begunAt;
    for (const one of asked) one.resolve();
    this.#scheduleBehind(watched);
  }

  /** Schedules a question for the answers that began after the one that ends now. */
  #scheduleBehind(watched: Watched): void {
    if (watched.waiting.length > 0) setImmediate(() => this.#schedule(watched));
  }
}
