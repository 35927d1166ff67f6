/**
 * Reads one revision of a remote file: present blocks from the cache, missing ones from the provider.
 *
 * Invariant: one reader exists per revision, however many handles read it, so a block under way is fetched once for all.
 * Reads that wait for a fetched block get it from memory, where it stays until it is on the disk.
 */
import { createHash } from 'node:crypto';
import { InUse } from '../base/in-use.js';
import { ProviderError } from '../providers/errors.js';
import { orAborted } from '../providers/or-aborted.js';
import type { ByteRange, Priority, RangeBody, RemoteFile, RequestOptions } from '../providers/provider.js';
import { revisionKey } from '../providers/provider.js';
import type { BackingFile } from '../spool/backing-file.js';
import type { BlockCache, MovedToSpool } from './block-cache.js';
import { blocksOf, type Run, RunCollector } from './block-runs.js';
import { BLOCK_BYTES, blockCount, blockOf } from './blocks.js';
import type { CachedRevision } from './cached-revision.js';
import { ContentCheck } from './content-check.js';
import { WHOLE_FILE_BYTES } from './read-ahead.js';
import { planSequentialFetch, type SequentialFetch } from './sequential-fetch.js';

export type FetchRange = (file: RemoteFile, range: ByteRange, options: RequestOptions) => Promise<RangeBody>;

/** Largest single request for bytes that a program waits for. */
const DEMAND_REQUEST = 8 * 1024 * 1024;
/** Bytes that `confirm` reads at a time. */
const CONFIRM_PIECE = 1024 * 1024;
/** Bytes fetched ahead of a sequential reader; a share of the cache's limit is the other bound. */
const SEQUENTIAL_WINDOW = 4 * DEMAND_REQUEST;
const SEQUENTIAL_SHARE = 1 / 4;
/** Tries for a block whose shared fetch failed, or that was damaged or evicted meanwhile. */
const TRIES = 3;
/** Runs of one request that may wait in memory for the disk. */
const MAX_UNWRITTEN = 2;

