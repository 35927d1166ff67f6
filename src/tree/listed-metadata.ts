/** The account's metadata as `Directories` uses it: it does not know where metadata is stored. */
import type { RemoteEntry, RemoteFolder } from '../providers/provider.js';
import type { Ino } from './inode.js';

/** The changes by metadata that the kernel's caches must forget. */
export interface AppliedMetadata {
  readonly names: readonly string[];
  readonly attributes: readonly Ino[];
}

/** The metadata of folders. */
export interface ListedMetadata {
  /** Removes the objects that no mount shows from a listing. */
  visible(folder: RemoteFolder, entries: readonly RemoteEntry[]): readonly RemoteEntry[];
  /** Applies metadata to a directory's rows, after its listing was merged and before a program sees them. */
  apply?(directory: Ino, list: (directory: Ino) => Promise<void>): Promise<AppliedMetadata>;
  /** The time in ms until the folder's missing metadata may be read; null if none is missing. */
  retryIn?(folder: RemoteFolder): number | null;
}
