/**
 * Reads one revision of a remote file: present blocks from the cache, missing ones from the provider (block-fetcher.ts).
 *
 * Invariant: one reader exists per revision, however many handles read it, so a block in flight is fetched once for all of them.
 */
import { steadyTimeOf } from '../base/clock.js';
import { codeOf } from '../base/errors.js';
import { InUse } from '../base/in-use.js';
import { ProviderError } from '../providers/errors.js';
import { orAborted } from '../providers/or-aborted.js';
import type { Priority, RemoteFile } from '../providers/provider.js';
import { revisionKey, YOUNG_MS } from '../providers/provider.js';
import type { BackingFile } from '../spool/backing-file.js';
import type { BlockCache, MovedToSpool } from './block-cache.js';
import { BlockFetcher, type FetchRange, type Pending } from './block-fetcher.js';
import { BLOCK_BYTES, blockCount, blockOf } from './blocks.js';
import { bytesOf } from './cache-contents.js';
import type { CachedRevision } from './cached-revision.js';
import { ContentCheck } from './content-check.js';
import { planSequentialFetch, type SequentialFetch } from './sequential-fetch.js';

/** Largest single request for bytes that a program waits for. */
const DEMAND_REQUEST = 8 * 1024 * 1024;
/** Bytes that `readToVerdict` reads at a time. */
const CONFIRM_PIECE = 1024 * 1024;
/** Bytes fetched ahead of a sequential reader, but at most SEQUENTIAL_SHARE of the cache's limit. */
const SEQUENTIAL_WINDOW = 4 * DEMAND_REQUEST;
const SEQUENTIAL_SHARE = 1 / 4;
/** Bytes that `storeAll` asks for at a time: two requests, so that connections stay free for programs. */
const STORE_WINDOW = 2 * DEMAND_REQUEST;
/** Attempts to get a block whose shared fetch failed, or that was damaged or evicted meanwhile. */
const TRIES = 3;
/** Attempts for a young file. The service tells times in whole seconds, so a file may be young for 3 s, and each attempt waits for 2 s. */
const YOUNG_TRIES = 4;

export interface ReaderEvents {
  /** The content does not have the provider's MD5. Programs have got a part of it. */
  readonly onCorruption: () => void;
  /** The file has become another one at the provider. Programs may have got bytes of the new one. */
  readonly onOutdated: () => void;
  /** Called with the number of bytes of each block, or stored piece, that has arrived. */
  readonly onReceived: (bytes: number) => void;
}

export class RevisionReader {
  readonly key: string;
  readonly file: RemoteFile;
  /** Null if the provider tells no MD5, or the file is empty. */
  readonly check: ContentCheck | null;
  /** Handles that use it; counted by `ReaderPool`. */
  users = 0;
  readonly #cache: BlockCache;
  readonly #cached: CachedRevision;
  readonly #fetcher: BlockFetcher;
  readonly #reads = new InUse();
  #sequential: SequentialFetch = { at: 0, requestedUntil: 0 };
  #isClosed = false;

