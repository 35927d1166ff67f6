import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blocksOf, RUN_BLOCKS, type Run, RunCollector } from '../../src/cache/block-runs.js';
import { BLOCK_BYTES, blockLength } from '../../src/cache/blocks.js';
import type { BodyBytes } from '../../src/providers/content.js';
import { pattern } from './support.js';

const RUN_BYTES = RUN_BLOCKS * BLOCK_BYTES;

const crcsOf = (chunk: Uint8Array): number[] =>
  Array.from({ length: Math.ceil(chunk.length / BLOCK_BYTES) }, (_, part) =>
    crc32(chunk.subarray(part * BLOCK_BYTES, (part + 1) * BLOCK_BYTES)),
  );

/** The blocks of an answer that comes in pieces of these lengths, over and over. */
async function cut(content: Buffer, offset: number, length: number, pieces: readonly number[], withCrcs = false) {
  async function* body(): AsyncGenerator<BodyBytes> {
    for (let at = offset, n = 0; at < offset + length; n++) {
      const end = Math.min(offset + length, at + (pieces[n % pieces.length] ?? 1));
      const chunk: BodyBytes = content.subarray(at, end);
      // As they come from the thread: of whole parts where the piece begins with one.
      if (withCrcs && at % BLOCK_BYTES === 0) chunk.crcs = crcsOf(chunk);
      yield chunk;
      at = end;
    }
  }
  const blocks: [number, Buffer][] = [];
  const runs: Run[] = [];
  const collector = new RunCollector();
  for await (const block of blocksOf({ offset, length, body: body() }, content.length)) {
    if ('isStored' in block) throw new Error('nothing was stored');
    blocks.push([block.block, Buffer.from(block.data)]);
    if (block.crc !== undefined) expect(block.crc).toBe(crc32(block.data));
    runs.push(...collector.add(block));
  }
  const rest = collector.take();
  if (rest !== null) runs.push(rest);
  return { blocks, runs };
}

describe('the blocks of an answer', () => {
  it('are all that it holds as a whole, with their bytes, and so are the runs that are written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 * RUN_BYTES }),
        fc.nat(3 * RUN_BYTES),
        fc.integer({ min: 1, max: 3 * RUN_BYTES }),
        fc.oneof(
          fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 5 }),
          fc.array(fc.constantFrom(BLOCK_BYTES, 3 * BLOCK_BYTES, RUN_BYTES, 1000), { minLength: 1, maxLength: 5 }),
        ),
        fc.boolean(),
        async (size, at, most, pieces, withCrcs) => {
          const content = pattern(size);
          const offset = at % size;
          const length = Math.min(most, size - offset);
          const { blocks, runs } = await cut(content, offset, length, pieces, withCrcs);
          const expected: number[] = [];
          for (let block = Math.ceil(offset / BLOCK_BYTES); block * BLOCK_BYTES < size; block++) {
            if (block * BLOCK_BYTES + blockLength(block, size) <= offset + length) expected.push(block);
          }
          expect(blocks.map(([block]) => block)).toEqual(expected);
          for (const [block, data] of blocks) {
            expect(data.equals(content.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES))).toBe(true);
          }
          for (const { first, data, crcs } of runs) {
            if (crcs !== null) expect(crcs).toEqual(crcsOf(data));
            const start = first * BLOCK_BYTES;
            expect(Buffer.from(data).equals(content.subarray(start, start + data.length))).toBe(true);
            // No run reaches beyond what is evicted together.
            expect(Math.floor((start + data.length - 1) / RUN_BYTES)).toBe(Math.floor(start / RUN_BYTES));
          }
          expect(runs.reduce((sum, { data }) => sum + data.length, 0)).toBe(
            blocks.reduce((sum, [, data]) => sum + data.length, 0),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are written a MiB at a time', async () => {
    const { runs } = await cut(pattern(3 * RUN_BYTES + 5), BLOCK_BYTES, 3 * RUN_BYTES + 5 - BLOCK_BYTES, [65_536]);
    expect(runs.map(({ first, data }) => [first, data.length])).toEqual([
      [1, RUN_BYTES - BLOCK_BYTES],
      [RUN_BLOCKS, RUN_BYTES],
      [2 * RUN_BLOCKS, RUN_BYTES],
      [3 * RUN_BLOCKS, 5],
    ]);
  });

  it('are passed on without a copy, with their CRCs, where they come in pieces', async () => {
    const { runs } = await cut(pattern(2 * RUN_BYTES + 5), 0, 2 * RUN_BYTES + 5, [RUN_BYTES], true);
    expect(runs.map(({ first, crcs }) => [first, crcs?.length])).toEqual([
      [0, RUN_BLOCKS],
      [RUN_BLOCKS, RUN_BLOCKS],
      [2 * RUN_BLOCKS, 1],
    ]);
  });
});
