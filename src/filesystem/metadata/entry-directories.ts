/** Makes and removes implied directories (implied-directories.ts) as other machines' entries say. This takes no request. */
import { codeOf } from '../../base/errors.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { Provider, RemoteFolder } from '../../providers/provider.js';
import type { Ino, Inode } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';

/** No program waits for this. */
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

  /** Makes a folder; null if a file has taken the name, or a folder that the next listing will show. */
  async make(folder: string, name: string): Promise<RemoteFolder | null> {
    try {
      return await this.#o.provider.createFolder(folder, name, request);
    } catch (error) {
      if (codeOf(error) === 'exists' || codeOf(error) === 'invalid-name') return null;
      throw error;
    }
  }

  /**
   * Removes a directory, and the directories below it that no entry keeps. Answers false if the service has a file in it. `list` lists a
   * directory anew, because the table may still have files that another machine removed. `forget` removes a directory below from the table.
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
      // Another client has stored a file in it meanwhile.
      if (codeOf(error) === 'exists') return false;
      throw error;
    }
    return true;
  }
}