  constructor(cache: BlockCache, file: RemoteFile, fetch: FetchRange, events: ReaderEvents) {
    this.key = revisionKey(file);
    this.file = file;
    this.#cache = cache;
    this.#cached = cache.acquire(this.key, file.size);
    this.#fetcher = new BlockFetcher(file, this.#cached, fetch, (blocks) => {
      cache.misses += blocks;
    });
    this.#fetcher.onReceived = events.onReceived;
    this.#fetcher.onYoung = () => {
      this.#cached.youngUntil = steadyTimeOf(cache.clock).now() + YOUNG_MS;
    };
    this.#fetcher.onOutdated = (error) => this.#outdated(error, events.onOutdated);
    this.check = file.md5 === null || file.size === 0 ? null : this.#makeCheck(file.md5, events.onCorruption);
    this.#fetcher.check = this.check;
  }

  /** Are requests for it in flight? */
  get isFetching(): boolean {
    return this.#fetcher.isBusy;
  }

  /** The number of present bytes. */
  present(): number {
    return bytesOf(this.#cached.map, this.file.size);
  }

  /** The content is not young, and has the provider's MD5. Without an MD5: the bytes that arrived are known to be of this revision. */
  get isSound(): boolean {
    return this.#isOfRevision && !this.isYoung;
  }

  /** `isSound` as far as the service can tell. For a young file it cannot. */
  get #isOfRevision(): boolean {
    return this.check === null ? this.#fetcher.isProven : this.check.isConfirmed;
  }

  /** Did bytes come so soon after a change of the file that they must be fetched anew (`RangeBody.isYoung`)? */
  get isYoung(): boolean {
    return this.#cached.youngUntil !== null;
  }

  /** How long the file is still young, ms. 0: it no longer is. */
  #youngFor(): number {
    return Math.max(0, (this.#cached.youngUntil ?? 0) - steadyTimeOf(this.#cache.clock).now());
  }

  /** Another program begins to read. If the file is no longer young, the bytes that came while it was are dropped and fetched anew. */
  renew(): void {
    if (!this.isYoung || this.#youngFor() > 0) return;
    this.#cached.youngUntil = null;
    this.#cache.discardCorrupt(this.#cached);
    this.#fetcher.restart();
  }

  /**
   * Resolves when all that was read is known to be of this revision. Rejects if it is not, or if the provider cannot be asked.
   * Needed before bytes become a part of another content.
   */
  async proven(): Promise<void> {
    if (this.check?.isConfirmed !== true) await this.#fetcher.proven();
  }

  #outdated(error: unknown, tell: () => void): void {
    // The MD5 has shown that the whole content is of this revision.
    if (this.check?.isConfirmed === true || this.#isClosed) return;
    this.#cache.discardCorrupt(this.#cached);
    this.check?.reset();
    this.#fetcher.failPending(error);
    tell();
  }

  /** Fills `into` from `offset`. Returns the number of bytes, fewer only at the end of the file. Rejects as the provider does. */
  read(into: Uint8Array, offset: number): Promise<number> {
    return this.#reads.during(() => this.#read(into, offset));
  }

  async #read(into: Uint8Array, offset: number): Promise<number> {
    const end = Math.min(offset + into.length, this.file.size);
    if (end <= offset) return 0;
    const wanted = into.subarray(0, end - offset);
    const generation = this.check?.generation ?? 0;
    await this.#gather(wanted, offset, generation);
    await this.check?.beforeDelivery(wanted, offset, generation);
    return wanted.length;
  }

  async #gather(wanted: Uint8Array, offset: number, generation: number): Promise<void> {
    const end = offset + wanted.length;
    const first = blockOf(offset);
    const last = blockOf(end - 1);
    if (await this.#cached.readSpan(wanted, offset)) {
      this.#cache.hits += last - first + 1;
      return;
    }
    this.#fetcher.request(first, last, DEMAND_REQUEST, 'foreground');
    // Collected now: if the cache has no space for a block, it is gone after its delivery to the waiting reads.
    const underway = new Map<number, Pending>();
    for (let block = first; block <= last; block++) {
      const pending = this.#fetcher.pending(block);
      if (pending !== undefined) underway.set(block, pending);
    }
    if (await isStoredWhole(underway)) {
      // No block passed through memory, so one read from the disk brings all.
      this.check?.require(generation);
      if (await this.#cached.readSpan(wanted, offset)) return;
    }
    for (let block = first; block <= last; block++) {
      const data = await this.#block(block, generation, underway.get(block));
      const start = block * BLOCK_BYTES;
      const from = Math.max(offset, start);
      const to = Math.min(end, start + data.length);
      wanted.set(data.subarray(from - start, to - start), from - offset);
    }
  }

  /**
   * Fetches the missing blocks of `[from, to)`, without waiting. A failure shows when a program reads there. `inBatch`: receives long
   * ranges outside of the event loop even if the priority is not 'background'.
   */
  prefetch(
    from: number,
    to: number,
    requestBytes: number,
    priority: Priority,
    signal?: AbortSignal,
    inBatch = false,
  ): void {
    if (to > from) this.#fetcher.request(blockOf(from), blockOf(to - 1), requestBytes, priority, signal, inBatch);
  }

  /** Fetches ahead of a caller that reads `[at, end)` in order. The requests are large, and several are in flight at a time. */
  prefetchSequential(at: number, end: number, signal?: AbortSignal): void {
    const window = Math.min(SEQUENTIAL_WINDOW, this.#cache.limit * SEQUENTIAL_SHARE);
    const { state, fetch } = planSequentialFetch(this.#sequential, { at, end, window });
    this.#sequential = state;
    if (fetch === null) return;
    const [from, to] = fetch;
    if (to > from) this.#fetcher.request(blockOf(from), blockOf(to - 1), DEMAND_REQUEST, 'foreground', signal, true);
  }

  /** Bytes that would have to be fetched for `ranges`, which are in order. */
  missingBytes(ranges: readonly (readonly [number, number])[]): number {
    let blocks = 0;
    let next = 0;
    for (const [from, to] of ranges) {
      // Two ranges may lie in one block.
      for (let block = Math.max(next, blockOf(from)); block * BLOCK_BYTES < to; block++) {
        if (!this.#cached.has(block)) blocks++;
        next = block + 1;
      }
    }
    return blocks * BLOCK_BYTES;
  }

  /** Reads the whole content until its check has a verdict (see `isSound`). Rejects if the content is wrong. */
  async readToVerdict(signal?: AbortSignal): Promise<void> {
    if (this.check === null) return orAborted(this.proven(), signal);
    const { size } = this.file;
    const piece = Buffer.allocUnsafe(Math.min(size, CONFIRM_PIECE));
    for (let at = 0; at < size && !this.isSound; at += piece.length) {
      signal?.throwIfAborted();
      this.prefetchSequential(at, size, signal);
      await orAborted(this.read(piece, at), signal);
    }
  }

  /**
   * Fetches all missing blocks into the cache, at a lower priority than reads, and checks them. True: all are present and sound. False:
   * the cache does not keep them, or their soundness is not known. Rejects as the provider does. `progress` is called with the number of
   * bytes of the file that are done.
   */
  async storeAll(signal: AbortSignal, progress: (bytes: number) => void = () => {}): Promise<boolean> {
    await this.#storeAll(signal, progress);
    for (let tries = 0; this.isYoung && tries < YOUNG_TRIES; tries++) {
      // A timer may fire a little early.
      while (this.#youngFor() > 0) await this.#cache.clock.sleep(this.#youngFor(), signal);
      this.renew();
      await this.#storeAll(signal, progress);
    }
    return this.#cached.isComplete() && this.isSound;
  }

  async #storeAll(signal: AbortSignal, progress: (bytes: number) => void): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#fetchAll(signal, progress);
        break;
      } catch (error) {
        // The request of another reader may have been cancelled, or have brought the whole file instead.
        if (tries >= TRIES || signal.aborted || codeOf(error) !== 'aborted') throw error;
      }
    }
    // Abortable, so that an unmount does not wait until a film is hashed.
    await orAborted(this.#fetcher.arrived(), signal);
    if (this.check !== null) await orAborted(this.check.hashInBackground(), signal);
    await orAborted(this.proven(), signal);
  }

  /** Requests one window at a time, and the next one before the last has arrived. */
  async #fetchAll(signal: AbortSignal, progress: (bytes: number) => void): Promise<void> {
    const blocks = blockCount(this.file.size);
    const step = STORE_WINDOW / BLOCK_BYTES;
    let before: Promise<void> = Promise.resolve();
    for (let first = 0; first < blocks; first += step) {
      signal.throwIfAborted();
      const last = Math.min(first + step, blocks) - 1;
      this.#fetcher.request(first, last, DEMAND_REQUEST, 'background', signal, true);
      const came = this.#fetcher.came(first, last);
      // Awaited one step later.
      came.catch(() => undefined);
      await before;
      progress(first * BLOCK_BYTES);
      before = came;
    }
    await before;
  }

  /** The cache's file, for the kernel to read directly: see `BlockCache.openBacking`. Null unless it is complete and sound. */
  openBacking(): BackingFile | null {
    if (this.isSound) return this.#cache.openBacking(this.#cached);
    // The next open may find it verified.
    void this.check?.hashInBackground();
    return null;
  }

  /** Would `moveToSpool` find a complete, verified file? */
  canMoveToSpool(): boolean {
    return this.#isOfRevision && this.#cached.isFullyVerified();
  }

  /**
   * Moves the cache's file to the spool, where it may be changed: see `BlockCache.moveToSpool`. This includes young bytes: the program that
   * is about to change them has read them, and the service may have no others.
   */
  moveToSpool(path: string): MovedToSpool | null {
    return this.#isOfRevision ? this.#cache.moveToSpool(this.#cached, path) : null;
  }

  /** Is the whole range `[from, to)` in the cache? */
  has(from: number, to: number): boolean {
    for (let block = blockOf(from); block <= blockOf(Math.max(from, to - 1)); block++) {
      if (!this.#cached.has(block)) return false;
    }
    return true;
  }

  /** Resolves when no read or fetch is in flight, and all that arrived is either known to be of this revision or dropped. */
  async idle(): Promise<void> {
    while (this.#reads.isBusy || this.#fetcher.isBusy) {
      await this.#reads.idle();
      await this.#fetcher.arrived();
    }
    if (!this.isSound) await this.proven().catch(() => this.#keepNothing());
  }

  /** Drops unproven bytes: the provider cannot be asked now, and this reader will not ask again. */
  #keepNothing(): void {
    if (!this.#fetcher.isProven) this.#cache.discardCorrupt(this.#cached);
  }

  /** Releases the revision in the cache. The reader must be idle and stay so. */
  close(): void {
    this.#isClosed = true;
    this.check?.close();
    this.#cache.release(this.#cached);
  }

  async #block(block: number, generation: number, underway?: Pending): Promise<Uint8Array> {
    for (let tries = 1; ; tries++) {
      const pending = tries === 1 && underway !== undefined ? underway : this.#fetcher.pending(block);
      if (pending !== undefined) {
        try {
          const data = (await pending.data) ?? (await this.#cached.readBlock(block));
          if (data !== null) return data;
        } catch (error) {
          // The read-ahead of another handle may have been cancelled or postponed. That says nothing about this read.
          if (tries >= TRIES || !isRetryable(error, pending.isAhead)) throw error;
        }
      } else {
        const data = await this.#cached.readBlock(block);
        if (data !== null) {
          this.#cache.hits++;
          return data;
        }
        if (tries >= TRIES && this.#fetcher.pending(block) === undefined) {
          throw new ProviderError('integrity', `block ${block} of ${this.file.name} cannot be had`);
        }
      }
      this.check?.require(generation);
      this.#fetcher.request(block, block, DEMAND_REQUEST, 'foreground');
    }
  }

  #makeCheck(md5: string, onCorruption: () => void): ContentCheck {
    return new ContentCheck({
      name: this.file.name,
      md5,
      cached: this.#cached,
      hasher: this.#cache.hasher,
      arrived: () => this.#fetcher.arrived(),
      block: (block) => this.#block(block, this.check?.generation ?? 0),
      onCorruption: () => {
        const { id, name } = this.file;
        this.#cache.log.error({ id, name }, 'what was received of a file is damaged, and dropped from the cache');
        this.#cache.discardCorrupt(this.#cached);
        // Blocks in flight belong to the wrong content. Reads that wait for them must ask again.
        const error = new ProviderError('integrity', `${name} was damaged on its way here`);
        this.#fetcher.failPending(error);
        onCorruption();
      },
    });
  }
}

/** Waits for the blocks. True: all of them went directly into the cache's file, none through memory. */
async function isStoredWhole(underway: ReadonlyMap<number, Pending>): Promise<boolean> {
  const arrived = await Promise.allSettled(Array.from(underway.values(), ({ data }) => data));
  return arrived.every((block) => block.status === 'fulfilled' && block.value === null);
}

function isRetryable(error: unknown, isAhead: boolean): boolean {
  if (!(error instanceof ProviderError)) return false;
  // A rate limit refuses read-ahead before it refuses foreground requests. A refused foreground request has already waited
  // for the limit.
  return error.code === 'aborted' || error.code === 'integrity' || (error.code === 'rate-limited' && isAhead);
}
