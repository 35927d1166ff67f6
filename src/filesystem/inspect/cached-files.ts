/** `syncmount cache`: lists the cached files by path, drops them, and fetches files before they are read. */
import pLimit from 'p-limit';
import { messageOf, SyncmountError } from '../../base/errors.js';
import { forEachInTurns, sortInTurns, turn } from '../../base/event-loop-turns.js';
import type { CachedContent } from '../../cache/cache-contents.js';
import { formatSize } from '../../config/units.js';
import { idOfRevision, type RemoteFile, revisionKey } from '../../providers/provider.js';
import { type Ino, type Inode, remoteFileOf } from '../../tree/inode.js';
import { type Core, pathOf } from '../core/core.js';
import { atPath } from '../names/at-path.js';
import type { Namespace } from '../names/namespace.js';

/** Files that are fetched at a time. */
const PARALLEL = 4;
/** Names of a directory that are read at a time. */
const NAMES_AT_A_TIME = 500;

export interface CachedFile {
  /** From the mounted directory; null for an older version, and for a file outside of it. */
  readonly path: string | null;
  /** Bytes of the file, and those of them that are here. */
  readonly size: number;
  readonly bytes: number;
  readonly isPinned: boolean;
}

export interface CacheListing {
  /** Bytes: see `CacheStats`. */
  readonly bytes: number;
  readonly limit: number;
  readonly pinned: number;
  /** Largest first. */
  readonly files: readonly CachedFile[];
}

export interface Dropped {
  readonly files: number;
  readonly bytes: number;
  /** Files that stay, because they are pinned or a program has them open. */
  readonly pinned: number;
  readonly open: number;
}

export interface WarmProgress {
  readonly files: number;
  readonly bytes: number;
  readonly allFiles: number;
  readonly allBytes: number;
}

export interface Warmed extends WarmProgress {
  readonly failed: readonly { readonly path: string; readonly error: string }[];
}

export class CachedFiles {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #root: Ino;

  /** `root`: the mounted directory. */
  constructor(core: Core, namespace: Namespace, root: Ino) {
    this.#core = core;
    this.#namespace = namespace;
    this.#root = root;
  }

  async list(): Promise<CacheListing> {
    const { cache } = this.#core.readers;
    cache.counting.begin();
    await cache.counting.done;
    const files: CachedFile[] = [];
    for (const contents of cache.contents()) {
      for (const content of contents) files.push(this.#fileOf(content));
      await turn();
    }
    const { bytes, limit, pinned } = cache.stats();
    return { bytes, limit, pinned, files: await sortInTurns(files, (a, b) => b.bytes - a.bytes) };
  }

  #fileOf({ key, size, bytes }: CachedContent): CachedFile {
    const inode = this.#inodeOf(key);
    const path = inode !== null && this.#core.table.isWithin(inode.ino, this.#root) ? this.#path(inode.ino) : null;
    return { path, size, bytes, isPinned: this.#core.readers.cache.pins.has(key) };
  }

  /** The file with this content as its latest one. */
  #inodeOf(key: string): Inode | null {
    const inode = this.#core.table.byRemote('file', idOfRevision(key));
    const file = inode === undefined ? null : remoteFileOf(inode);
    return inode !== undefined && file !== null && revisionKey(file) === key ? inode : null;
  }

