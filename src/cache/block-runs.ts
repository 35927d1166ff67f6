/** Cuts the body of an answer into blocks, and collects neighbouring blocks into runs that one call writes to the disk. */
import type { RangeBody } from '../providers/provider.js';
import { BLOCK_BYTES, blockLength, SEGMENT_BLOCKS } from './blocks.js';

/**
 * Blocks that one call writes to the cache, 1 MiB: to pass a call to another thread costs as much time as writing
 * 128 KiB. It divides a segment, so that blocks written together are evicted together.
 */
export const RUN_BLOCKS = SEGMENT_BLOCKS / 8;

/** Blocks that follow each other, in the file and in `data`. The last of the file may be short. */
export interface Run {
  readonly first: number;
  readonly data: Uint8Array;
}

/**
 * Collects blocks into runs. Blocks must come in order, in the buffers that `blocksOf` yields. A block that does not continue
 * the present run begins a new one.
 */
export class RunCollector {
  #first = 0;
  #blocks: Uint8Array[] = [];

  /** Answers the run that is complete with this block, or null. */
  add(block: number, data: Uint8Array): Run | null {
    if (this.#blocks.length === 0) this.#first = block;
    this.#blocks.push(data);
    return (block + 1) % RUN_BLOCKS === 0 ? this.take() : null;
  }

  /** The run so far, complete or not; null where it is empty. */
  take(): Run | null {
    const [head] = this.#blocks;
    if (head === undefined) return null;
    const bytes = this.#blocks.reduce((sum, { length }) => sum + length, 0);
    this.#blocks = [];
    return { first: this.#first, data: new Uint8Array(head.buffer, head.byteOffset, bytes) };
  }
}

/**
 * The whole blocks in a body, in order; bytes before the first whole block are dropped. Blocks of one run lie one after
 * the other in one buffer.
 */
export async function* blocksOf(answer: RangeBody, size: number): AsyncGenerator<[number, Uint8Array]> {
  const end = Math.min(answer.offset + answer.length, size);
  let block = Math.ceil(answer.offset / BLOCK_BYTES);
  let skip = block * BLOCK_BYTES - answer.offset;
  let buffer = runBuffer(block, end, size);
  let from = 0;
  let filled = 0;
  for await (const chunk of answer.body) {
    let at = Math.min(skip, chunk.length);
    skip -= at;
    while (at < chunk.length && buffer.length > 0) {
      const count = Math.min(buffer.length - filled, chunk.length - at);
      buffer.set(chunk.subarray(at, at + count), filled);
      filled += count;
      at += count;
      while (filled > from && filled - from >= blockLength(block, size)) {
        const length = blockLength(block, size);
        yield [block, buffer.subarray(from, from + length)];
        block++;
        from += length;
      }
      if (filled < buffer.length) continue;
      buffer = runBuffer(block, end, size);
      from = 0;
      filled = 0;
    }
  }
}

/** A buffer for the rest of the run that begins with `block`, as far as it lies before `end`. */
function runBuffer(block: number, end: number, size: number): Buffer {
  const runEnd = (Math.floor(block / RUN_BLOCKS) + 1) * RUN_BLOCKS * BLOCK_BYTES;
  const lastWhole = end >= size ? size : Math.floor(end / BLOCK_BYTES) * BLOCK_BYTES;
  return Buffer.allocUnsafeSlow(Math.max(0, Math.min(runEnd, lastWhole) - block * BLOCK_BYTES));
}
