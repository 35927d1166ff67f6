/** The bytes of a file, as they come from a provider and go to one. */

export interface ByteRange {
  /** First byte, ≥ 0. */
  readonly offset: number;
  /** Bytes wanted, ≥ 1; offset + length ≤ the file's size. */
  readonly length: number;
}

/** How to cut the content of a file into pieces. */
export interface Pieces {
  /** A piece ends at each multiple of so many bytes in the file. While the reader waits, it may end at a multiple of `partBytes`. */
  readonly pieceBytes: number;
  /** Divides `pieceBytes`. */
  readonly partBytes: number;
  /** Where the pieces may be written to, at their offsets, so that their bytes need not pass through the event loop. */
  readonly target?: PieceTarget;
}

/** A file, as large as the content, that the caller keeps open and changes nowhere in the range while somebody holds it. */
export interface PieceTarget {
  readonly fd: number;
  /** A writer begins. Each call is followed by one of `release` when that writer writes no more. */
  hold(): void;
  release(): void;
}

/** Bytes of a body. They do not change any more. */
export interface BodyBytes extends Uint8Array {
  /** CRC-32 of each part of `Pieces.partBytes` (the last may be shorter), where the pieces were asked for and begin with a part. */
  crcs?: readonly number[];
}

/** Whole parts of a body, which were written to `Pieces.target` instead of being passed on. */
export interface StoredPiece {
  readonly isStored: true;
  /** In the file, bytes. */
  readonly offset: number;
  readonly byteLength: number;
  /** CRC-32 of each part. */
  readonly crcs: readonly number[];
}

export type BodyChunk = BodyBytes | StoredPiece;

export function isStored(chunk: BodyChunk): chunk is StoredPiece {
  return 'isStored' in chunk;
}

/** For those who named no target. */
export function bytesOf(chunk: BodyChunk): BodyBytes {
  if (isStored(chunk)) throw new Error('bytes were stored, which nobody asked for');
  return chunk;
}

export interface RangeBody {
  /** Offset in the file of the first byte of `body`: the range's own, or 0 if the server ignored the range. */
  readonly offset: number;
  /** Number of bytes that `body` yields: the range's length, or the whole file's if the server ignored the range. */
  readonly length: number;
  /**
   * The bytes; can be iterated once. Ends after exactly `length` bytes, or throws `ProviderError` (`integrity` when short,
   * `network`, `timeout` when it stalls). Leaving the loop early closes the connection.
   */
  readonly body: AsyncIterable<BodyBytes>;
  /** The same where the caller named a `Pieces.target`: what was stored there is not passed on. Iterate this instead of `body`. */
  readonly pieces?: AsyncIterable<BodyChunk>;
  /** Missing where the revision was known before the first byte. */
  readonly proof?: RevisionProof;
  /** Set where another content may still get the same revision: see `isYoung`. What is kept of it must be fetched anew later. */
  readonly isYoung?: true;
}

/** Whether the bytes of an answer are of the revision that was asked for, which is not known yet. */
export interface RevisionProof {
  /**
   * Resolves when they are. Rejects with `revision-changed` or `not-found` when the file is another one by now: then some of the bytes
   * may be that one's. Stays pending while the service cannot be asked.
   */
  readonly settled: Promise<void>;
  /** As `settled`, and asks at once. Rejects as the provider does where it cannot be asked. */
  demand(): Promise<void>;
}

export type WhileOpen = <T>(act: (fd: number) => Promise<T>) => Promise<T>;

/** Content to upload. It does not change during the upload. */
export interface UploadSource {
  /** Bytes. */
  readonly size: number;
  /** Reads a part. May be called several times for the same bytes. */
  read(offset: number, length: number): AsyncIterable<Uint8Array>;
  /**
   * Calls `act` with a file that has the content at the same offsets. It stays open, and the same, until the promise of `act` is
   * settled. Missing where there is no such file.
   */
  readonly whileOpen?: WhileOpen;
  /** Called at the end of each request that was to bring a part of it: may any of that have reached the service? */
  onOutcome?(mayHaveArrived: boolean): void;
  /** Lower-case hex md5 of the whole content, computed once. */
  md5(): Promise<string>;
}
