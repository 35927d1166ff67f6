/**
 * The block cache on disk: one sparse file per revision, an index of the present blocks, and a limit that always holds.
 *
 * Space is reserved in the LRU before a byte is written, and the LRU evicts to make room. The unit of eviction is a
 * segment of a revision. If holes can be punched, only that segment is freed, otherwise the whole revision.
 * The cache never fails a read: after any error of its disk it answers "not present".
 */
import { randomUUID } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.js';
import { type ContentHasher, inlineHasher } from '../base/content-hasher.js';
import { messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { StateDatabase } from '../base/sqlite.js';
import type { BackingFile } from '../spool/backing-file.js';
import { FreeSpace } from '../spool/free-space.js';
import { BackingFiles } from './backing-files.js';
import { BlockMap, blockCount, blockLength, SEGMENT_BLOCKS, type Segment, segmentOf } from './blocks.js';
import { bytesOf, type CachedContent, cachedContents } from './cache-contents.js';
import { nameOf } from './cache-file-names.js';
import { CachePins } from './cache-pins.js';
import { CacheSpace } from './cache-space.js';
import { CachedRevision, type RevisionHost } from './cached-revision.js';
import { CacheIndex, openIndex } from './index-db.js';
import { IndexLoader } from './index-loader.js';
import { RevisionRows } from './revision-rows.js';
import { moveTo, type PunchHole } from './sparse-file.js';

export interface BlockCacheOptions {
  readonly directory: string;
  /** Bytes. */
  readonly limit: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly punchHole?: PunchHole;
  /** Default: on the event loop. */
  readonly hasher?: ContentHasher;
  /** Id of the machine's current boot. A file verified in this boot and not touched since is still good. Null: unknown. */
  readonly boot?: string | null;
}

export interface CacheStats {
  /** Bytes present. */
  readonly bytes: number;
  readonly limit: number;
  /** Bytes of pinned contents, which come on top of `bytes` and do not count against the limit. */
  readonly pinned: number;
  /** Blocks answered from the cache, and blocks that were missing. */
  readonly hits: number;
  readonly misses: number;
  /** The contents of earlier mounts are still being counted, so `bytes` and `pinned` are lower bounds. */
  readonly isCounting?: true;
}

/** A cached file that became a spool file. */
export interface MovedToSpool {
  /** Null unless the kernel reads the file directly. */
  readonly backingFile: BackingFile | null;
  /** CRC-32 of its blocks. */
  readonly crcs: readonly number[];
}

export class BlockCache implements RevisionHost {
  hits = 0;
  misses = 0;
  readonly limit: number;
  readonly log: Log;
  readonly punchHole: PunchHole | undefined;
  readonly hasher: ContentHasher;
  readonly clock: Clock;
  readonly #directory: string;
  readonly #database: StateDatabase;
  /** False: the directory cannot be written, so nothing is cached. */
  readonly #isUsable: boolean;
  readonly #index: CacheIndex;
  readonly #rows: RevisionRows;
  readonly #space: CacheSpace;
  /**
   * Counts the contents that earlier mounts left; the caller begins it. Until it is done, nothing is evicted, and only blocks that
   * certainly fit are stored.
   */
  readonly counting: IndexLoader;
  readonly #open = new Map<string, CachedRevision>();
  readonly #backingFiles: BackingFiles;
  readonly #freeSpace: FreeSpace;
  readonly pins: CachePins;

  constructor(options: BlockCacheOptions) {
    this.limit = options.limit;
    this.log = options.log;
    this.punchHole = options.punchHole;
    this.hasher = options.hasher ?? inlineHasher;
    this.clock = options.clock;
    this.#directory = options.directory;
    const { database, isUsable } = openIndex(options.directory, options.log);
    this.#database = database;
    this.#isUsable = isUsable;
    this.#index = new CacheIndex(this.#database.sql);
    this.#backingFiles = new BackingFiles(options.limit);
    this.#space = new CacheSpace(options.limit, {
      // Evicting an open backing file would free nothing.
      isInUse: (key) => this.#backingFiles.has(key),
      detachedBytes: () => this.#backingFiles.detachedBytes,
      evict: (segment) => this.#evicted(segment),
    });
    this.#rows = new RevisionRows({
      index: this.#index,
      clock: options.clock,
      boot: options.boot ?? randomUUID(),
      pathOf: (key) => this.pathOf(key),
      isPinned: (key) => this.#space.isPinned(key),
    });
    this.#freeSpace = new FreeSpace(options.directory, (bytes) => {
      if (this.counting.isDone) this.reclaim(bytes);
    });
    const safely = <T>(what: string, key: string, act: () => T): T | undefined => this.#safely(what, key, act);
    const parts = { space: this.#space, index: this.#index, safely };
    this.counting = new IndexLoader({
      ...{ ...parts, directory: options.directory },
      hasFile: (key) => existsSync(this.pathOf(key)),
      remove: (key) => this.#remove(key),
    });
    this.pins = new CachePins({ ...parts, loader: this.counting, freeSpace: this.#freeSpace, isUsable });
    this.counting.countFew();
  }

  stats(): CacheStats {
    const { hits, misses, limit } = this;
    const bytes = this.#space.bytes + this.#backingFiles.detachedBytes;
    const counts = { bytes, limit, pinned: this.#space.pinnedBytes, hits, misses };
    return this.counting.isDone ? counts : { ...counts, isCounting: true };
  }

  /** Opens the cached blocks of one revision; all readers of it share one object. Pair with `release`. */
  acquire(key: string, size: number): CachedRevision {
    let revision = this.#open.get(key);
    if (revision === undefined) {
      this.counting.ensure(key);
      const stored = this.#safely('read', key, () => this.#rows.stored(key, size));
      const map = new BlockMap(blockCount(size), stored?.blocks);
      revision = new CachedRevision(this, key, size, this.pathOf(key), map, stored?.isConfirmed === true);
      if (stored?.isVerified) revision.markVerified();
      this.#open.set(key, revision);
    }
    revision.users++;
    return revision;
  }

  release(revision: CachedRevision): void {
    revision.users--;
    if (revision.users > 0) return;
    this.#open.delete(revision.key);
    this.persist(revision);
    revision.closeFile();
  }

  /**
   * The file of an open revision, for the kernel to read directly. Null unless every block is present and verified, and
   * backing files have not used up their share. The file is neither changed nor evicted before `closeBacking`.
   */
  openBacking(revision: CachedRevision): BackingFile | null {
    const { key } = revision;
    revision.wasUsed = true;
    return this.#safely('open a backing file', key, () => this.#backingFiles.open(revision, this.pathOf(key))) ?? null;
  }

  closeBacking(backingFile: BackingFile): void {
    const isLast = this.#backingFiles.close(backingFile);
    if (!isLast || backingFile.owner !== 'cache') return;
    for (let segment = 0; segment <= segmentOf(blockCount(backingFile.size)); segment++)
      this.touch(backingFile.key, segment);
  }

  /**
   * Moves the file of an open revision to `path`, where it becomes a spool file. Programs that read it directly keep it.
   * Null, and nothing changed, unless every block is present and verified and the file can be moved there. Throws if it cannot
   * be moved while programs read it directly: they would go on with another content than everybody else.
   */
  moveToSpool(revision: CachedRevision, path: string): MovedToSpool | null {
    const { key, size, map } = revision;
    if (size === 0 || !revision.isFullyVerified()) return null;
    const crcs = Array.from({ length: map.count }, (_, block) => map.crc(block));
    try {
      // Marked before the move: should the process die in between, the index does not rely on the file.
      this.markDirty(revision);
      revision.isMarkedDirty = true;
      revision.changed = true;
      renameSync(this.pathOf(key), path);
    } catch (error) {
      this.log.warn({ key }, `a cached file cannot be moved to the spool: ${messageOf(error)}`);
      if (this.#backingFiles.has(key)) throw error;
      return null;
    }
    const backingFile = this.#backingFiles.moveToSpool(key);
    this.#space.forget(key, map.count);
    revision.clear();
    return { backingFile, crcs };
  }

  /** Is every block of the revision present? */
  isComplete(key: string, size: number): boolean {
    return this.present(key, size).bytes === size;
  }

  /** How many bytes of a revision are present, and whether its whole content once matched its MD5. */
  present(key: string, size: number): { readonly bytes: number; readonly isConfirmed: boolean } {
    const revision = this.acquire(key, size);
    const { map, isConfirmed } = revision;
    const bytes = bytesOf(map, size);
    this.release(revision);
    return { bytes, isConfirmed };
  }

  /** The present contents, some revisions at a time. */
  contents(): Generator<CachedContent[], void> {
    return cachedContents(this.#database, this.#open);
  }

  /** Does a program read the revision now? */
  isInUse(key: string): boolean {
    return this.#open.has(key) || this.#backingFiles.has(key);
  }

  /**
   * Moves a file into the cache. The file holds the whole content of a revision that the provider has stored and confirmed.
   * `crcs` are the CRC-32 of its blocks; `backingFile` is set if the kernel reads it directly. False if it does not fit or
   * cannot be moved here; the file then stays where it was (or is gone, if the index fails after the move).
   */
  adopt(
    key: string,
    size: number,
    path: string,
    crcs: readonly number[],
    backingFile: BackingFile | null = null,
  ): boolean {
    const isTooLarge = size > this.limit / 2 && !this.#space.isPinned(key);
    if (size === 0 || isTooLarge || this.#open.has(key) || this.#backingFiles.has(key)) return false;
    if (backingFile !== null && !this.#backingFiles.fits(size)) return false;
    const map = new BlockMap(blockCount(size));
    let hasMoved = false;
    try {
      this.drop(key);
      for (let block = 0; block < map.count; block++) {
        if (!this.reserve(key, block, blockLength(block, size))) throw new Error('there is no room for it');
        map.set(block, crcs[block] ?? 0);
      }
      moveTo(path, this.pathOf(key));
      hasMoved = true;
      this.#rows.putWhole(key, map, size);
      if (backingFile !== null) this.#backingFiles.adopt(backingFile, key, size);
      return true;
    } catch (error) {
      // Another file system (EXDEV), or a broken cache disk: the content is at the provider, so nothing is lost.
      this.log.debug({ key }, `not taken into the cache: ${messageOf(error)}`);
      this.#space.forget(key, map.count);
      // A file without a row would never be counted or found again.
      if (hasMoved) this.#remove(key);
      return false;
    }
  }

  /** Reserves `bytes` of a block's segment before they are written. False: do not write. */
  reserve(key: string, block: number, bytes: number): boolean {
    return this.#isUsable && this.#space.reserve(key, block, bytes);
  }

  /** Frees `bytes` of the disk, or as many as possible, least recently used first. The caller cannot wait, so all is counted at once. */
  reclaim(bytes: number): void {
    this.counting.finish();
    this.#space.reclaim(bytes);
  }

  /** Does the disk have `bytes` free? Evicts older blocks if it does not. The spool's contents come before any cached block. */
  hasFreeSpace(bytes: number): boolean {
    return this.#isUsable && this.#safely('look at the disk', '', () => this.#freeSpace.has(bytes)) === true;
  }

  /** Gives back the space reserved for a block that was not written after all. */
  unreserve(key: string, block: number, bytes: number): void {
    this.#space.unreserve(key, block, bytes);
  }

  /** A segment was used: it becomes the most recently used one. */
  touch(key: string, segment: number): void {
    this.#space.touch(key, segment);
  }

  /** Drops the reservations of an open revision whose blocks are gone. */
  forget(revision: CachedRevision): void {
    this.#backingFiles.detach(revision.key);
    this.#space.forget(revision.key, revision.map.count);
  }

  /** Frees every block of an open revision. */
  discard(revision: CachedRevision): void {
    this.forget(revision);
    revision.clear();
  }

  /** Frees every block of an open revision whose content turned out to be wrong. */
  discardCorrupt(revision: CachedRevision): void {
    this.forget(revision);
    revision.clearCorrupt();
  }

  /** Called before the first write after a `persist`. After a crash, the index then trusts no block of this file. */
  markDirty(revision: CachedRevision): void {
    this.#rows.putDirty(revision);
  }

  persist(revision: CachedRevision): void {
    if (revision.youngUntil !== null) this.discardCorrupt(revision);
    revision.youngUntil = null;
    const { key, changed, wasUsed } = revision;
    revision.changed = false;
    revision.isMarkedDirty = false;
    revision.wasUsed = false;
    this.#safely('write', key, () => {
      if (changed && revision.isEmpty()) this.#remove(key);
      else if (changed || wasUsed) this.#rows.putState(revision, changed);
    });
  }

  /** Removes a revision that nobody reads. */
  drop(key: string): void {
    this.counting.ensure(key);
    const row = this.#index.get(key);
    if (row === undefined || this.#open.has(key) || this.#backingFiles.has(key)) return;
    this.#space.forget(key, blockCount(row.size));
    this.#remove(key);
  }

  /**
   * Drops a revision because another content has got the same key. That happens if a service tells times in whole
   * seconds and no checksum, and both contents have the same size.
   */
  invalidate(key: string, size: number): void {
    const revision = this.acquire(key, size);
    this.discard(revision);
    this.release(revision);
  }

  close(): void {
    this.counting.stop();
    for (const revision of this.#open.values()) {
      this.persist(revision);
      revision.closeFile();
    }
    this.#open.clear();
    this.#database.close();
  }

  pathOf(key: string): string {
    const name = nameOf(key);
    return join(this.#directory, name.slice(0, 2), name);
  }

  #evicted({ key, segment }: Segment): void {
    const open = this.#open.get(key);
    const size = open?.size ?? this.#safely('read', key, () => this.#index.get(key)?.size) ?? 0;
    const isWhole = this.punchHole === undefined || blockCount(size) <= SEGMENT_BLOCKS;
    if (isWhole) this.#space.forget(key, blockCount(size));
    if (open !== undefined) {
      if (isWhole) open.clear();
      else open.clearSegment(segment);
    } else if (isWhole) {
      this.#remove(key);
    } else {
      const revision = this.acquire(key, size);
      revision.clearSegment(segment);
      this.release(revision);
    }
  }

  #remove(key: string): void {
    this.#safely('remove', key, () => {
      this.#index.delete(key);
      rmSync(this.pathOf(key), { force: true });
    });
  }

  /** Logs a failure of the index or disk. A broken index costs downloads, but fails no read. */
  #safely<T>(what: string, key: string, act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.log.warn({ key }, `cache: cannot ${what}: ${messageOf(error)}`);
      return undefined;
    }
  }
}
