/** The folder `.syncmount` in the account's root, which holds the files of the store. No mount shows it. */
import { codeOf } from '../base/errors.js';
import { ProviderError } from '../providers/errors.js';
import type { Provider, RemoteEntry, RemoteFile, RemoteFolder } from '../providers/provider.js';
import type { TransferOptions } from './pack-transfer.js';
import type { MetadataTables } from './tables.js';

export const hiddenFolderName = '.syncmount';

/** True for the store's folder. `rootId`: the account's root. */
export function isHiddenFolder(entry: RemoteEntry, rootId: string): boolean {
  return entry.kind === 'folder' && entry.name === hiddenFolderName && entry.parentId === rootId;
}

/** Hides the folder in a mount that keeps its metadata on this machine (`--metadata local`). */
export function hideStoreFolder(rootId: string): {
  visible(folder: RemoteFolder, entries: readonly RemoteEntry[]): readonly RemoteEntry[];
} {
  return {
    visible: (folder, entries) =>
      folder.id === rootId ? entries.filter((entry) => !isHiddenFolder(entry, rootId)) : entries,
  };
}

export class HiddenFolder {
  readonly #provider: Provider;
  readonly #tables: MetadataTables;
  readonly #root: RemoteFolder;
  #known: RemoteFolder | null;

  constructor(provider: Provider, tables: MetadataTables, root: RemoteFolder) {
    this.#provider = provider;
    this.#tables = tables;
    this.#root = root;
    this.#known = tables.recall<RemoteFolder>('folder');
  }

  /** The folder as it was last seen; null if there is none, or the mount has not seen one yet. */
  get known(): RemoteFolder | null {
    return this.#known;
  }

  /** Notes the folder that a listing of the account's root shows; null if it shows none. */
  learn(folder: RemoteFolder | null): void {
    if (this.#known?.id === folder?.id) return;
    this.#known = folder;
    this.#tables.remember('folder', folder);
  }

  /** Answers the folder, and makes it if there is none. Throws the provider's error. */
  async require(options: TransferOptions): Promise<RemoteFolder> {
    if (this.#known !== null) return this.#known;
    const made = await this.#make(options).catch((error: unknown) => {
      if (codeOf(error) !== 'exists') throw error;
      return null;
    });
    // The name is taken, or another client has removed the folder and the provider's state is stale. A listing shows which.
    const folder = made ?? (await this.#find(options)) ?? (await this.#make(options));
    this.learn(folder);
    return folder;
  }

  #make(options: TransferOptions): Promise<RemoteFolder> {
    return this.#provider.createFolder(this.#root.id, hiddenFolderName, options);
  }

  /** Throws `exists` if a file has the name. */
  async #find(options: TransferOptions): Promise<RemoteFolder | undefined> {
    const entries = await this.#provider.list(this.#root, options);
    const found = entries.filter(({ name }) => name === hiddenFolderName);
    const folder = found.find((entry) => isHiddenFolder(entry, this.#root.id));
    if (found.length > 0 && folder?.kind !== 'folder')
      throw new ProviderError('exists', `a file has the name ${hiddenFolderName} that the metadata needs`, {
        data: {},
      });
    return folder?.kind === 'folder' ? folder : undefined;
  }

  /** The files in the folder; null if the folder is gone. Throws the provider's error. */
  async list(options: TransferOptions): Promise<RemoteFile[] | null> {
    const folder = this.#known;
    if (folder === null) return null;
    try {
      // Nobody makes folders in it. So a service that lists folders separately is spared that request.
      const counted = { ...folder, fileCount: null, folderCount: 0 };
      const entries = await this.#provider.list(counted, { ...options, countsAreFresh: true });
      return entries.filter((entry) => entry.kind === 'file');
    } catch (error) {
      if (codeOf(error) !== 'not-found') throw error;
      this.learn(null);
      return null;
    }
  }
}
