/**
 * Consecutive blocks of a revision that somebody outside of the cache writes into its file: the transport, beside the event loop.
 *
 * Invariant: until the last writer has let go, the descriptor stays open and nobody else writes these blocks. What has not landed by
 * then is freed.
 */
import type { PieceTarget } from '../providers/content.js';

/** What a claim needs of its revision. The blocks `[from, end)` are the claim's. */
export interface ClaimHost {
  /** They are whole in the file, with these CRC-32. False: they were evicted meanwhile, and are to be freed. */
  landed(from: number, crcs: readonly number[]): boolean;
  /** Nobody writes them any more, and they are not whole: frees what lies there, and what was reserved for them. */
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

  /** A writer has written whole blocks from `from` on. False: they are not in the cache all the same. */
  landed(from: number, crcs: readonly number[]): boolean {
    for (let block = from; block < from + crcs.length; block++) if (!this.#open.has(block)) return false;
    if (!this.#host.landed(from, crcs)) return false;
    for (let block = from; block < from + crcs.length; block++) this.#open.delete(block);
    return true;
  }

  /** The block is not written by anybody outside after all. */
  giveBack(block: number): void {
    if (this.#open.delete(block)) this.#host.free(block, block + 1);
  }

  /** Waits for the writers, and frees what has not landed. */
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
