/**
 * Counts the contents that earlier mounts left in the cache, and removes those that cannot be trusted. There may be a hundred thousand
 * files, so they are counted in the background, in the order of their keys, some at a time.
 *
 * Invariant: a revision is counted before this mount uses or changes its row (`ensure`). So a row that is not counted yet is as the last
 * mount left it, and none is counted twice.
 */
import { Pieces, turn } from '../base/event-loop-turns.js';
import { blockCount } from './blocks.js';
import { segmentsOf } from './cache-contents.js';
import { fileNamesInParts, nameOf } from './cache-file-names.js';
import { type CacheSpace, MIN_CHARGE } from './cache-space.js';
import type { BriefRow, CacheIndex } from './index-db.js';

/** Rows that are counted in one turn of the event loop. Each takes 10 to 15 µs, and a third of that is the hash of its name. */
const ROWS_PER_TURN = 100;

/** Up to this many rows are counted at once, in some milliseconds, with a stat of each file instead of a list of all. */
const FEW_ROWS = 200;

export interface IndexLoaderOptions {
  readonly directory: string;
  readonly index: CacheIndex;
  readonly space: CacheSpace;
  /** Does the file of a revision exist? */
  hasFile(key: string): boolean;
  /** Removes a revision, its file and its row. */
  remove(key: string): void;
  /** Runs `act`, and logs its failure. */
  safely<T>(what: string, key: string, act: () => T): T | undefined;
}

export class IndexLoader {
  /** Resolves when the counting has ended, or the cache is closed. */
  readonly done: Promise<void>;
  readonly #options: IndexLoaderOptions;
  /** All revisions up to this key are counted. Null: all are. */
  #cursor: string | null = '';
  /** Revisions after the cursor that are counted already. */
  readonly #ahead = new Set<string>();
  readonly #isFew: boolean;
  readonly #work: Generator<void, void>;
  #hasBegun = false;
  #resolveDone!: () => void;

  constructor(options: IndexLoaderOptions) {
    this.#options = options;
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
    const [count, bytes] = options.safely('count', '', () => options.index.total()) ?? [0, 0];
    // The last segment of a revision is charged at least MIN_CHARGE. The others consist of whole blocks.
    options.space.uncounted = bytes + count * MIN_CHARGE;
    this.#isFew = count <= FEW_ROWS;
    this.#work = this.#count(this.#isFew ? null : new Set());
  }

  /** If there are only a few, counts all at once. */
  countFew(): void {
    if (this.#isFew) this.finish();
  }

  get isDone(): boolean {
    return this.#options.space.mayEvict;
  }

  /** Begins to count in the background. */
  begin(): void {
    if (this.#hasBegun || this.isDone) return;
    this.#hasBegun = true;
    void this.#inBackground();
  }

  /** Counts the rest at once. */
  finish(): void {
    while (this.#step());
  }

  /** The cache is closed: the rest is left to the next mount. */
  stop(): void {
    this.#work.return();
    this.#resolveDone();
  }

  /** Counts one revision now, if it is not counted yet. */
  ensure(key: string): void {
    if (this.#cursor === null || isUpTo(key, this.#cursor) || this.#ahead.has(key)) return;
    const { index, hasFile, safely } = this.#options;
    this.#ahead.add(key);
    const row = safely('read', key, () => index.get(key));
    if (row !== undefined)
      this.#add(key, row.size, row.used_at, row.pinned, segmentsOf(row.blocks, row.size), hasFile(key));
  }

  async #inBackground(): Promise<void> {
    do await turn();
    while (this.#step());
  }

  /** Counts a piece. False: it was the last one, or the rest cannot be counted. That rest stays in `uncounted`, so that the limit holds. */
  #step(): boolean {
    const isMore = this.#options.safely('count', this.#cursor ?? '', () => this.#work.next().done !== true) ?? false;
    if (!isMore) this.#end();
    return isMore;
  }

  #end(): void {
    this.#cursor = null;
    this.#ahead.clear();
    this.#options.space.mayEvict = true;
    this.#resolveDone();
  }

  /** `names`: an empty set, to be filled with the names of all files. Null: a stat of each file instead. */
  *#count(names: Set<string> | null): Generator<void, void> {
    const { directory, index, space, hasFile, safely } = this.#options;
    if (names !== null) {
      for (const part of safely('list', directory, () => fileNamesInParts(directory)) ?? []) {
        for (const name of safely('list', directory, part) ?? []) names.add(name);
        yield;
      }
    }
    for (let rows: BriefRow[] | undefined; rows?.length !== 0; ) {
      rows = index.page(this.#cursor ?? '', ROWS_PER_TURN);
      for (const [key, size, usedAt, pinned, isPresent] of rows) {
        this.#cursor = key;
        if (this.#ahead.delete(key)) continue;
        const isBrief = isPresent !== null && blockCount(size) === 1;
        const blocks = isBrief ? null : (safely('read', key, () => index.get(key)?.blocks) ?? null);
        const segments = isBrief ? [isPresent * size] : segmentsOf(blocks, size);
        this.#add(key, size, usedAt, pinned, segments, names?.has(nameOf(key)) ?? hasFile(key));
      }
      if (rows.length > 0) yield;
    }
    this.#cursor = null;
    space.uncounted = 0;
    const pieces = new Pieces(ROWS_PER_TURN);
    while (space.trim()) if (pieces.isFull()) yield;
  }

  #add(
    key: string,
    size: number,
    usedAt: number,
    pinned: 0 | 1,
    segments: readonly number[] | null,
    hasFile: boolean,
  ): void {
    const { space, remove } = this.#options;
    space.uncounted -= size + MIN_CHARGE;
    if (segments === null || !hasFile) {
      remove(key);
      return;
    }
    if (pinned === 1) space.pin(key, blockCount(size));
    space.addEarlier(key, usedAt, segments);
  }
}

/** Compares in the order of the index, which is byte order. */
function isUpTo(key: string, last: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(last)) <= 0;
}
