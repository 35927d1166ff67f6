/** What the journal says of a file that gives up its name to another, or loses it, in several requests. */
import type { RemoteFile } from '../../providers/provider.js';

/** A file is to be replaced by another under its name. */
export interface ReplaceIntent {
  /** The file that is to go, as it was. */
  readonly old: RemoteFile;
  readonly parentId: string;
  /** The name in question. */
  readonly name: string;
  /** What the old file is called in between. */
  readonly aside: string;
  /** The folder that it is in then, where that is another. */
  readonly asideIn?: string;
  /** The file that takes the name, as it was before; null: the name goes. */
  readonly successor: RemoteFile | null;
}

export interface Intent {
  readonly id: number;
  readonly replace: ReplaceIntent;
}
