/**
 * Renames by copying that failed, with an unknown outcome: the copy may be stored. If it is, the background finishes the rename, as the
 * next mount does after a crash. Otherwise the file would stay under both names.
 */
import { SteadyTime } from '../../base/clock.js';
import { messageOf } from '../../base/errors.js';
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.js';
import type { Core } from '../core/core.js';
import type { BegunRename } from './begun-rename.js';
import { LOOKED_FOR } from './copies.js';

/** Nothing is stored after these answers. */
const refusals: ReadonlySet<string> = new Set<ProviderErrorCode>([
  ...(['not-found', 'exists', 'invalid-name', 'permission', 'auth'] as const),
  ...(['quota', 'too-large', 'limit', 'unsupported'] as const),
]);

/** May the service have stored a content although its upload failed with this? */
export function mayBeStored(error: unknown): boolean {
  return !(error instanceof ProviderError && refusals.has(error.code));
}

interface Unsettled {
  readonly rename: BegunRename;
  /** By `#time`. */
  readonly failedAt: number;
}

export class UnsettledRenames {
  readonly #core: Core;
  readonly #onSettled: (row: number) => void;
  readonly #time: SteadyTime;
  /** By journal row. */
  readonly #pending = new Map<number, Unsettled>();
  /** Finishes a rename if its copy is stored. False: there is none. */
  finish: (rename: BegunRename) => Promise<boolean> = () => Promise.resolve(false);
  /** Has a later rename stored a copy under the same name, or is it about to? A copy found there may be of that rename. */
  isSuperseded: (row: number, rename: BegunRename) => boolean = () => false;

  /** Calls `onSettled` with the journal row of a rename when it is finished, or when its copy was never stored. */
  constructor(core: Core, onSettled: (row: number) => void) {
    this.#core = core;
    this.#onSettled = onSettled;
    this.#time = new SteadyTime(core.clock);
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  add(row: number, rename: BegunRename): void {
    this.#pending.set(row, { rename, failedAt: this.#time.now() });
  }

  /** Never rejects. Renames with an outcome that cannot be found out now stay. */
  async settle(): Promise<void> {
    for (const [row, { rename, failedAt }] of [...this.#pending]) {
      const isLastLook = this.#time.now() >= failedAt + LOOKED_FOR;
      try {
        const isFinished = this.isSuperseded(row, rename) || (await this.#finish(rename));
        if (!isFinished && !isLastLook) continue;
        this.#pending.delete(row);
        this.#onSettled(row);
      } catch (error) {
        this.#core.log.warn({ intent: row }, `a rename waits to be settled: ${messageOf(error)}`);
      }
    }
  }

  /** Finishes a rename and tells the kernel, because programs may have looked at both names meanwhile. */
  async #finish(rename: BegunRename): Promise<boolean> {
    const { table, invalidate } = this.#core;
    const before = table.get(rename.source);
    const isFinished = await this.finish(rename);
    const names = [before, rename];
    for (const place of isFinished ? names : [])
      if (place !== undefined && place.parent !== null) {
        const { parent, name } = place;
        setImmediate(() => invalidate({ kind: 'entry', parent, name }));
      }
    return isFinished;
  }
}