  /** Drops what the cache has of these paths, and of all below them; without paths, everything. ENOENT. */
  async drop(paths: readonly string[]): Promise<Dropped> {
    const { table, readers } = this.#core;
    const { cache } = readers;
    const tops: Ino[] = [];
    for (const path of paths) tops.push((await this.#at(path)).ino);
    const isMeant = (key: string): boolean => {
      if (tops.length === 0) return true;
      const ino = table.byRemote('file', idOfRevision(key))?.ino;
      return ino !== undefined && tops.some((top) => table.isWithin(ino, top));
    };
    const dropped = { files: 0, bytes: 0, pinned: 0, open: 0 };
    for (const contents of cache.contents()) {
      for (const { key, bytes } of contents.filter((content) => isMeant(content.key))) {
        if (cache.pins.has(key)) dropped.pinned++;
        else if (cache.isInUse(key)) dropped.open++;
        else {
          cache.drop(key);
          dropped.files++;
          dropped.bytes += bytes;
        }
      }
      await turn();
    }
    return dropped;
  }

  /**
   * Fetches files, and all files in folders, into the cache, until `given` aborts. Throws `too-large` if the cache cannot hold them all,
   * and throws like `Provider.assertBudget`.
   */
  async warm(paths: readonly string[], progress: (how: WarmProgress) => void, given: AbortSignal): Promise<Warmed> {
    const { provider, readers } = this.#core;
    const { cache } = readers;
    // Until everything is counted, the cache keeps less than it could.
    cache.counting.begin();
    await cache.counting.done;
    const files = new Map<Ino, RemoteFile>();
    for (const path of paths) await this.#filesBelow(await this.#at(path), files, given);
    const wanted: { readonly ino: Ino; readonly file: RemoteFile }[] = [];
    const count = { files: 0, bytes: 0, allFiles: files.size, allBytes: 0 };
    let missing = 0;
    let counted = 0;
    await forEachInTurns(files, ([ino, file]) => {
      const key = revisionKey(file);
      const { bytes } = cache.present(key, file.size);
      count.allBytes += file.size;
      if (!cache.pins.has(key)) counted += file.size;
      if (bytes < file.size) {
        wanted.push({ ino, file });
        missing += file.size - bytes;
      } else {
        count.files++;
        count.bytes += file.size;
      }
    });
    if (counted > cache.limit) {
      const sizes = `${formatSize(counted)} do not fit into the cache of ${formatSize(cache.limit)}`;
      throw new SyncmountError('too-large', `${sizes}: pin it, or mount with a larger --cache-size`);
    }
    const work = { name: 'filling the cache', read: missing, files: wanted.length, store: 0, remove: 0 };
    if (wanted.length > 0) provider.assertBudget?.({ ...work, isResumable: true });
    const failed: { path: string; error: string }[] = [];
    const limit = pLimit(PARALLEL);
    const fetch = async ({ ino, file }: (typeof wanted)[number]): Promise<void> => {
      if (given.aborted) return;
      const reader = readers.acquireAnew(file);
      let told = 0;
      const fetched = (bytes: number): void => {
        count.bytes += bytes - told;
        told = bytes;
        progress(count);
      };
      try {
        if (!(await reader.storeAll(given, fetched)))
          throw new SyncmountError('ENOSPC', 'the cache did not keep all of it');
        count.files++;
        fetched(file.size);
      } catch (error) {
        failed.push({ path: this.#path(ino), error: messageOf(error) });
      } finally {
        readers.release(reader);
      }
    };
    progress(count);
    await Promise.all(wanted.map((one) => limit(() => fetch(one))));
    given.throwIfAborted();
    return { ...count, failed };
  }

  /** Adds the stored files at or below an inode, and lists directories for that. */
  async #filesBelow(inode: Inode, files: Map<Ino, RemoteFile>, given: AbortSignal): Promise<void> {
    const { table, directories } = this.#core;
    const waiting = [inode];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      given.throwIfAborted();
      const file = at.localSize === null ? remoteFileOf(at) : null;
      if (file !== null) files.set(at.ino, file);
      if (at.kind !== 'directory') continue;
      await directories.ensureListed(at.ino, { signal: given });
      for (let last = ''; ; ) {
        const names = table.namesAfter(at.ino, last, NAMES_AT_A_TIME);
        for (const [, ino] of names) waiting.push(...[table.peek(ino) ?? []].flat());
        last = names.at(-1)?.[0] ?? '';
        if (names.length < NAMES_AT_A_TIME) break;
        await turn();
      }
    }
  }

  #at(path: string): Promise<Inode> {
    return atPath(this.#core, this.#namespace, this.#root, path);
  }

  #path(ino: Ino): string {
    return pathOf(this.#core, ino, this.#root);
  }
}
