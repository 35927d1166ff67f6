/** Cuts the body of an answer into blocks, and collects neighbouring blocks into runs that one call writes to the disk. */
import { isStored, type RangeBody, type StoredPiece } from '../providers/content.js';
import { BLOCK_BYTES, blockCount, blockLength, SEGMENT_BLOCKS } from './blocks.js';

/**
 * Blocks that one call writes to the cache, 1 MiB: passing a call to another thread takes as long as writing 128 KiB.
 * It divides a segment, so that blocks written together are evicted together.
 */
export const RUN_BLOCKS = SEGMENT_BLOCKS / 8;

/** Consecutive blocks, in the file and in `data`. The last block of the file may be short. */
export interface Run {
  readonly first: number;
  readonly data: Uint8Array;
  /** CRC-32 of each block. Null if the bytes came without them. */
  readonly crcs: readonly number[] | null;
}

/** A whole block of a body. */
export interface Block {
  readonly block: number;
  readonly data: Uint8Array;
  readonly crc: number | undefined;
}

/**
 * Collects blocks into runs. Blocks must come in order, as `blocksOf` yields them. A block begins a new run unless it directly follows
 * the last one, in the file and in memory.
 */
export class RunCollector {
  #blocks: Block[] = [];

  /** Returns the runs that this block completes: none, the one before it, the one that it ends, or both. */
  add(block: Block): Run[] {
    const last = this.#blocks.at(-1);
    const before = last === undefined || continues(last, block) ? null : this.take();
    this.#blocks.push(block);
    const ended = (block.block + 1) % RUN_BLOCKS === 0 ? this.take() : null;
    return [before, ended].filter((run) => run !== null);
  }

  /** The run so far, complete or not. Null if it is empty. */
  take(): Run | null {
    const blocks = this.#blocks;
    const [head] = blocks;
    if (head === undefined) return null;
    this.#blocks = [];
    const bytes = blocks.reduce((sum, { data }) => sum + data.length, 0);
    const crcs = blocks.flatMap(({ crc }) => crc ?? []);
    return {
      first: head.block,
      data: new Uint8Array(head.data.buffer, head.data.byteOffset, bytes),
      crcs: crcs.length === blocks.length ? crcs : null,
    };
  }
}

function continues(last: Block, next: Block): boolean {
  const { data } = last;
  return (
    next.block === last.block + 1 &&
    next.data.buffer === data.buffer &&
    next.data.byteOffset === data.byteOffset + data.length
  );
}

/**
 * The whole blocks in a body, in order. Bytes before the first whole block are dropped. Pieces that come with their CRCs, or that are
 * stored already, are passed on as they are. Other chunks are copied, so that the blocks of a run are contiguous in memory.
 */
export async function* blocksOf(answer: RangeBody, size: number): AsyncGenerator<Block | StoredPiece> {
  const end = Math.min(answer.offset + answer.length, size);
  let block = Math.ceil(answer.offset / BLOCK_BYTES);
  let skip = block * BLOCK_BYTES - answer.offset;
  let buffer: Uint8Array = new Uint8Array(0);
  let from = 0;
  let filled = 0;
  for await (const chunk of answer.pieces ?? answer.body) {
    if (isStored(chunk)) {
      // A stored piece begins at the start of a block, so the block before it is complete.
      yield chunk;
      block = blockCount(chunk.offset + chunk.byteLength);
      buffer = new Uint8Array(0);
      from = filled = 0;
      continue;
    }
    let at = Math.min(skip, chunk.length);
    skip -= at;
    while (at < chunk.length && block * BLOCK_BYTES + blockLength(block, size) <= end) {
      const length = blockLength(block, size);
      if (chunk.crcs !== undefined && filled === from && chunk.length - at >= length) {
        const crc = at % BLOCK_BYTES === 0 ? chunk.crcs[at / BLOCK_BYTES] : undefined;
        yield { block, data: chunk.subarray(at, at + length), crc };
        buffer = new Uint8Array(0);
        from = filled = 0;
        block++;
        at += length;
        continue;
      }
      if (filled === buffer.length) {
        buffer = runBuffer(block, end, size);
        from = filled = 0;
      }
      const count = Math.min(from + length - filled, chunk.length - at);
      buffer.set(chunk.subarray(at, at + count), filled);
      filled += count;
      at += count;
      if (filled < from + length) continue;
      yield { block, data: buffer.subarray(from, filled), crc: undefined };
      from = filled;
      block++;
    }
  }
}

/** A buffer for `block` and the rest of its run, up to `end`. */
function runBuffer(block: number, end: number, size: number): Buffer {
  const runEnd = (Math.floor(block / RUN_BLOCKS) + 1) * RUN_BLOCKS * BLOCK_BYTES;
  const lastWhole = end >= size ? size : Math.floor(end / BLOCK_BYTES) * BLOCK_BYTES;
  return Buffer.allocUnsafeSlow(Math.max(0, Math.min(runEnd, lastWhole) - block * BLOCK_BYTES));
}
