/**
 * Consecutive blocks of a revision that the transport, not the cache, writes into the revision's file, outside of the event loop.
 *
 * Invariant: until the last writer has released the claim, the descriptor stays open and nobody else writes these blocks. Blocks that
 * have not landed by then are freed.
 */
import type { PieceTarget } from '../providers/content.js';

/** The part of a revision that its claim calls. The blocks `[from, end)` are the claim's. */
export interface ClaimHost {
  /** The blocks are complete in the file, with these CRC-32. False: they were evicted meanwhile, and the claim must free them. */
  landed(from: number, crcs: readonly number[]): boolean;
  /** No writer completes these blocks any longer. Frees their bytes on the disk and their reservation. */
  free(from: number, end: number): void;
}

export class BlockClaim implements PieceTarget {
  readonly fd: number;
  readonly #host: ClaimHost;
  /** Blocks that have neither landed nor been given back. */
  readonly #open = new Set<number>();
  #writers = 0;
  #wake: () => void = () => {};
  #resolveEnded!: () => void;
  /** Resolves with `end`. */
  readonly ended = new Promise<void>((resolve) => {
    this.#resolveEnded = resolve;
  });

  constructor(fd: number, first: number, end: number, host: ClaimHost) {
    this.fd = fd;
    this.#host = host;
    for (let block = first; block < end; block++) this.#open.add(block);
  }

  hold(): void {
    this.#writers++;
  }

  release(): void {
    this.#writers--;
    if (this.#writers === 0) this.#wake();
  }

  /** A writer has written complete blocks from `from` on. False: they were evicted meanwhile, or are not open in this claim. */
  landed(from: number, crcs: readonly number[]): boolean {
    for (let block = from; block < from + crcs.length; block++) if (!this.#open.has(block)) return false;
    if (!this.#host.landed(from, crcs)) return false;
    for (let block = from; block < from + crcs.length; block++) this.#open.delete(block);
    return true;
  }

  /** The transport does not write this block after all. */
  giveBack(block: number): void {
    if (this.#open.delete(block)) this.#host.free(block, block + 1);
  }

  /** Waits for the writers, then frees the blocks that have not landed. */
  async end(): Promise<void> {
    while (this.#writers > 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    for (const [from, end] of runsOf([...this.#open])) this.#host.free(from, end);
    this.#open.clear();
    this.#resolveEnded();
  }
}

/** Ascending numbers as half-open ranges of neighbours. */
function runsOf(blocks: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const block of blocks) {
    const last = runs.at(-1);
    if (last?.[1] === block) last[1]++;
    else runs.push([block, block + 1]);
  }
  return runs;
}
