import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Piece, PieceCutter, PieceMemory } from '../../src/threads/piece-cutter.js';

const partBytes = 10;
const pieceBytes = 50;
const content = Buffer.from(Array.from({ length: 1000 }, (_, at) => (at * 37) & 255));

/** What comes of a stream from `offset` to `end` in chunks of these lengths. `isEarly` asks for the whole parts after each. */
function cut(
  offset: number,
  end: number,
  chunks: readonly number[],
  isKnown: boolean,
  isEarly: (n: number) => boolean,
): Piece[] {
  const cutter = new PieceCutter(
    { offset, pieceBytes, partBytes },
    isKnown ? end - offset : Number.POSITIVE_INFINITY,
    new PieceMemory(),
  );
  const pieces: (Piece | null)[] = [];
  for (let at = offset, n = 0; at < end; n++) {
    const chunk = content.subarray(at, Math.min(end, at + (chunks[n % chunks.length] ?? 1)));
    at += chunk.length;
    pieces.push(...cutter.add(chunk));
    if (isEarly(n)) pieces.push(cutter.early());
  }
  pieces.push(cutter.rest());
  return pieces.filter((piece) => piece !== null);
}

describe('the pieces of a stream', () => {
  it('are the stream, end at round offsets, and have the CRCs of their parts', () => {
    fc.assert(
      fc.property(
        fc.nat(200),
        fc.integer({ min: 1, max: 700 }),
        fc.array(fc.integer({ min: 1, max: 130 }), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 4 }),
        (offset, length, chunks, isKnown, every) => {
          const pieces = cut(offset, offset + length, chunks, isKnown, (n) => n % every === 0);
          expect(Buffer.concat(pieces.map(({ data }) => data)).equals(content.subarray(offset, offset + length))).toBe(
            true,
          );
          let at = offset;
          for (const [n, { data, crcs }] of pieces.entries()) {
            const parts = Array.from({ length: Math.ceil(data.length / partBytes) }, (_, part) =>
              crc32(content.subarray(at + part * partBytes, Math.min(at + data.length, at + (part + 1) * partBytes))),
            );
            expect(crcs).toEqual(at % partBytes === 0 ? parts : null);
            at += data.length;
            if (n < pieces.length - 1) expect(at % partBytes).toBe(0);
            expect(Math.floor((at - 1) / pieceBytes)).toBe(Math.floor((at - data.length) / pieceBytes));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('are as large as they may be where nobody waits', () => {
    const lengths = cut(20, 230, [33], true, () => false).map(({ data }) => data.length);
    expect(lengths).toEqual([30, 50, 50, 50, 30]);
  });

  it('of a stream that begins within a part come to whole parts first', () => {
    expect(cut(13, 100, [33], true, () => false).map(({ data, crcs }) => [data.length, crcs?.length])).toEqual([
      [7, undefined],
      [30, 3],
      [50, 5],
    ]);
  });

  it('take the memory of pieces that were given back', () => {
    const memory = new PieceMemory();
    const cutter = new PieceCutter({ offset: 0, pieceBytes, partBytes }, 200, memory);
    const buffers = new Set<ArrayBuffer>();
    const copies: Buffer[] = [];
    for (let at = 0; at < 200; at += 25)
      for (const piece of cutter.add(content.subarray(at, at + 25))) {
        buffers.add(piece.data.buffer);
        copies.push(Buffer.from(piece.data));
        memory.give(piece);
      }
    expect(Buffer.concat(copies).equals(content.subarray(0, 200))).toBe(true);
    expect(buffers.size).toBe(1);
  });
});
