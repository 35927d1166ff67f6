/** Makes and removes directories by entries, where the service has directories only through the files in them (5sync). No request. */
import { codeOf } from '../../base/errors.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { Provider, RemoteFolder } from '../../providers/provider.js';
import type { Ino, Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';

/** Nobody waits for it. */
const request = { priority: 'background' } as const;

export interface EntryDirectoriesOptions {
  readonly table: InodeTable;
  readonly store: Pick<MetadataStore, 'entryOf'>;
  readonly provider: Pick<Provider, 'createFolder' | 'remove'>;
}

export class EntryDirectories {
  readonly #o: EntryDirectoriesOptions;

  constructor(options: EntryDirectoriesOptions) {
    this.#o = options;
  }

  /** Null where a file has come by that name, or a folder of which the next listing tells. */
  async make(folder: string, name: string): Promise<RemoteFolder | null> {
    try {
      return await this.#o.provider.createFolder(folder, name, request);
    } catch (error) {
      if (codeOf(error) === 'exists' || codeOf(error) === 'invalid-name') return null;
      throw error;
    }
  }

  /**
   * True where the service has no file in it: then it can go. `list` lists a directory: files that another machine has removed with it
   * may still be shown. Directories below it that no entry keeps go with it; `forget` takes one of them out of sight.
   */
  async remove(
    { ino, remote }: Inode,
    list: ((directory: Ino) => Promise<void>) | null,
    forget: (below: Inode) => void,
  ): Promise<boolean> {
    const { table, store } = this.#o;
    if (remote === null) return false;
    if (table.hasChildren(ino)) await list?.(ino);
    for (const below of list === null ? [] : table.children(ino)) {
      const said = store.entryOf(remote.id, below.name)?.entry;
      const isKept = below.kind !== 'directory' || (said !== undefined && said.gone !== true);
      if (isKept || !(await this.remove(below, list, forget))) return false;
      forget(below);
    }
    if (table.hasChildren(ino)) return false;
    try {
      await this.#o.provider.remove(remote, { ...request, onlyEmpty: true });
    } catch (error) {
      // Another client has put a file into it meanwhile.
      if (codeOf(error) === 'exists') return false;
      throw error;
    }
    return true;
  }
}
