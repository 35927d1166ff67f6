/**
 * Compares the whole content of a revision with the provider's MD5 while it is being read.
 *
 * An MD5 covers the whole content, so no single range can be checked. Blocks that come in order are hashed as they pass; the
 * rest is read back from the cache's file once every block is present. Invariant: the read that would deliver the last bytes
 * of the content waits for the verdict, so a program that reads a whole file never gets success with wrong bytes.
 */
import { createHash, type Hash } from 'node:crypto';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { ProviderError } from '../providers/errors.js';
import { BLOCK_BYTES, blockOf } from './blocks.js';
import type { CachedRevision } from './cached-revision.js';

/** Blocks that are read back at a time: 256 KiB take 0.4 ms to hash, and requests can wait that long. */
const PIECE_BLOCKS = 4;
/** Pause between two pieces in the background, ms: leaves two thirds of the time to other work, and hashes 10 GiB a minute. */
const PAUSE_MS = 1;
/** Blocks that were delivered out of order and wait to be hashed, 4 MiB: the kernel reorders as many. */
const MAX_EARLY = 64;
/** Evicted blocks that are fetched once more for a verdict, 4 MiB: the most that a damaged disk may cost. */
const MAX_MISSING = 64;

export interface ContentCheckOptions {
  readonly name: string;
  /** Hex. */
  readonly md5: string;
  readonly cached: CachedRevision;
  /** Resolves when every block on its way to the cache has arrived there. */
  readonly arrived: () => Promise<unknown>;
  /** A whole block, from the cache or from the provider. */
  readonly block: (block: number) => Promise<Uint8Array>;
  /** The content does not have the provider's MD5; programs have got a part of it. */
  readonly onCorruption: () => void;
}

export class ContentCheck {
  /** Goes up when the content turns out to be wrong: reads that began before must fail. */
  generation = 0;
  readonly #options: ContentCheckOptions;
  readonly #cached: CachedRevision;
  #hash: Hash = createHash('md5');
  /** The first block that is not hashed yet. */
  #next = 0;
  /** Blocks of which a program, or the kernel's page cache, may have got bytes. */
  readonly #delivered: Uint8Array;
  #undelivered: number;
  readonly #early = new Map<number, Uint8Array>();
  /** The pass under way over blocks that are present and not hashed. */
  #pass: Promise<void> | null = null;
  /** Readers that wait for the pass. */
  #waiting = 0;
  #isStopped = false;

  constructor(options: ContentCheckOptions) {
    this.#options = options;
    this.#cached = options.cached;
    this.#undelivered = options.cached.map.count;
    this.#delivered = new Uint8Array(this.#undelivered);
  }

  /** The content has the provider's MD5, and the CRCs of its blocks are known for good. */
  get isVerified(): boolean {
    return this.#cached.isChecked;
  }

