/**
 * Compares the whole content of a revision with the provider's MD5 while it is being read.
 *
 * An MD5 covers the whole content, so no single range can be checked. A pass hashes the blocks in order, as they arrive in the cache's
 * file, outside of the event loop. Invariant: the read that would deliver the last bytes of the content waits for the verdict, so a
 * program that reads a whole file never gets success with wrong bytes.
 */
import type { ContentHasher, RunningMd5 } from '../base/content-hasher.js';
import { messageOf } from '../base/errors.js';
import { ProviderError } from '../providers/errors.js';
import type { Block } from './block-runs.js';
import { blockOf } from './blocks.js';
import type { CachedRevision } from './cached-revision.js';

/** Blocks that are hashed at a time, 1 MiB: a message to the hashing thread takes as long as hashing a hundredth of that. */
const PIECE_BLOCKS = 16;
/** The most blocks that wait in memory to be hashed because the cache's file did not take them, 4 MiB: the kernel reorders as many. */
const MAX_UNSTORED = 64;
/** The most evicted blocks that are fetched again for a verdict, 4 MiB: a damaged disk may cost no more than that. */
const MAX_MISSING = 64;

export interface ContentCheckOptions {
  readonly name: string;
  /** Hex. */
  readonly md5: string;
  readonly cached: CachedRevision;
  readonly hasher: ContentHasher;
  /** Resolves when every block in flight has arrived in the cache. */
  readonly arrived: () => Promise<unknown>;
  /** A whole block, from the cache or from the provider. */
  readonly block: (block: number) => Promise<Uint8Array>;
  /** The content does not have the provider's MD5. Programs have got a part of it. */
  readonly onCorruption: () => void;
}

export class ContentCheck {
  /** Increases when the content turns out to be wrong: reads that began before must fail. */
  generation = 0;
  readonly #options: ContentCheckOptions;
  readonly #cached: CachedRevision;
  #md5: RunningMd5;
  /** Blocks before this one are hashed. */
  #next = 0;
  /** Blocks of which a program, or the kernel's page cache, may have got bytes. */
  readonly #delivered: Uint8Array;
  #undelivered: number;
  /** Blocks in memory that are not hashed yet and that the cache's file did not take. */
  readonly #unstored = new Map<number, Uint8Array>();
  /** The pass that is hashing the present blocks. */
  #pass: Promise<void> | null = null;
  /** Readers that wait for the pass. */
  #waiting = 0;
  #isStopped = false;
  /** Why the last pass ended early, if the hashing itself failed. */
  #failure: ProviderError | null = null;

  constructor(options: ContentCheckOptions) {
    this.#options = options;
    this.#md5 = options.hasher.md5();
    this.#cached = options.cached;
    this.#undelivered = options.cached.map.count;
    this.#delivered = new Uint8Array(this.#undelivered);
  }

  /** The content has the provider's MD5, so the known CRCs of its blocks are right. */
  get isConfirmed(): boolean {
    return this.#cached.isConfirmed;
  }