interface Pending {
  /** Read-ahead: its failure says little about a request that a program waits for. */
  readonly isAhead: boolean;
  readonly data: Promise<Uint8Array>;
  readonly resolve: (data: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** The blocks that a request is to bring. */
type Expected = Map<number, Pending>;

export class RevisionReader {
  readonly key: string;
  readonly file: RemoteFile;
  /** Null where the provider tells no MD5. */
  readonly check: ContentCheck | null;
  /** Handles that use it; counted by `ReaderPool`. */
  users = 0;
  readonly #cache: BlockCache;
  readonly #cached: CachedRevision;
  readonly #fetch: FetchRange;
  /** Some blocks were fetched before, by this reader or an earlier one. */
  #hasEarlierBytes: boolean;
  readonly #pending = new Map<number, Pending>();
  readonly #runs = new Set<Promise<void>>();
  readonly #reads = new InUse();
  #sequential: SequentialFetch = { at: 0, requestedUntil: 0 };
  /** The whole file under way, which a server sent in answer to a range. */
  #stream: Promise<void> | null = null;

  constructor(cache: BlockCache, file: RemoteFile, fetch: FetchRange, onCorruption: () => void) {
    this.key = revisionKey(file);
    this.file = file;
    this.#cache = cache;
    this.#cached = cache.acquire(this.key, file.size);
    this.#hasEarlierBytes = !this.#cached.isEmpty();
    this.#fetch = fetch;
    this.check = file.md5 === null || file.size === 0 ? null : this.#makeCheck(file.md5, onCorruption);
  }

  /** Does the whole content have the provider's MD5? True where the provider tells none. */
  get isSound(): boolean {
    return this.check === null || this.check.isVerified;
  }

  /** Fills `into` from `offset`; answers the bytes read, fewer only at the end of the file. Rejects as the provider does. */
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
    this.#request(first, last, DEMAND_REQUEST, 'foreground');
    // Noted now: a block that the cache has no space for is gone once it was delivered to the waiting reads.
    const underway = new Map<number, Pending>();
    for (let block = first; block <= last; block++) {
      const pending = this.#pending.get(block);
      if (pending !== undefined) underway.set(block, pending);
    }
    for (let block = first; block <= last; block++) {
      const data = await this.#block(block, generation, underway.get(block));
      const start = block * BLOCK_BYTES;
      const from = Math.max(offset, start);
      const to = Math.min(end, start + data.length);
      wanted.set(data.subarray(from - start, to - start), from - offset);
    }
  }

  /** Fetches the missing blocks of `[from, to)`, without waiting. A failure shows when a program reads there. */
  prefetch(from: number, to: number, requestBytes: number, priority: Priority, signal?: AbortSignal): void {
    if (to > from) this.#request(blockOf(from), blockOf(to - 1), requestBytes, priority, signal);
  }

  /** Fetches ahead of a caller that reads `[at, end)` in order, in large requests, several at a time. */
  prefetchSequential(at: number, end: number, signal?: AbortSignal): void {
    const window = Math.min(SEQUENTIAL_WINDOW, this.#cache.limit * SEQUENTIAL_SHARE);
    const { state, fetch } = planSequentialFetch(this.#sequential, { at, end, window });
    this.#sequential = state;
    if (fetch === null) return;
    const [from, to] = fetch;
    if (to > from) this.#request(blockOf(from), blockOf(to - 1), DEMAND_REQUEST, 'foreground', signal, true);
  }

  /** Bytes of `ranges` that would have to be fetched. */
  missingBytes(ranges: readonly (readonly [number, number])[]): number {
    const blocks = ranges.flatMap(([from, to]) =>
      Array.from({ length: blockCount(to - from) }, (_, i) => blockOf(from) + i),
    );
    return blocks.filter((block) => !this.#cached.has(block)).length * BLOCK_BYTES;
  }

  /** Reads the whole content until its check has a verdict (see `isSound`). Rejects where the content is wrong. */
  async confirm(signal?: AbortSignal): Promise<void> {
    const { size } = this.file;
    const piece = Buffer.allocUnsafe(Math.min(size, CONFIRM_PIECE));
    for (let at = 0; at < size && !this.isSound; at += piece.length) {
      signal?.throwIfAborted();
      this.prefetchSequential(at, size, signal);
      await orAborted(this.read(piece, at), signal);
    }
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
    return this.isSound && this.#cached.isFullyVerified();
  }

  /** Moves the cache's file to the spool, where it may be changed: see `BlockCache.moveToSpool`. */
  moveToSpool(path: string): MovedToSpool | null {
    return this.isSound ? this.#cache.moveToSpool(this.#cached, path) : null;
  }

  /** Is all of `[from, to)` in the cache? */
  has(from: number, to: number): boolean {
    for (let block = blockOf(from); block <= blockOf(Math.max(from, to - 1)); block++) {
      if (!this.#cached.has(block)) return false;
    }
    return true;
  }

  /** Resolves when neither a read nor a fetch is under way. */
  async idle(): Promise<void> {
    while (this.#reads.isBusy || this.#runs.size > 0) {
      await this.#reads.idle();
      await Promise.allSettled(this.#runs);
    }
  }

  /** Releases the revision in the cache. Only for a reader that is idle and stays so. */
  close(): void {
    this.#cache.release(this.#cached);
  }

  async #block(block: number, generation: number, underway?: Pending): Promise<Uint8Array> {
    for (let tries = 1; ; tries++) {
      const pending = tries === 1 && underway !== undefined ? underway : this.#pending.get(block);
      if (pending !== undefined) {
        try {
          return await pending.data;
        } catch (error) {
          // The read-ahead of another handle may have been cancelled or put off; that says nothing about this read.
          if (tries >= TRIES || !isRetryable(error, pending.isAhead)) throw error;
        }
      } else {
        const data = await this.#cached.readBlock(block);
        if (data !== null) {
          this.#cache.hits++;
          return data;
        }
        if (tries >= TRIES && !this.#pending.has(block)) {
          throw new ProviderError('integrity', `block ${block} of ${this.file.name} cannot be had`);
        }
      }
      this.check?.require(generation);
      this.#request(block, block, DEMAND_REQUEST, 'foreground');
    }
  }

  /** Starts requests for every block in `[first, last]` that is neither present nor under way. */
  #request(
    first: number,
    last: number,
    requestBytes: number,
    priority: Priority,
    signal?: AbortSignal,
    inBatch = false,
  ): void {
    const perRequest = Math.max(1, Math.floor(requestBytes / BLOCK_BYTES));
    const isMissing = (block: number): boolean => !this.#cached.has(block) && !this.#pending.has(block);
    for (let block = first; block <= last; block++) {
      if (!isMissing(block)) continue;
      let end = block + 1;
      while (end <= last && end - block < perRequest && isMissing(end)) end++;
      this.#start(block, end, { priority, signal, inBatch });
      block = end - 1;
    }
  }

  #start(first: number, end: number, options: RequestOptions): void {
    const expected: Expected = new Map();
    for (let block = first; block < end; block++) this.#addPending(block, expected, options.priority === 'background');
    this.#cache.misses += end - first;
    const run = this.#run(first, end, expected, options)
      .then(() => new ProviderError('protocol', `${this.file.name}: the answer lacks bytes that were asked for`))
      .catch((error: unknown) => error)
      .then((error) => {
        for (const [block, pending] of expected) {
          pending.reject(error);
          this.#removePending(block, pending);
        }
        this.#runs.delete(run);
      });
    this.#runs.add(run);
  }

  async #run(first: number, end: number, expected: Expected, options: RequestOptions): Promise<void> {
    if (this.#stream !== null) return this.#waitForStream(this.#stream);
    const offset = first * BLOCK_BYTES;
    const length = Math.min(end * BLOCK_BYTES, this.file.size) - offset;
    const answer = await this.#fetch(
      this.file,
      { offset, length },
      { ...options, hasEarlierBytes: this.#hasEarlierBytes, isVerified: this.#isVerifiedBeforeDelivery(length) },
    );
    const isRequestedRange = answer.offset >= offset && answer.offset + answer.length <= offset + length;
    if (isRequestedRange) return this.#receive(answer, expected);
    if (this.#stream !== null) {
      await discard(answer.body);
      return this.#waitForStream(this.#stream);
    }
    // The server ignored the range and sends the whole file. Receive all of it, once.
    for (let block = blockOf(answer.offset); block < blockCount(answer.offset + answer.length); block++) {
      if (!this.#cached.has(block) && !this.#pending.has(block)) this.#addPending(block, expected, true);
    }
    const taking = this.#receive(answer, expected);
    this.#stream = taking
      .catch(() => undefined)
      .finally(() => {
        this.#stream = null;
      });
    return taking;
  }

  /** Are the bytes of an answer of this length checked before any of them is delivered? See `#receive`. */
  #isVerifiedBeforeDelivery(length: number): boolean {
    const isSmall = length === this.file.size && length <= WHOLE_FILE_BYTES;
    return this.check !== null && (this.check.isVerified || isSmall);
  }

  /**
   * While a whole file is on its way because the server ignores ranges, another request would only bring it again. Waiting
   * reads get their blocks from the stream, and try again for blocks that had passed before they came.
   */
  async #waitForStream(stream: Promise<void> | null): Promise<void> {
    await stream;
    throw new ProviderError('aborted', `${this.file.name}: sent whole to another reader`);
  }

  async #receive(answer: RangeBody, expected: Expected): Promise<void> {
    const { check } = this;
    this.#hasEarlierBytes = true;
    const isWhole = answer.offset === 0 && answer.length === this.file.size;
    const isSmall = isWhole && answer.length <= WHOLE_FILE_BYTES;
    const writes: Promise<void>[] = [];
    const runs = new RunCollector();
    let generation = check?.generation;
    const delivered = new Map<number, Pending>();
    const store = (run: Run | null): void => {
      if (run !== null && generation === check?.generation) writes.push(this.#store(run, expected, delivered));
    };
    const deliver = (block: number, data: Uint8Array): void => {
      const pending = this.#pending.get(block);
      pending?.resolve(data);
      if (pending !== undefined) delivered.set(block, pending);
      store(runs.add(block, data));
    };
    // No byte of a small file is delivered before its MD5 is known to match.
    const withheld: [number, Uint8Array][] | null = check !== null && !check.isVerified && isSmall ? [] : null;
    try {
      for await (const [block, data] of blocksOf(answer, this.file.size)) {
        if (withheld !== null) {
          withheld.push([block, data]);
          continue;
        }
        check?.arrived(block, data);
        // The content turned out to be wrong: earlier blocks are not stored.
        if (generation !== check?.generation) runs.take();
        generation = check?.generation;
        deliver(block, data);
        // A disk slower than the network must slow the network down, not fill the memory.
        if (writes.length >= MAX_UNWRITTEN) await Promise.all(writes.splice(0));
      }
      if (withheld !== null && md5Of(withheld) !== this.file.md5?.toLowerCase()) {
        throw new ProviderError('integrity', `${this.file.name}: the bytes received do not have the file's checksum`);
      }
      if (withheld !== null) check?.arrivedWhole(withheld);
      generation = check?.generation;
      for (const [block, data] of withheld ?? []) deliver(block, data);
    } finally {
      // Whole blocks of an answer that breaks off are stored all the same.
      store(runs.take());
      await Promise.all(writes);
    }
  }

  #makeCheck(md5: string, onCorruption: () => void): ContentCheck {
    return new ContentCheck({
      name: this.file.name,
      md5,
      cached: this.#cached,
      arrived: () => Promise.allSettled(this.#runs),
      block: (block) => this.#block(block, this.check?.generation ?? 0),
      onCorruption: () => {
        const { id, name } = this.file;
        this.#cache.log.error({ id, name }, 'what was received of a file is damaged, and dropped from the cache');
        this.#cache.discardCorrupt(this.#cached);
        // Blocks on their way to the disk belong to the wrong content. Reads that wait for more of it must ask again.
        const error = new ProviderError('integrity', `${name} was damaged on its way here`);
        for (const pending of this.#pending.values()) pending.reject(error);
        this.#pending.clear();
        onCorruption();
      },
    });
  }

  #addPending(block: number, expected: Expected, isAhead: boolean): void {
    let resolve!: (data: Uint8Array) => void;
    let reject!: (error: unknown) => void;
    const data = new Promise<Uint8Array>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    // Read-ahead may fail while no read waits for it: that is no unhandled rejection.
    data.catch(() => undefined);
    const pending = { isAhead, data, resolve, reject };
    this.#pending.set(block, pending);
    expected.set(block, pending);
  }

  /** Writes blocks that were delivered to the cache. */
  async #store({ first, data }: Run, expected: Expected, delivered: Map<number, Pending>): Promise<void> {
    const generation = this.check?.generation;
    await this.#cached.write(first, data);
    const isKnown = generation !== undefined && generation === this.check?.generation;
    for (let at = 0; at < data.length; at += BLOCK_BYTES) {
      const block = first + at / BLOCK_BYTES;
      if (isKnown && !this.#cached.has(block)) this.#cached.noteCrc(block, data.subarray(at, at + BLOCK_BYTES));
      expected.delete(block);
      const pending = delivered.get(block);
      if (pending !== undefined) this.#removePending(block, pending);
    }
  }

  #removePending(block: number, pending: Pending): void {
    if (this.#pending.get(block) === pending) this.#pending.delete(block);
  }
}

/** Ends a body that is not needed: leaving the loop closes its connection. */
async function discard(body: RangeBody['body']): Promise<void> {
  for await (const _ of body) break;
}

function md5Of(blocks: readonly [number, Uint8Array][]): string {
  const hash = createHash('md5');
  for (const [, data] of blocks) hash.update(data);
  return hash.digest('hex');
}

function isRetryable(error: unknown, isAhead: boolean): boolean {
  if (!(error instanceof ProviderError)) return false;
  // A rate limit puts off read-ahead where it would let a foreground request through. A foreground request that was
  // refused has waited for the limit itself.
  return error.code === 'aborted' || error.code === 'integrity' || (error.code === 'rate-limited' && isAhead);
}