  /** The whole content came in one answer, and has the MD5. */
  arrivedWhole(blocks: readonly [number, Uint8Array][]): void {
    if (blocks.some(([block, data]) => this.#cached.contradicts(block, data))) this.#markCorrupt();
    this.#markVerified();
  }

  /** A whole block came from the network. Throws where it differs from the block as it came before, or where the content is wrong. */
  arrived(block: number, data: Uint8Array): void {
    if (this.#cached.contradicts(block, data)) {
      const { name } = this.#options;
      // One of the two is wrong. If the content was verified, it is the new one; else it may be the one that programs have got.
      if (!this.isVerified) this.#markCorrupt();
      throw new ProviderError('integrity', `block ${block} of ${name} is not what it was when it came before`);
    }
    const { generation } = this;
    if (!this.isVerified && block === this.#next) this.#take(data, block + 1);
    this.require(generation);
  }

  /** Throws where the content has turned out to be wrong since `generation`. */
  require(generation: number): void {
    if (generation === this.generation) return;
    throw new ProviderError('integrity', `${this.#options.name}: the bytes received do not have the file's checksum`);
  }

  /**
   * Call it before bytes from `offset` are delivered to a program; `generation` is that of the beginning of the read. Waits
   * for the verdict where they are the last bytes that were not delivered. Rejects where the content is wrong.
   */
  async beforeDelivery(data: Uint8Array, offset: number, generation: number): Promise<void> {
    const first = blockOf(offset);
    const last = blockOf(offset + data.length - 1);
    if (generation === this.generation && !this.isVerified) {
      this.#hashDelivered(data, offset);
      if (!this.isVerified && generation === this.generation && this.#completesDelivery(first, last))
        await this.#verdict();
    }
    this.require(generation);
    if (this.isVerified) return;
    for (let block = first; block <= last; block++) {
      if (this.#delivered[block] === 0) this.#undelivered--;
      this.#delivered[block] = 1;
    }
  }

  /** Hashes the rest of a content whose blocks are all present, slowly. Resolves when no more can be done. */
  hashInBackground(): Promise<void> {
    if (this.isVerified || this.#isStopped || !this.#cached.isComplete()) return Promise.resolve();
    return this.#hashPresent();
  }

  /** Ends the background work. A pass that a reader waits for goes on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#pass;
  }

  /** Do these blocks complete the delivery of the whole content? */
  #completesDelivery(first: number, last: number): boolean {
    let undelivered = this.#undelivered;
    for (let block = first; block <= last; block++) if (this.#delivered[block] === 0) undelivered--;
    return undelivered === 0;
  }

  /**
   * Hashes the rest, and fetches a few blocks again for it. There is no verdict where more blocks are gone: the cache is too
   * small for the file, and it was not read in order.
   */
  async #verdict(): Promise<void> {
    const { generation } = this;
    this.#waiting++;
    try {
      await this.#options.arrived();
      await this.#hashPresent();
      while (!this.isVerified && generation === this.generation && this.#missing() <= MAX_MISSING) {
        const block = this.#next;
        const data = await this.#options.block(block);
        if (generation === this.generation && block === this.#next) this.#take(data, block + 1);
        await this.#hashPresent();
      }
    } finally {
      this.#waiting--;
    }
  }

  /** Blocks that are neither hashed nor present; counting ends where there are too many. */
  #missing(): number {
    const { map } = this.#cached;
    let missing = 0;
    for (let block = this.#next; block < map.count && missing <= MAX_MISSING; block++) if (!map.has(block)) missing++;
    return missing;
  }

  /** Concurrent callers share one pass. */
  #hashPresent(): Promise<void> {
    this.#pass ??= this.#hashLoop().finally(() => {
      this.#pass = null;
    });
    return this.#pass;
  }

  async #hashLoop(): Promise<void> {
    const { map, size } = this.#cached;
    const buffer = Buffer.allocUnsafe(PIECE_BLOCKS * BLOCK_BYTES);
    while (!this.isVerified && !(this.#isStopped && this.#waiting === 0)) {
      const { generation } = this;
      const from = this.#next;
      let end = from;
      while (end < map.count && end < from + PIECE_BLOCKS && map.has(end)) end++;
      const piece = buffer.subarray(0, Math.min(end * BLOCK_BYTES, size) - from * BLOCK_BYTES);
      if (end === from || !(await this.#cached.readSpan(piece, from * BLOCK_BYTES))) return;
      if (generation !== this.generation) return;
      if (from === this.#next) this.#take(piece, end);
      if (this.#waiting > 0) await setImmediate();
      else await setTimeout(PAUSE_MS);
    }
  }

  /**
   * Hashes bytes that a program reads, where they are the next ones. Bytes ahead of that are copied and hashed later. Without
   * the copy they would be read back from the disk, and the last read would wait for all bytes behind them.
   */
  #hashDelivered(data: Uint8Array, offset: number): void {
    const { map, size } = this.#cached;
    const until = offset + data.length;
    const end = until >= size ? map.count : blockOf(until);
    if (offset <= this.#next * BLOCK_BYTES) {
      if (end > this.#next) this.#take(data.subarray(this.#next * BLOCK_BYTES - offset), end);
      return;
    }
    for (let block = Math.ceil(offset / BLOCK_BYTES); block < end && this.#early.size < MAX_EARLY; block++) {
      if (this.#early.has(block)) continue;
      const at = block * BLOCK_BYTES - offset;
      this.#early.set(block, Uint8Array.from(data.subarray(at, at + BLOCK_BYTES)));
    }
  }

  /** Hashes the blocks from `#next` to before `end`. `data` may have bytes of an incomplete block behind them. */
  #take(data: Uint8Array, end: number): void {
    const { map, size } = this.#cached;
    this.#hash.update(data.subarray(0, Math.min(end * BLOCK_BYTES, size) - this.#next * BLOCK_BYTES));
    for (; this.#next < end; this.#next++) this.#early.delete(this.#next);
    const early = this.#early.get(end);
    if (early !== undefined) this.#take(early, end + 1);
    else if (end === map.count) this.#compare();
  }

  #compare(): void {
    if (this.#hash.digest('hex') === this.#options.md5.toLowerCase()) this.#markVerified();
    else this.#markCorrupt();
  }

  #markVerified(): void {
    this.#cached.isChecked = true;
    this.#cached.changed = true;
    this.#early.clear();
  }

  /** The next read begins a new check. */
  #markCorrupt(): void {
    this.generation++;
    this.#hash = createHash('md5');
    this.#next = 0;
    this.#undelivered = this.#delivered.fill(0).length;
    this.#early.clear();
    this.#options.onCorruption();
  }
}
