/**
 * Fetches missing blocks of one revision from the provider, hands them to the reads that wait for them, and writes them to the cache.
 *
 * Invariant: a block is in flight only once. A read that waits for it gets it from memory, where it stays until it is on the disk.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ByteRange, RangeBody, RevisionProof, StoredPiece } from '../providers/content.js';
import { ProviderError } from '../providers/errors.js';
import type { Priority, RemoteFile, RequestOptions } from '../providers/provider.js';
import type { BlockClaim } from './block-claim.js';
import { type Block, blocksOf, RUN_BLOCKS, type Run, RunCollector } from './block-runs.js';
import { BLOCK_BYTES, blockCount, blockOf } from './blocks.js';
import type { CachedRevision } from './cached-revision.js';
import type { ContentCheck } from './content-check.js';
import { WHOLE_FILE_BYTES } from './read-ahead.js';

export type FetchRange = (file: RemoteFile, range: ByteRange, options: RequestOptions) => Promise<RangeBody>;

/** A piece has the bytes that one call stores. */
const PIECES = { pieceBytes: RUN_BLOCKS * BLOCK_BYTES, partBytes: BLOCK_BYTES };
/**
 * Ranges longer than this (bytes) are received in pieces if the caller reads ahead. Passing a shorter one to another thread and back does
 * not pay. A range that a program waits for comes without that detour.
 */
const BULK_BYTES = 1024 * 1024;
const NO_BYTES = new Uint8Array(0);
/** Runs of one request that may wait in memory for the disk. */
const MAX_UNWRITTEN = 2;

export interface Pending {
  /** The block belongs to read-ahead. Its failure says little about a request that a program waits for. */
  readonly isAhead: boolean;
  /** Null: look for it in the cache. */
  readonly data: Promise<Uint8Array | null>;
  readonly resolve: (data: Uint8Array | null) => void;
  readonly reject: (error: unknown) => void;
}

/** The blocks that a request will bring. */
type Expected = Map<number, Pending>;

export class BlockFetcher {
  /** Compares the content with the provider's MD5. Null if the provider tells none. Set before the first request. */
  check: ContentCheck | null = null;
  /** Called with the number of bytes of each block, or stored piece, that has arrived. */
  onReceived: (bytes: number) => void = () => {};
  /** Called when the file turns out to be another one at the provider. The last bytes that arrived may be that one's. */
  onOutdated: (error: unknown) => void = () => {};
  /** Called when bytes are about to arrive that must be fetched anew later (`RangeBody.isYoung`). */
  onYoung: () => void = () => {};
  readonly #file: RemoteFile;
  readonly #cached: CachedRevision;
  readonly #fetch: FetchRange;
  readonly #onMissing: (blocks: number) => void;
  /** This reader or an earlier one has fetched blocks before. */
  #hasEarlierBytes: boolean;
  readonly #pending = new Map<number, Pending>();
  readonly #runs = new Set<Promise<void>>();
  /** The proofs of answers whose revision is not known yet. */
  readonly #unproven = new Set<RevisionProof>();
  /** The proofs that failed, with the error. Bytes of such an answer that still arrive are not kept. */
  readonly #refuted = new WeakMap<RevisionProof, unknown>();
  /** How often `restart` was called. Young answers that began before the last call are not kept. */
  #restarts = 0;
  /** The whole file in flight, because the server has ignored a range. */
  #stream: Promise<void> | null = null;

  /** `onMissing` is called with the number of blocks of each request. */
  constructor(file: RemoteFile, cached: CachedRevision, fetch: FetchRange, onMissing: (blocks: number) => void) {
    this.#file = file;
    this.#cached = cached;
    this.#hasEarlierBytes = !cached.isEmpty();
    this.#fetch = fetch;
    this.#onMissing = onMissing;
  }

  /** The block, if it is in flight. */
  pending(block: number): Pending | undefined {
    return this.#pending.get(block);
  }

  get isBusy(): boolean {
    return this.#runs.size > 0;
  }

  /** Is all that has arrived known to be of this revision? */
  get isProven(): boolean {
    return this.#unproven.size === 0;
  }

