import type { RemoteFile } from '../providers/provider.js';
import { revisionKey } from '../providers/provider.js';
import type { BlockCache } from './block-cache.js';
import type { FetchRange } from './block-fetcher.js';
import { RevisionReader } from './revision-reader.js';

/** One reader per revision, shared by all handles that are pinned to it. */
export class ReaderPool {
  readonly cache: BlockCache;
  /** Called with a file when its content turns out to be wrong: bytes that programs got before may be wrong too. */
  onCorruption: (file: RemoteFile) => void = () => {};
  /** Called with a file that has become another one at the provider. Programs may have got bytes of the new one. */
  onOutdated: (file: RemoteFile) => void = () => {};
  /** Bytes of contents that have arrived since the mount began. */
  received = 0;
  readonly #fetch: FetchRange;
  readonly #readers = new Map<string, RevisionReader>();
  readonly #closing = new Set<Promise<void>>();

  constructor(cache: BlockCache, fetch: FetchRange) {
    this.cache = cache;
    this.#fetch = fetch;
  }

  /** For a program that begins to read the file: bytes that came while it was young are dropped and fetched anew, if it no longer is. */
  acquireAnew(file: RemoteFile): RevisionReader {
    this.#readers.get(revisionKey(file))?.renew();
    return this.acquire(file);
  }

  acquire(file: RemoteFile): RevisionReader {
    const key = revisionKey(file);
    let reader = this.#readers.get(key);
    if (reader === undefined) {
      reader = new RevisionReader(this.cache, file, this.#fetch, {
        onCorruption: () => this.onCorruption(file),
        onOutdated: () => this.onOutdated(file),
        onReceived: (bytes) => {
          this.received += bytes;
        },
      });
      this.#readers.set(key, reader);
    }
    reader.users++;
    return reader;
  }

  /** Is the file open with bytes that must be fetched anew (`RevisionReader.isYoung`)? */
  isYoung(file: RemoteFile): boolean {
    return this.#readers.get(revisionKey(file))?.isYoung === true;
  }

  /** The readers with requests in flight. */
  fetching(): RevisionReader[] {
    return [...this.#readers.values()].filter((reader) => reader.isFetching);
  }

  /** The reader stays until its blocks are on the disk, so that a program that opens the file again at once finds them. */
  release(reader: RevisionReader): void {
    reader.users--;
    if (reader.users > 0) return;
    const leaving = this.#closeWhenIdle(reader).finally(() => this.#closing.delete(leaving));
    this.#closing.add(leaving);
  }

  /** Resolves when every reader without users has released its revision in the cache. */
  async idle(): Promise<void> {
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  /** Ends the background checks of contents. They begin again when the file is opened again. */
  async stop(): Promise<void> {
    await Promise.all([...this.#readers.values()].map((reader) => reader.check?.stop()));
  }

  async #closeWhenIdle(reader: RevisionReader): Promise<void> {
    await reader.idle();
    await reader.check?.hashInBackground();
    // Meanwhile a handle has acquired it again, or an earlier `release` has closed it.
    if (reader.users > 0 || this.#readers.get(reader.key) !== reader) return;
    this.#readers.delete(reader.key);
    reader.close();
  }
}