  /** The whole content came in one answer, and has the MD5. */
  arrivedWhole(blocks: readonly Block[]): void {
    if (blocks.some((block) => this.#cached.contradicts(block))) this.#markCorrupt();
    this.#markConfirmed();
  }

  /** A whole block came from the network. Throws if an earlier copy of the block had another CRC. */
  arrived(block: Block): void {
    if (this.#cached.contradicts(block)) {
      const { name } = this.#options;
      // One of the two copies is wrong. If the content is confirmed, it is the new one; else it may be the one that programs have got.
      if (!this.isConfirmed) this.#markCorrupt();
      throw new ProviderError('integrity', `block ${block.block} of ${name} is not what it was when it came before`);
    }
  }

  /** More blocks are in the cache's file. */
  stored(): void {
    if (!this.isConfirmed && !this.#isStopped) void this.#hashPresent();
  }

  /** The cache's file did not take a block. `data` no longer changes. */
  unstored(block: number, data: Uint8Array): void {
    if (this.isConfirmed || block < this.#next || this.#unstored.size >= MAX_UNSTORED) return;
    this.#unstored.set(block, data);
    this.stored();
  }

  /** Throws if the content has turned out to be wrong since `generation`. */
  require(generation: number): void {
    if (generation === this.generation) return;
    throw new ProviderError('integrity', `${this.#options.name}: the bytes received do not have the file's checksum`);
  }

  /**
   * Call it before bytes from `offset` are delivered to a program; `generation` is the one at the beginning of the read. Waits
   * for the verdict if these bytes complete the delivery of the content. Rejects if the content is wrong.
   */
  async beforeDelivery(data: Uint8Array, offset: number, generation: number): Promise<void> {
    const first = blockOf(offset);
    const last = blockOf(offset + data.length - 1);
    if (generation === this.generation && !this.isConfirmed && this.#completesDelivery(first, last))
      await this.#verdict();
    this.require(generation);
    if (this.isConfirmed) return;
    for (let block = first; block <= last; block++) {
      if (this.#delivered[block] === 0) this.#undelivered--;
      this.#delivered[block] = 1;
    }
  }

  /** If all blocks are present, hashes the rest of them. Resolves when no more can be done. */
  hashInBackground(): Promise<void> {
    const canEnd = !this.isConfirmed && !this.#isStopped && this.#cached.isComplete();
    return canEnd ? this.#hashPresent() : (this.#pass ?? Promise.resolve());
  }

  /** Ends the background work. A pass that a reader waits for goes on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#pass;
  }

  /** Frees the resources of the hashing. No method may be called afterwards. */
  close(): void {
    this.#md5.drop();
  }

  /** Do these blocks complete the delivery of the whole content? */
  #completesDelivery(first: number, last: number): boolean {
    let undelivered = this.#undelivered;
    for (let block = first; block <= last; block++) if (this.#delivered[block] === 0) undelivered--;
    return undelivered === 0;
  }

  /**
   * Hashes the rest, and fetches up to `MAX_MISSING` blocks again for it. If more blocks are gone there is no verdict: the cache is too
   * small for the file, and the file was not read in order.
   */
  async #verdict(): Promise<void> {
    const { generation } = this;
    this.#waiting++;
    try {
      await this.#options.arrived();
      await this.#hashPresent();
      while (!this.isConfirmed && generation === this.generation && this.#missing() <= MAX_MISSING) {
        const block = this.#next;
        if (block < this.#cached.map.count) this.#unstored.set(block, await this.#options.block(block));
        await this.#hashPresent();
        if (this.#failure !== null) throw this.#failure;
      }
    } finally {
      this.#waiting--;
    }
  }

  /** The number of blocks that are neither hashed nor present. Counting stops when there are too many. */
  #missing(): number {
    const { map } = this.#cached;
    let missing = 0;
    for (let block = this.#next; block < map.count && missing <= MAX_MISSING; block++) if (!map.has(block)) missing++;
    return missing;
  }

  /** Concurrent callers share one pass. Does not reject: an error is left in `#failure`. */
  #hashPresent(): Promise<void> {
    this.#pass ??= this.#hashLoop()
      .catch((error: unknown) => {
        const { name } = this.#options;
        this.#failure = new ProviderError('integrity', `${name} cannot be checked: ${messageOf(error)}`, {
          cause: error,
        });
        this.#restart();
      })
      .finally(() => {
        this.#pass = null;
      });
    return this.#pass;
  }

  async #hashLoop(): Promise<void> {
    const { map } = this.#cached;
    this.#failure = null;
    while (!this.isConfirmed && !(this.#isStopped && this.#waiting === 0)) {
      const { generation } = this;
      const from = this.#next;
      if (from === map.count) return this.#compare(await this.#md5.hex(), generation);
      const unstored = this.#unstored.get(from);
      if (unstored !== undefined) {
        this.#md5.addBytes(unstored);
        this.#advance(from + 1);
        continue;
      }
      let end = from;
      while (end < map.count && end < from + PIECE_BLOCKS && map.has(end)) end++;
      if (end === from || !(await this.#cached.hashSpan(this.#md5, from, end - 1))) return;
      if (generation !== this.generation) return;
      this.#advance(end);
    }
  }

  #advance(next: number): void {
    for (; this.#next < next; this.#next++) this.#unstored.delete(this.#next);
  }

  #compare(md5: string, generation: number): void {
    if (generation !== this.generation) return;
    if (md5 === this.#options.md5.toLowerCase()) this.#markConfirmed();
    else this.#markCorrupt();
  }

  #markConfirmed(): void {
    this.#cached.isConfirmed = true;
    this.#cached.changed = true;
    this.#unstored.clear();
  }

  #markCorrupt(): void {
    this.reset();
    this.#options.onCorruption();
  }

  /** All that has arrived is worthless: reads in flight fail, and the next read begins a new check. */
  reset(): void {
    this.generation++;
    this.#restart();
    this.#undelivered = this.#delivered.fill(0).length;
  }

  #restart(): void {
    this.#md5.drop();
    this.#md5 = this.#options.hasher.md5();
    this.#next = 0;
    this.#unstored.clear();
  }
}
