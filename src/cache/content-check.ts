/**
 * Compares the whole content of a revision with the MD5 that the provider tells, while it is being read.
 *
 * Of a range nobody can say whether it is right: only of the whole. What comes in order is hashed as it passes, from the
 * network or on its way to a program; the rest is read back from the cache's file once all of it is here. The read that
 * would show the last of the content waits for the verdict: a program that reads a file from beginning to end is never told
 * success with wrong bytes.
 */
import { createHash, type Hash } from 'node:crypto';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { ProviderError } from '../providers/errors.js';
import { BLOCK_BYTES, blockOf } from './blocks.js';
import type { CachedRevision } from './cached-revision.js';

/** Blocks that are read back at a time: 256 KiB take 0.4 ms to hash, for which requests can wait. */
const PIECE_BLOCKS = 4;
/** Between two pieces that nobody waits for, ms: leaves two thirds of the time to others, and makes 10 GiB a minute. */
const PAUSE_MS = 1;
/** Blocks that were shown ahead of their turn and wait for it, 4 MiB: as many as the kernel mixes up. */
const MAX_EARLY = 64;
/** Blocks gone from the cache that are fetched once more for a verdict, 4 MiB: what a damaged disk may cost. */
const MAX_MISSING = 64;

export interface ContentCheckOptions {
  readonly name: string;
  /** Hex. */
  readonly md5: string;
  readonly cached: CachedRevision;
  /** Resolves when what is on its way to the cache has arrived there. */
  readonly arrived: () => Promise<unknown>;
  /** A whole block, from wherever it can be had. */
  readonly block: (block: number) => Promise<Uint8Array>;
  /** The content is not what the provider told; it was shown to programs in part. */
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
  /** Blocks of which a program, or the kernel for all programs, may have got something. */
  readonly #delivered: Uint8Array;
  #undelivered: number;
  readonly #early = new Map<number, Uint8Array>();
  /** The pass over what is here and was not hashed. */
  #pass: Promise<void> | null = null;
  /** Readers that wait for it. */
  #waiting = 0;
  #isStopped = false;

  constructor(options: ContentCheckOptions) {
    this.#options = options;
    this.#cached = options.cached;
    this.#undelivered = options.cached.map.count;
    this.#delivered = new Uint8Array(this.#undelivered);
  }

  /** The content is what the provider told, and the checksums of its blocks are known for good. */
  get isVerified(): boolean {
    return this.#cached.isChecked;
  }

  /** All of the content came at once, and has the MD5. */
  arrivedWhole(blocks: readonly [number, Uint8Array][]): void {
    if (blocks.some(([block, data]) => this.#cached.contradicts(block, data))) this.#markCorrupt();
    this.#markVerified();
  }

  /** A whole block came from the network. Throws where it is not what it was, or must be. */
  arrived(block: number, data: Uint8Array): void {
    if (this.#cached.contradicts(block, data)) {
      const { name } = this.#options;
      // One of the two is wrong. Of a checked content it is this one; else it may be what programs have got.
      if (!this.isVerified) this.#markCorrupt();
      throw new ProviderError('integrity', `block ${block} of ${name} is not what it was when it came before`);
    }
    const { generation } = this;
    if (!this.isVerified && block === this.#next) this.#take(data, block + 1);
    this.require(generation);
  }

  /** Throws where the content has turned out to be wrong since. */
  require(generation: number): void {
    if (generation === this.generation) return;
    throw new ProviderError('integrity', `${this.#options.name}: the bytes received do not have the file's checksum`);
  }

  /**
   * Bytes from `offset` are about to be shown; `generation` is that of the beginning of the read. Waits for the verdict
   * where they are the last that were not shown. Rejects where the content is wrong.
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

  /** Hashes what is here and was not hashed, at leisure; resolves when no more can be done. */
  hashInBackground(): Promise<void> {
    if (this.isVerified || this.#isStopped || !this.#cached.isComplete()) return Promise.resolve();
    return this.#hashPresent();
  }

  /** Ends the work that nobody waits for. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#pass;
  }

  /** With these blocks, is all of the content shown? */
  #completesDelivery(first: number, last: number): boolean {
    let undelivered = this.#undelivered;
    for (let block = first; block <= last; block++) if (this.#delivered[block] === 0) undelivered--;
    return undelivered === 0;
  }

  /** There is none where much is gone again: the cache is too small for the file, and it was not read in order. */
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

  /** Blocks that are not hashed and not here; counting ends where there are too many. */
  #missing(): number {
    const { map } = this.#cached;
    let missing = 0;
    for (let block = this.#next; block < map.count && missing <= MAX_MISSING; block++) if (!map.has(block)) missing++;
    return missing;
  }

  /** Several who want it make one pass. */
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
   * Hashes what is next of bytes that are read. What comes ahead of its turn waits for it: to read it back from the disk
   * would leave everything behind it for the last read to wait for.
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

  /** The blocks from `#next` to before `end`; what follows them in `data` is of no block as a whole. */
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

  /** Who asks again begins anew. */
  #markCorrupt(): void {
    this.generation++;
    this.#hash = createHash('md5');
    this.#next = 0;
    this.#undelivered = this.#delivered.fill(0).length;
    this.#early.clear();
    this.#options.onCorruption();
  }
}
