/** What a listing needs of the account's metadata: `Directories` asks, and knows nothing of where it is stored. */
import type { RemoteEntry, RemoteFolder } from '../providers/provider.js';
import type { Ino } from './inode.js';

/** What the kernel must forget. */
export interface AppliedMetadata {
  readonly names: readonly string[];
  readonly attributes: readonly Ino[];
}

/** What the account holds about a folder besides its objects. */
export interface ListedMetadata {
  /** A listing without what no mount shows. */
  visible(folder: RemoteFolder, entries: readonly RemoteEntry[]): readonly RemoteEntry[];
  /** The listing of a directory was merged: changes its rows by what is known of them. No program sees them before. */
  apply?(directory: Ino, list: (directory: Ino) => Promise<void>): Promise<AppliedMetadata>;
  /** In how many ms what could not be read about the folder may be had; null where nothing is missing. */
  retryIn?(folder: RemoteFolder): number | null;
}
