/** Cuts a stream of bytes, which is part of a file, into pieces at round offsets of the file. */
import { crc32 } from 'node:zlib';
import type { FilePieces } from '../providers/http/transport/wire.js';

/** How to cut: see `FilePieces`. */
export type Cut = Pick<FilePieces, 'offset' | 'pieceBytes' | 'partBytes'>;

/** The number of pieces whose memory is kept for reuse: one for each of the connections that usually run. */
const MAX_SPARE = 16;

export interface Piece {
  /** In the file, bytes. */
  readonly offset: number;
  readonly data: Uint8Array<ArrayBuffer>;
  /** CRC-32 of each part; null if the piece does not begin with a part. */
  readonly crcs: readonly number[] | null;
}

/** Memory for pieces. Memory that was given back is reused, so a stream of pieces that are stored at once leaves no garbage. */
export class PieceMemory {
  readonly #spare: ArrayBuffer[] = [];

  /** Memory of this length. It may contain old data. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const spare = this.#spare.pop();
    const isEnough = spare !== undefined && spare.byteLength >= length;
    return new Uint8Array(isEnough ? spare : new ArrayBuffer(length), 0, length);
  }

  /** Takes back the memory of a piece that is no longer needed. */
  give({ data }: Piece): void {
    if (this.#spare.length < MAX_SPARE) this.#spare.push(data.buffer);
  }
}

export class PieceCutter {
  readonly #pieces: Cut;
  readonly #memory: PieceMemory;
  /** Bytes that are still to come, as far as known. */
  #left: number;
  /** Offset in the file of the first byte in the buffer. */
  #at: number;
  #buffer: Uint8Array<ArrayBuffer> | null = null;
  #filled = 0;

  /** `length`: bytes of the whole stream; Infinity if it is unknown. `memory`: for the pieces. */
  constructor(pieces: Cut, length: number, memory: PieceMemory) {
    this.#pieces = pieces;
    this.#memory = memory;
    this.#left = length;
    this.#at = pieces.offset;
  }

  /** Takes bytes, and yields the pieces that they complete. */
  *add(chunk: Uint8Array): Generator<Piece> {
    for (let from = 0; from < chunk.length; ) {
      this.#buffer ??= this.#allocate(Math.max(1, Math.min(this.#untilPieceEnd(), this.#left)));
      const count = Math.min(chunk.length - from, this.#buffer.length - this.#filled);
      this.#buffer.set(chunk.subarray(from, from + count), this.#filled);
      this.#filled += count;
      this.#left -= count;
      from += count;
      if (this.#filled === this.#buffer.length) yield this.#take(this.#filled);
    }
  }

  /** The whole parts that have come so far, for a reader that waits; null if there is none. */
  early(): Piece | null {
    const { partBytes } = this.#pieces;
    const end = Math.floor((this.#at + this.#filled) / partBytes) * partBytes;
    return end > this.#at ? this.#take(end - this.#at) : null;
  }

  /** The rest, after the stream has ended; null if there is none. */
  rest(): Piece | null {
    return this.#filled > 0 ? this.#take(this.#filled) : null;
  }

  #allocate(length: number): Uint8Array<ArrayBuffer> {
    return this.#memory.take(length);
  }

  #untilPieceEnd(): number {
    const { pieceBytes, partBytes } = this.#pieces;
    // A stream that begins within a part (a resumed download) first completes that part.
    const inPart = this.#at % partBytes;
    return inPart > 0 ? partBytes - inPart : pieceBytes - (this.#at % pieceBytes);
  }

  #take(length: number): Piece {
    const buffer = this.#buffer ?? new Uint8Array(0);
    const { partBytes } = this.#pieces;
    const data = buffer.subarray(0, length);
    const beginsPart = this.#at % partBytes === 0;
    const crcs: number[] = [];
    for (let at = 0; beginsPart && at < length; at += partBytes) crcs.push(crc32(data.subarray(at, at + partBytes)));
    const rest = buffer.slice(length, this.#filled);
    const offset = this.#at;
    this.#at += length;
    this.#buffer = null;
    this.#filled = 0;
    if (rest.length > 0) {
      this.#buffer = this.#allocate(Math.max(rest.length, Math.min(this.#untilPieceEnd(), rest.length + this.#left)));
      this.#buffer.set(rest);
      this.#filled = rest.length;
    }
    return { offset, data, crcs: beginsPart ? crcs : null };
  }
}
