/**
 * Writes pieces of an answer to the caller's file. It writes only an answer whose headers name the requested range. An error, or a whole
 * file instead of a range, is passed on as bytes.
 */
import { writeSync } from 'node:fs';
import { parseContentRange } from '../providers/http/answers/content-range.js';
import type { WireResponse } from '../providers/http/transport/wire.js';
import type { ThreadPieces } from './exchange-messages.js';
import type { Piece } from './piece-cutter.js';

export class PieceStore {
  readonly #fd: number;
  readonly #partBytes: number;
  /** The end of the requested range. */
  readonly #end: number;
  #isFailing = false;

  private constructor(fd: number, { partBytes, end }: ThreadPieces) {
    this.#fd = fd;
    this.#partBytes = partBytes;
    this.#end = end;
  }

  /** Null if the pieces of this answer must be passed on. */
  static for(pieces: ThreadPieces, status: number, headers: WireResponse['headers']): PieceStore | null {
    const { fd, offset, end } = pieces;
    const text = headers['content-range'];
    const range = typeof text === 'string' ? parseContentRange(text) : undefined;
    const isRange = status === 206 && range !== undefined && range.start === offset && range.end <= end;
    return fd !== null && isRange && headers['content-encoding'] === undefined ? new PieceStore(fd, pieces) : null;
  }

  /** False if the file does not have the whole piece: because the piece has an incomplete part, or because the disk has failed. */
  write({ offset, data, crcs }: Piece): boolean {
    const end = offset + data.length;
    const isWhole = crcs !== null && (end % this.#partBytes === 0 || end === this.#end);
    if (this.#isFailing || !isWhole || end > this.#end) return false;
    try {
      for (let done = 0; done < data.length; )
        done += writeSync(this.#fd, data, done, data.length - done, offset + done);
      return true;
    } catch {
      // The caller gets the bytes, tries to write them itself, and reports the fault of the disk.
      this.#isFailing = true;
      return false;
    }
  }
}
