/** The journal's record of a file that loses its name, to another file or for good, in several requests. */
import type { RemoteFile } from '../../providers/provider.js';

/** A file that will be replaced by another under its name. */
export interface ReplaceIntent {
  /** The file to be removed, as it was at the beginning. */
  readonly old: RemoteFile;
  readonly parentId: string;
  /** The name in question. */
  readonly name: string;
  /** The name of the old file in between. */
  readonly aside: string;
  /** The folder of the old file in between, if it is not `parentId`. */
  readonly asideIn?: string;
  /** The file that takes the name, as it was before. Null: the name goes. */
  readonly successor: RemoteFile | null;
}

export interface Intent {
  readonly id: number;
  readonly replace: ReplaceIntent;
}
