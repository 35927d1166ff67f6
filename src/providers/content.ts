/** The bytes of a file, as they come from a provider and go to one. */

export interface ByteRange {
  /** First byte, ≥ 0. */
  readonly offset: number;
  /** Bytes wanted, ≥ 1; offset + length ≤ the file's size. */
  readonly length: number;
}

/** How to cut the content of a file into pieces. */
export interface Pieces {
  /** A piece ends at each multiple of this many bytes in the file; while the reader waits, also at a multiple of `partBytes`. */
  readonly pieceBytes: number;
  /** Divides `pieceBytes`. */
  readonly partBytes: number;
  /** The provider may write the pieces here, at their offsets. Their bytes then need not pass through the event loop. */
  readonly target?: PieceTarget;
}

/** A file as large as the content. While a writer holds it, the caller keeps it open and does not change it in the range. */
export interface PieceTarget {
  readonly fd: number;
  /** A writer begins. It calls `release` once when it has stopped writing. */
  hold(): void;
  release(): void;
}

/** Bytes of a body. They do not change afterwards. */
export interface BodyBytes extends Uint8Array {
  /** CRC-32 of each part of `Pieces.partBytes` (the last may be shorter). Set if pieces were requested and this one begins with a part. */
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

/** The bytes of a chunk, for a caller that gave no `Pieces.target`. */
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
  /** Iterate this instead of `body` after giving a `Pieces.target`: bytes that were stored there are not passed on. */
  readonly pieces?: AsyncIterable<BodyChunk>;
  /** Missing if the revision was known before the first byte. */
  readonly proof?: RevisionProof;
  /** Set if another content may still get the same revision: see `isYoung`. A cache must fetch these bytes again later. */
  readonly isYoung?: true;
}

/** The proof, still to come, that the bytes of an answer belong to the requested revision. */
export interface RevisionProof {
  /**
   * Resolves when the bytes are proven. Rejects with `revision-changed` or `not-found` if the file has changed or is gone: some of the
   * bytes may then belong to another revision. Stays pending while the service cannot be asked.
   */
  readonly settled: Promise<void>;
  /** As `settled`, but asks the service at once. Rejects with the provider's error if the service cannot be asked. */
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
   * Calls `act` with a file that has the content at the same offsets. The file stays open and unchanged until the promise of `act`
   * settles. Missing if there is no such file.
   */
  readonly whileOpen?: WhileOpen;
  /** Called at the end of each request that sends a part of the content. True if any of that part may have reached the service. */
  onOutcome?(mayHaveArrived: boolean): void;
  /** Lower-case hex md5 of the whole content, computed once. */
  md5(): Promise<string>;
}