  /** Resolves when `isProven` holds. Rejects if the file is another one, or if the provider cannot be asked. */
  async proven(): Promise<void> {
    while (!this.isProven) await Promise.all(Array.from(this.#unproven, (proof) => proof.demand()));
  }

  #awaitProof(proof: RevisionProof): void {
    this.#unproven.add(proof);
    const settled = (): void => void this.#unproven.delete(proof);
    proof.settled.then(settled, (error: unknown) => {
      settled();
      this.#refuted.set(proof, error);
      this.onOutdated(error);
    });
  }

  /** Resolves when the requests in flight have ended and their blocks are in the cache. */
  async arrived(): Promise<void> {
    await Promise.allSettled(this.#runs);
  }

  /** Resolves when every block of `[first, last]` that is in flight has arrived. Rejects as soon as one cannot. */
  async came(first: number, last: number): Promise<void> {
    const underway: Promise<unknown>[] = [];
    for (let block = first; block <= last; block++) {
      const pending = this.#pending.get(block);
      if (pending !== undefined) underway.push(pending.data);
    }
    await Promise.all(underway);
  }

  /** The blocks in flight belong to a wrong content: reads that wait for them fail. */
  failPending(error: unknown): void {
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }

  /** All that has arrived may be outdated. Young answers in flight are dropped, and reads that wait for blocks ask again. */
  restart(): void {
    this.#restarts++;
    this.failPending(this.#superseded());
  }

  #superseded(): ProviderError {
    return new ProviderError('aborted', `${this.#file.name}: fetched anew`);
  }

  /** Starts requests for every block in `[first, last]` that is neither present nor in flight. */
  request(
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
    this.#onMissing(end - first);
    const run = this.#run(first, end, expected, options)
      .then(() => new ProviderError('protocol', `${this.#file.name}: the answer lacks bytes that were asked for`))
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
    const length = Math.min(end * BLOCK_BYTES, this.#file.size) - offset;
    const isBulk = length > BULK_BYTES && (options.priority === 'background' || options.inBatch === true);
    // An answer that is checked as a whole before delivery comes through memory.
    const claim = isBulk && !this.#isWithheld(length) ? this.#cached.claim(first, end) : null;
    try {
      await this.#fetchRange(
        { offset, length },
        {
          ...options,
          ...(isBulk && { pieces: claim === null ? PIECES : { ...PIECES, target: claim } }),
          hasEarlierBytes: this.#hasEarlierBytes,
          isVerified: this.#isConfirmedBeforeDelivery(length),
        },
        expected,
        claim,
      );
    } finally {
      await claim?.end();
    }
  }

  async #fetchRange(
    { offset, length }: ByteRange,
    options: RequestOptions,
    expected: Expected,
    claim: BlockClaim | null,
  ): Promise<void> {
    const answer = await this.#fetch(this.#file, { offset, length }, options);
    if (answer.proof !== undefined) this.#awaitProof(answer.proof);
    if (answer.isYoung) this.onYoung();
    const isRequestedRange = answer.offset >= offset && answer.offset + answer.length <= offset + length;
    if (isRequestedRange) return this.#receive(answer, expected, claim);
    if (this.#stream !== null) {
      await discard(answer.body);
      return this.#waitForStream(this.#stream);
    }
    // The server ignored the range and sends the whole file. All of it is received, once.
    for (let block = blockOf(answer.offset); block < blockCount(answer.offset + answer.length); block++) {
      if (!this.#cached.has(block) && !this.#pending.has(block)) this.#addPending(block, expected, true);
    }
    const taking = this.#receive(answer, expected, claim);
    this.#stream = taking
      .catch(() => undefined)
      .finally(() => {
        this.#stream = null;
      });
    return taking;
  }

  /** Are the bytes of an answer of this length checked before any of them is delivered? See `#receive`. */
  #isConfirmedBeforeDelivery(length: number): boolean {
    return this.check !== null && (this.check.isConfirmed || this.#isSmall(length));
  }

  /** Is an answer of this length held back until its MD5 is known to match? */
  #isWithheld(length: number): boolean {
    return this.check !== null && !this.check.isConfirmed && this.#isSmall(length);
  }

  #isSmall(length: number): boolean {
    return length === this.#file.size && length <= WHOLE_FILE_BYTES;
  }

