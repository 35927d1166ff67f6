/** Checksums of contents in files. If there is a thread for it (`threads/hash-thread.ts`), it computes them, not the event loop. */
import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { readRecentAt } from './files.js';
import { type Digest, RunningDigest } from './running-digest.js';

/** Bytes of a file, and the checksums that they must have. */
export interface FileSpan {
  /** The caller keeps it open until the answer. */
  readonly fd: number;
  /** First byte. */
  readonly position: number;
  readonly length: number;
  /** CRC-32 of each part of `partBytes` bytes; the last part may be shorter. */
  readonly crcs: readonly number[];
  readonly partBytes: number;
}

/** The MD5 of one content. Each call adds the next bytes. */
export interface RunningMd5 {
  /** Adds the span's bytes if every part has its CRC, else none. Returns the first wrong part, or null if all are right. */
  addSpan(span: FileSpan): Promise<number | null>;
  /** Adds bytes, and copies them if necessary. */
  addBytes(data: Uint8Array): void;
  /** Lower-case hex. Ends this MD5. Rejects if the thread has ended. */
  hex(): Promise<string>;
  /** Ends this MD5 without a result. */
  drop(): void;
}

/** The digest of a file's content, from its beginning up to the last byte read. */
export interface FileDigest {
  readonly blockBytes: number;
  /** Bytes read so far. */
  readonly bytes: number;
  /** Reads the next `length` bytes. False, and nothing added, if the file is shorter. The caller keeps it open until the answer. */
  add(fd: number, length: number): Promise<boolean>;
  /** The digest of the bytes so far. Ends it. */
  result(): Promise<Digest>;
  /** Ends it without a result. */
  drop(): void;
}

export interface ContentHasher {
  md5(): RunningMd5;
  digest(blockBytes: number): FileDigest;
}

/** The first part of `data` whose CRC is not the one in `crcs`, or null. */
export function firstWrongPart(data: Uint8Array, crcs: readonly number[], partBytes: number): number | null {
  for (let part = 0; part < crcs.length; part++) {
    const at = part * partBytes;
    if (crc32(data.subarray(at, at + partBytes)) !== crcs[part]) return part;
  }
  return null;
}

/** Hashes on the calling thread: for tests, and for callers that want no thread. */
export const inlineHasher: ContentHasher = {
  md5: () => new InlineMd5(),
  digest: (blockBytes) => new InlineDigest(blockBytes),
};

class InlineMd5 implements RunningMd5 {
  readonly #hash: Hash = createHash('md5');

  async addSpan({ fd, position, length, crcs, partBytes }: FileSpan): Promise<number | null> {
    const data = Buffer.allocUnsafe(length);
    const count = await readRecentAt(fd, data, position);
    const wrong = firstWrongPart(data.subarray(0, count), crcs, partBytes);
    if (wrong === null) this.#hash.update(data);
    return wrong;
  }

  addBytes(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async hex(): Promise<string> {
    return this.#hash.digest('hex');
  }

  drop(): void {}
}

class InlineDigest implements FileDigest {
  readonly #running: RunningDigest;

  constructor(blockBytes: number) {
    this.#running = new RunningDigest(blockBytes);
  }

  get blockBytes(): number {
    return this.#running.blockBytes;
  }

  get bytes(): number {
    return this.#running.bytes;
  }

  async add(fd: number, length: number): Promise<boolean> {
    const data = Buffer.allocUnsafe(length);
    if ((await readRecentAt(fd, data, this.bytes)) < length) return false;
    this.#running.update(data);
    return true;
  }

  async result(): Promise<Digest> {
    return this.#running.result();
  }

  drop(): void {}
}
