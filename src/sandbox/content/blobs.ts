/** Stores the contents of files, hashed and with reference counts. A temporary sandbox keeps small ones in memory. */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, mkdtemp, open, readdir, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface StoredContent {
  blob: string;
  size: number;
  md5: string;
}

/** An open content. It stays readable if the file is replaced or deleted meanwhile. */
export interface BlobReader {
  /** Bytes `start` to `end` (exclusive) in pieces. */
  read(start: number, end: number): AsyncGenerator<Buffer>;
  /** The bytes, if they are in memory. */
  readonly memory?: Buffer;
  close(): Promise<void>;
}

const smallest = 256 * 1024;
/** Small files use at most this memory together, bytes. */
const memoryBudget = 256 * 1024 * 1024;
const readPiece = 256 * 1024;

export class BlobStore {
  #memory = new Map<string, Buffer>();
  #memoryUsed = 0;
  #references = new Map<string, number>();
  /** Directories that exist already. */
  #made = new Set<string>();

  /** `keep`: everything goes to disk, because it must survive a restart. */
  constructor(
    readonly dir: string,
    readonly keep: boolean,
  ) {}

  /** Removes orphans: blobs without an owner, which a killed server left behind. */
  async open(referenced: Iterable<string>): Promise<void> {
    for (const blob of referenced) this.retain(blob);
    if (!this.keep) return;
    await mkdir(this.dir, { recursive: true });
    for (const part of await readdir(this.dir))
      for (const blob of await readdir(join(this.dir, part)))
        if (!this.#references.has(blob)) await unlink(join(this.dir, part, blob));
  }

  /** Stores a stream. If it fails, nothing remains. The caller owns the one reference. */
  async write(source: AsyncIterable<Uint8Array>): Promise<StoredContent> {
    const blob = newBlob();
    const hash = createHash('md5');
    let pieces: Uint8Array[] = [];
    let size = 0;
    let file: FileHandle | undefined;
    try {
      for await (const piece of source) {
        hash.update(piece);
        size += piece.length;
        if (!file) {
          pieces.push(piece);
          if (size <= smallest) continue;
          file = await open(await this.#newPath(blob), 'wx');
        }
        for (const waiting of pieces.length > 0 ? pieces : [piece]) await writeAll(file, waiting);
        pieces = [];
      }
      if (!file) await this.#writeSmall(blob, Buffer.concat(pieces));
    } catch (error) {
      await file?.close();
      file = undefined;
      await rm(this.#path(blob), { force: true });
      throw error;
    } finally {
      await file?.close();
    }
    this.#references.set(blob, 1);
    return { blob, size, md5: hash.digest('hex') };
  }

  /** A file of this size with holes, to be filled in any order through `openForWriting`. */
  async allocate(size: number): Promise<string> {
    const blob = newBlob();
    const file = await open(await this.#newPath(blob), 'wx');
    try {
      await file.truncate(size);
    } finally {
      await file.close();
    }
    this.#references.set(blob, 1);
    return blob;
  }

  openForWriting(blob: string): Promise<FileHandle> {
    return open(this.#path(blob), 'r+');
  }

  async reader(blob: string): Promise<BlobReader> {
    const memory = this.#memory.get(blob);
    if (memory) return new MemoryReader(memory);
    return new FileReader(await open(this.#path(blob), 'r'));
  }

  retain(blob: string): void {
    this.#references.set(blob, (this.#references.get(blob) ?? 0) + 1);
  }

  release(blob: string): void {
    const left = (this.#references.get(blob) ?? 0) - 1;
    if (left > 0) {
      this.#references.set(blob, left);
      return;
    }
    this.#references.delete(blob);
    const memory = this.#memory.get(blob);
    if (memory) {
      this.#memory.delete(blob);
      this.#memoryUsed -= memory.length;
    } else {
      // Not awaited: if it fails, the next start removes the file.
      unlink(this.#path(blob)).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    this.#memory.clear();
    if (!this.keep) await rm(this.dir, { recursive: true, force: true });
  }

  async #writeSmall(blob: string, content: Buffer): Promise<void> {
    if (!this.keep && this.#memoryUsed + content.length <= memoryBudget) {
      this.#memory.set(blob, content);
      this.#memoryUsed += content.length;
    } else {
      await writeFile(await this.#newPath(blob), content, { flag: 'wx' });
    }
  }

  async #newPath(blob: string): Promise<string> {
    const part = blob.slice(0, 2);
    if (!this.#made.has(part)) await mkdir(join(this.dir, part), { recursive: true });
    this.#made.add(part);
    return this.#path(blob);
  }

  #path(blob: string): string {
    return join(this.dir, blob.slice(0, 2), blob);
  }
}

class MemoryReader implements BlobReader {
  constructor(readonly memory: Buffer) {}

  async *read(start: number, end: number): AsyncGenerator<Buffer> {
    yield this.memory.subarray(start, end);
  }

  async close(): Promise<void> {}
}

class FileReader implements BlobReader {
  constructor(readonly file: FileHandle) {}

  async *read(start: number, end: number): AsyncGenerator<Buffer> {
    for (let at = start; at < end; ) {
      const piece = Buffer.allocUnsafe(Math.min(readPiece, end - at));
      const { bytesRead } = await this.file.read(piece, 0, piece.length, at);
      if (bytesRead === 0) throw new Error(`the stored content ends at ${at}, before ${end}`);
      at += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await file.write(piece, at, piece.length - at)).bytesWritten;
}

/** In the account's directory, or in a temporary one. */
export function blobDirectory(dir: string | undefined): Promise<string> | string {
  return dir === undefined ? mkdtemp(join(tmpdir(), 'syncmount-sandbox-')) : join(dir, 'blobs');
}

function newBlob(): string {
  return randomBytes(12).toString('hex');
}