  /**
   * While a whole file is in flight because the server ignores ranges, another request would only bring it again. Waiting
   * reads get their blocks from the stream. They try again for blocks that had passed before they began to wait.
   */
  async #waitForStream(stream: Promise<void> | null): Promise<void> {
    await stream;
    throw new ProviderError('aborted', `${this.#file.name}: sent whole to another reader`);
  }

  async #receive(answer: RangeBody, expected: Expected, claim: BlockClaim | null): Promise<void> {
    const { check } = this;
    this.#hasEarlierBytes = true;
    const restarts = this.#restarts;
    const writes: Promise<void>[] = [];
    const runs = new RunCollector();
    let generation = check?.generation;
    const delivered = new Map<number, Pending>();
    const store = (run: Run | null): void => {
      if (run !== null && generation === check?.generation) writes.push(this.#store(run, expected, delivered));
    };
    const deliver = (arrived: Block): void => {
      const { block, data } = arrived;
      claim?.giveBack(block);
      const pending = this.#pending.get(block);
      pending?.resolve(data);
      if (pending !== undefined) delivered.set(block, pending);
      for (const run of runs.add(arrived)) store(run);
    };
    // No byte of a small file is delivered before its MD5 is known to match.
    const withheld: Block[] | null = answer.offset === 0 && this.#isWithheld(answer.length) ? [] : null;
    try {
      for await (const block of blocksOf(answer, this.#file.size)) {
        this.onReceived('isStored' in block ? block.byteLength : block.data.length);
        if (answer.proof !== undefined && this.#refuted.has(answer.proof)) {
          runs.take();
          throw this.#refuted.get(answer.proof);
        }
        if (answer.isYoung && restarts !== this.#restarts) {
          runs.take();
          throw this.#superseded();
        }
        if ('isStored' in block) {
          store(runs.take());
          this.#landed(block, expected, claim);
          generation = check?.generation;
          continue;
        }
        if (withheld !== null) {
          withheld.push(block);
          continue;
        }
        check?.arrived(block);
        // The content turned out to be wrong: earlier blocks are not stored.
        if (generation !== check?.generation) runs.take();
        generation = check?.generation;
        deliver(block);
        // If the disk is slower than the network, it must slow the network down instead of filling the memory.
        if (writes.length >= MAX_UNWRITTEN) await Promise.all(writes.splice(0));
      }
      if (withheld !== null && md5Of(withheld) !== this.#file.md5?.toLowerCase()) {
        throw new ProviderError('integrity', `${this.#file.name}: the bytes received do not have the file's checksum`);
      }
      if (withheld !== null) check?.arrivedWhole(withheld);
      generation = check?.generation;
      for (const block of withheld ?? []) deliver(block);
    } finally {
      // If an answer breaks off, its complete blocks are still stored.
      store(runs.take());
      await Promise.all(writes);
    }
  }

  /** A piece lies in the cache's file, unless it was evicted meanwhile. Throws if the content is wrong. */
  #landed({ offset, crcs }: StoredPiece, expected: Expected, claim: BlockClaim | null): void {
    const first = blockOf(offset);
    for (const [at, crc] of crcs.entries()) this.check?.arrived({ block: first + at, data: NO_BYTES, crc });
    const isInCache = claim?.landed(first, crcs) === true;
    for (const [at, crc] of crcs.entries()) {
      const block = first + at;
      if (!isInCache) this.#cached.noteCrc(block, crc);
      const pending = expected.get(block);
      expected.delete(block);
      pending?.resolve(null);
      if (pending !== undefined) this.#removePending(block, pending);
    }
    this.check?.stored();
  }

  #addPending(block: number, expected: Expected, isAhead: boolean): void {
    let resolve!: (data: Uint8Array | null) => void;
    let reject!: (error: unknown) => void;
    const data = new Promise<Uint8Array | null>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    // Read-ahead may fail while no read waits for it. That must not become an unhandled rejection.
    data.catch(() => undefined);
    const pending = { isAhead, data, resolve, reject };
    this.#pending.set(block, pending);
    expected.set(block, pending);
  }

  /** Writes delivered blocks to the cache. */
  async #store({ first, data, crcs }: Run, expected: Expected, delivered: Map<number, Pending>): Promise<void> {
    const generation = this.check?.generation;
    await this.#cached.write(first, data, crcs);
    const isKnown = generation !== undefined && generation === this.check?.generation;
    for (let at = 0; at < data.length; at += BLOCK_BYTES) {
      const block = first + at / BLOCK_BYTES;
      if (isKnown && !this.#cached.has(block)) {
        const bytes = data.subarray(at, at + BLOCK_BYTES);
        this.#cached.noteCrc(block, crc32(bytes));
        this.check?.unstored(block, bytes);
      }
      expected.delete(block);
      const pending = delivered.get(block);
      if (pending !== undefined) this.#removePending(block, pending);
    }
    if (isKnown) this.check?.stored();
  }

  #removePending(block: number, pending: Pending): void {
    if (this.#pending.get(block) === pending) this.#pending.delete(block);
  }
}

/** Ends a body that is not needed: leaving the loop closes its connection. */
async function discard(body: RangeBody['body']): Promise<void> {
  for await (const _ of body) break;
}

function md5Of(blocks: readonly Block[]): string {
  const hash = createHash('md5');
  for (const { data } of blocks) hash.update(data);
  return hash.digest('hex');
}
