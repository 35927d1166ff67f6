/** Answers people's questions about objects of a mount: all known facts of one, names that contain a word, links to share. */
import { turn } from '../../base/event-loop-turns.js';
import { ProviderError } from '../../providers/errors.js';
import {
  type LinkRequest,
  type Member,
  type MemberRights,
  type Provider,
  type RemoteEntry,
  type RemoteFile,
  type RemoteFolder,
  type RemoteLink,
  revisionKey,
} from '../../providers/provider.js';
import { type Ino, type Inode, remoteFolderOf, sizeOf } from '../../tree/inode.js';
import { attributesOf } from '../attributes/attributes.js';
import { type Core, inodeOf, pathOf, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { atPath } from '../names/at-path.js';
import type { Namespace } from '../names/namespace.js';

/** Rows of one turn of a search: some 5 ms. */
const ROWS_PER_TURN = 5000;
/** A search ends with so many results: nobody reads more. */
const MOST_RESULTS = 10_000;

export interface Found {
  /** From the mounted directory; in the service's own search, from the account's root. */
  readonly path: string;
  readonly kind: Inode['kind'] | RemoteEntry['kind'];
  /** Bytes; null for a folder. */
  readonly size: number | null;
  /** ms since the epoch. */
  readonly modified: number;
}

export interface ObjectInfo extends Found {
  readonly inode: number;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** The object at the service; null: it is not stored there. */
  readonly remote: {
    readonly id: string;
    readonly parentId: string | null;
    readonly name: string;
    readonly md5: string | null;
    readonly access: string;
  } | null;
  /** Is all of the content in the cache? Null for anything but a stored file. */
  readonly cached: boolean | null;
  /** Is it pinned, by itself or with a folder above it? */
  readonly pinned: boolean;
  /** The upload that waits, is under way, or has failed. */
  readonly upload?: { readonly state: string; readonly error?: string };
  /** Why the service was not asked or has not answered: the other fields are what was known here. */
  readonly unanswered?: string;
}

/** A file with bytes that are on their way here. */
export interface DownloadStatus {
  /** From the mounted directory; for a file outside of it, or without a name, its name at the service. */
  readonly path: string;
  /** Bytes of the file, and those that are here. */
  readonly size: number;
  readonly present: number;
}

export class Inspection {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #root: Ino;

  /** `root`: the mounted directory. */
  constructor(core: Core, namespace: Namespace, root: Ino) {
    this.#core = core;
    this.#namespace = namespace;
    this.#root = root;
  }

  #at(path: string): Promise<Inode> {
    return atPath(this.#core, this.#namespace, this.#root, path);
  }

  async info(path: string): Promise<ObjectInfo> {
    return this.#infoOf(await this.#at(path));
  }

  /** The same without a request; null for a name that is not known here. */
  known(path: string): ObjectInfo | null {
    const { table } = this.#core;
    let at: Inode | undefined = inodeOf(this.#core, this.#root);
    for (const name of path.split('/').filter((part) => part !== ''))
      at = at?.kind === 'directory' ? table.child(at.ino, name) : undefined;
    return at === undefined ? null : this.#infoOf(at);
  }

  #infoOf(inode: Inode): ObjectInfo {
    const { remote, ino } = inode;
    const { mode, uid, gid, nlink, size, mtime } = this.#namespace.attributes(inode);
    const row = this.#core.journal.get(ino);
    return {
      path: pathOf(this.#core, ino, this.#root),
      kind: inode.kind,
      size: inode.kind === 'directory' ? null : size,
      modified: mtime.sec * 1000 + Math.floor(mtime.nsec / 1e6),
      inode: ino,
      mode: mode.toString(8).padStart(4, '0'),
      ...{ uid, gid, links: nlink },
      remote:
        remote === null
          ? null
          : {
              id: remote.id,
              parentId: remote.parentId,
              name: remote.name,
              md5: remote.kind === 'file' ? remote.md5 : null,
              access: remote.access,
            },
      pinned: this.#core.table.pins.covers(this.#core.table, ino),
      cached: remote?.kind === 'file' && inode.localSize === null ? this.#isCached(remote) : null,
      ...(row === undefined
        ? {}
        : { upload: { state: row.state, ...(row.message == null ? {} : { error: row.message }) } }),
    };
  }

  downloads(): DownloadStatus[] {
    const { table, readers } = this.#core;
    return readers.fetching().map((reader) => {
      const { id, name, size } = reader.file;
      const ino = table.byRemote('file', id)?.ino;
      const isShown = ino !== undefined && table.isWithin(ino, this.#root);
      return { path: isShown ? pathOf(this.#core, ino, this.#root) : name, size, present: reader.present() };
    });
  }

  /** Bytes of contents since the mount began. */
  transferred(): { readonly sent: number; readonly received: number } {
    return { sent: this.#core.files.sentBytes, received: this.#core.readers.received };
  }

  #isCached(file: RemoteFile): boolean {
    return this.#core.readers.cache.isComplete(revisionKey(file), file.size);
  }

  /** Known objects below the mounted directory with names that contain the words. No request. */
  async search(query: string): Promise<Found[]> {
    const { sql } = this.#core.table;
    const words = query
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
    const page = sql
      .prepare('SELECT ino, name FROM inode WHERE ino > ? AND parent IS NOT NULL ORDER BY ino LIMIT ?')
      .raw();
    const found: Found[] = [];
    for (let last = 0; found.length < MOST_RESULTS; ) {
      const rows = page.all(last, ROWS_PER_TURN) as [Ino, string][];
      for (const [ino, name] of rows) {
        const lower = name.toLowerCase();
        if (words.every((word) => lower.includes(word))) found.push(...this.#found(ino));
      }
      const end = rows.at(-1)?.[0];
      if (end === undefined || rows.length < ROWS_PER_TURN) break;
      last = end;
      await turn();
    }
    return found;
  }

  /** Nothing for an object that the mount does not show. */
  #found(ino: Ino): Found[] {
    const { table, options, files } = this.#core;
    const inode = table.get(ino);
    if (inode === undefined || ino === this.#root || !table.isWithin(ino, this.#root)) return [];
    const { mtime } = attributesOf(inode, options, files.state(ino));
    const size = inode.kind === 'directory' ? null : sizeOf(inode);
    return [{ path: pathOf(this.#core, ino, this.#root), kind: inode.kind, size, modified: mtime.sec * 1000 }];
  }

  /** The service's own search, in the whole account. Throws `unsupported` if its documents have none. */
  async searchRemote(query: string, signal: AbortSignal): Promise<Found[]> {
    const { provider } = this.#core;
    if (provider.search === undefined)
      throw new ProviderError('unsupported', `the document of ${provider.name} has no search`, { data: {} });
    return (await provider.search(query, { signal })).map(({ entry, path }) => ({
      path: `/${(path ?? [entry.name]).join('/')}`,
      kind: entry.kind,
      size: entry.kind === 'file' ? entry.size : null,
      modified: entry.modified,
    }));
  }

  /** Makes, shows or ends the link of an object. Throws `unsupported` for what the service's documents do not have. */
  async link(path: string, wish: LinkRequest, signal: AbortSignal): Promise<RemoteLink> {
    const { provider } = this.#core;
    if (provider.link === undefined)
      throw new ProviderError('unsupported', `the document of ${provider.name} has no links`, { data: {} });
    if (wish.act !== 'show') requireWritable(this.#core);
    const { remote, name } = await this.#at(path);
    if (remote === null) throw new FsError('ENOENT', `${name} is not stored at the service yet`);
    return await provider.link(remote, wish, { signal });
  }

  /** The people with whom a folder is shared. Throws as `share` does. */
  async members(path: string, signal: AbortSignal): Promise<Member[]> {
    const { provider } = this.#core;
    if (provider.members === undefined) throw noMembers(provider);
    return await provider.members(await this.#folderAt(path), { signal });
  }

  /** Shares a folder with somebody. Throws `unsupported` if the service's documents have no members, ENOTDIR for a file. */
  async share(path: string, email: string, rights: MemberRights, signal: AbortSignal): Promise<Member> {
    const { provider } = this.#core;
    if (provider.share === undefined) throw noMembers(provider);
    requireWritable(this.#core);
    return await provider.share(await this.#folderAt(path), email, rights, { signal });
  }

  async #folderAt(path: string): Promise<RemoteFolder> {
    const inode = await this.#at(path);
    const folder = remoteFolderOf(inode);
    if (inode.kind !== 'directory') throw new FsError('ENOTDIR', `${inode.name} is no folder: only those have members`);
    if (folder === null) throw new FsError('ENOENT', `${inode.name} is not stored at the service yet`);
    return folder;
  }
}

function noMembers({ name, link }: Pick<Provider, 'name' | 'link'>): ProviderError {
  const instead = link === undefined ? '' : ": 'syncmount link' makes a link that others can open";
  return new ProviderError('unsupported', `the document of ${name} has no members of folders${instead}`, { data: {} });
}
