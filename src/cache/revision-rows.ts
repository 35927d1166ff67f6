/**
 * The cache index's record of a revision's file: the present blocks, and whether they may be trusted after a restart.
 *
 * Blocks need no new check while the file has the fingerprint that it had when every block was verified. While a file is being
 * written its row has no blocks, so after a crash none of them is trusted.
 */
import type { Clock } from '../base/clock.js';
import type { BlockMap } from './blocks.js';
import type { CachedRevision } from './cached-revision.js';
import { fingerprintOf } from './file-fingerprint.js';
import type { CacheIndex } from './index-db.js';

export interface RevisionRowsOptions {
  readonly index: CacheIndex;
  readonly clock: Clock;
  /** Id of the machine's current boot. */
  readonly boot: string;
  readonly pathOf: (key: string) => string;
  readonly isPinned: (key: string) => boolean;
}

/** The blocks that an earlier use left. */
export interface StoredBlocks {
  /** `BlockMap.encode()`. */
  readonly blocks: Uint8Array;
  /** The whole content matched the provider's MD5. */
  readonly isConfirmed: boolean;
  /** Every block was verified, and the file has not changed since. */
  readonly isVerified: boolean;
}

export class RevisionRows {
  readonly #o: RevisionRowsOptions;

  constructor(options: RevisionRowsOptions) {
    this.#o = options;
  }

  /** Undefined if there is no row of this size that can be trusted. */
  stored(key: string, size: number): StoredBlocks | undefined {
    const row = this.#o.index.get(key);
    if (row === undefined || row.size !== size || row.blocks === null) return undefined;
    const isVerified = row.fingerprint !== null && row.fingerprint === this.#fingerprintOf(key);
    return { blocks: row.blocks, isConfirmed: row.confirmed === 1, isVerified };
  }

  /** The file has the whole content, and the provider has confirmed it. */
  putWhole(key: string, map: BlockMap, size: number): void {
    this.#put(key, size, { blocks: map.encode(), confirmed: 1, fingerprint: this.#fingerprintOf(key) });
  }

  /** The file is about to be written. */
  putDirty({ key, size }: CachedRevision): void {
    this.#put(key, size, { blocks: null, confirmed: 0, fingerprint: null });
  }

  /** The file is as `revision` says. `isChanged`: its blocks are not those of the row. */
  putState(revision: CachedRevision, isChanged: boolean): void {
    const { key, size, map, isConfirmed } = revision;
    const fingerprint = revision.isFullyVerified() ? this.#fingerprintOf(key) : null;
    if (isChanged) this.#put(key, size, { blocks: map.encode(), confirmed: isConfirmed ? 1 : 0, fingerprint });
    else this.#o.index.touch(key, this.#o.clock.now(), fingerprint);
  }

  #put(
    key: string,
    size: number,
    state: { readonly blocks: Uint8Array | null; readonly confirmed: 0 | 1; readonly fingerprint: string | null },
  ): void {
    const { index, clock, isPinned } = this.#o;
    index.put({ ...state, key, size, used_at: clock.now(), pinned: isPinned(key) ? 1 : 0 });
  }

  #fingerprintOf(key: string): string | null {
    return fingerprintOf(this.#o.pathOf(key), this.#o.boot) ?? null;
  }
}
