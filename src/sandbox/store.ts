/** Direct access to an account, for tests: they act as another client, and look at the content. Paths are below the root. */
import type { BlobStore } from './content/blobs.js';
import { randomNumbers } from './faults.js';

export interface Entry {
  path: string;
  kind: 'file' | 'folder';
  id: string;
  name: string;
  /** 0 for folders. */
  size: number;
  /** Empty for folders and for incomplete files. */
  md5: string;
  modified: number;
  status: 'normal' | 'incomplete' | 'trashed';
}

export type Content = string | Uint8Array | AsyncIterable<Uint8Array>;

export abstract class PathStore {
  constructor(readonly blobs: BlobStore) {}

  /** Stores a file, or a new version of an existing one. Creates missing folders. */
  abstract putFile(path: string, content: Content, options?: { modified?: number }): Promise<Entry>;
  abstract makeFolder(path: string): Entry;
  abstract rename(path: string, name: string): Entry;
  abstract move(path: string, folderPath: string, name?: string): Entry;
  abstract copy(path: string, folderPath: string, name?: string): Entry;
  /** Removes it for ever, or moves it to the trash if the service has one. */
  abstract remove(path: string, options?: { trash?: boolean }): void;
  /** Folders first, each in the order of names. */
  abstract list(path?: string): Entry[];
  abstract stat(path: string): Entry | undefined;
  abstract byId(id: string): Entry | undefined;
  abstract setModified(path: string, modified: number): void;
  /** Everything outside the trash, by path. */
  abstract tree(): Entry[];
  abstract trash(): Entry[];
  protected abstract contentOf(path: string): { blob: string; size: number };

  async readFile(path: string): Promise<Buffer> {
    const { blob, size } = this.contentOf(path);
    const reader = await this.blobs.reader(blob);
    try {
      const pieces: Buffer[] = [];
      for await (const piece of reader.read(0, size)) pieces.push(piece);
      return Buffer.concat(pieces);
    } finally {
      await reader.close();
    }
  }

  /** MD5 of every complete file by path. */
  md5s(): Map<string, string> {
    const files = this.tree().filter((entry) => entry.kind === 'file' && entry.status === 'normal');
    return new Map(files.map(({ path, md5 }) => [path, md5]));
  }

  /** `folders` folders of `filesEach` small different files, for benchmarks. */
  async populate(shape: { path?: string; folders: number; filesEach: number; size: number }): Promise<void> {
    const { path = '', folders, filesEach, size } = shape;
    const pad = (n: number) => String(n).padStart(4, '0');
    for (let d = 0; d < folders; d++) {
      for (let f = 0; f < filesEach; f++) {
        const content = Buffer.alloc(size, `${d}/${f} `);
        await this.putFile(`${path}/folder-${pad(d)}/file-${pad(f)}.txt`, content);
      }
    }
  }

  /** A large file of pseudo-random bytes. The same seed gives the same bytes. */
  generate(path: string, size: number, seed = 1): Promise<Entry> {
    return this.putFile(path, generated(size, seed));
  }
}

export function split(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

export async function* iterable(content: Content): AsyncGenerator<Uint8Array> {
  if (typeof content === 'string') yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}

/** Each MiB is the same noise with its number in front. This is fast, and no two MiB are equal. */
async function* generated(size: number, seed: number): AsyncGenerator<Buffer> {
  const length = 1024 * 1024;
  const noise = Buffer.alloc(length);
  const random = randomNumbers(seed);
  for (let at = 0; at < length; at += 4) noise.writeUInt32LE(Math.floor(random() * 4_294_967_296), at);
  for (let block = 0; block * length < size; block++) {
    const piece = Buffer.from(noise);
    piece.writeUInt32LE(block, 0);
    yield piece.subarray(0, Math.min(length, size - block * length));
  }
}
