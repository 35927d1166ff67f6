import { isEntryOnly } from '../metadata/held/entry-only.js';
import type { RemoteEntry, RemoteFolder } from '../providers/provider.js';

/**
 * Decides whether the file and folder counts in a provider's listings are reliable enough to save requests.
 *
 * A folder with a file count of 0 needs no request for its files. On a server that counts late, or not at all, this would hide files. So
 * counts are reliable only after one above 0, which shows that the server counts, and only until one is found to be wrong.
 */
export class FolderCountReliability {
  #counts = false;
  #wrong = false;

  areReliable(): boolean {
    return this.#counts && !this.#wrong;
  }

  /** Compares a folder's counts with its listing. `wereFresh`: the counts should have been right. */
  observe(folder: RemoteFolder, entries: readonly RemoteEntry[], wereFresh: boolean): void {
    const counted = entries.filter((entry) => !isEntryOnly(entry));
    const files = counted.filter(({ kind }) => kind === 'file').length;
    const isOff = (count: number | null, found: number): boolean => count !== null && count !== found;
    if (wereFresh && (isOff(folder.fileCount, files) || isOff(folder.folderCount, counted.length - files))) {
      this.#wrong = true;
    }
    for (const entry of entries) {
      if (entry.kind === 'folder' && (entry.fileCount ?? 0) + (entry.folderCount ?? 0) > 0) this.#counts = true;
    }
  }
}
