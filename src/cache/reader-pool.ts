import type { RemoteFile } from '../providers/provider.js';
import { revisionKey } from '../providers/provider.js';
import type { BlockCache } from './block-cache.js';
import { type FetchRange, RevisionReader } from './revision-reader.js';

/** One reader per revision, shared by all handles that are pinned to it. */
export class ReaderPool {
  readonly cache: BlockCache;
  readonly #fetch: FetchRange;
  readonly #readers = new Map<string, RevisionReader>();

  constructor(cache: BlockCache, fetch: FetchRange) {
    this.cache = cache;
    this.#fetch = fetch;
  }

  acquire(file: RemoteFile): RevisionReader {
    const key = revisionKey(file);
    let reader = this.#readers.get(key);
    if (reader === undefined) {
      reader = new RevisionReader(this.cache, file, this.#fetch);
      this.#readers.set(key, reader);
    }
    reader.users++;
    return reader;
  }

  release(reader: RevisionReader): void {
    reader.users--;
    if (reader.users > 0) return;
    if (this.#readers.get(reader.key) === reader) this.#readers.delete(reader.key);
    void reader.close();
  }
}
