/** The journal's record of a rename that takes several requests. */
import type { Ino, Inode } from '../../tree/inode.js';
import type { BegunCopy } from './copies.js';

/** A rename as it was begun. */
export interface BegunRename {
  readonly source: Ino;
  /** The entry that has the new name at the beginning. */
  readonly target: Ino | null;
  readonly parent: Ino;
  readonly name: string;
  /** Where the source was at the provider. A listing may have moved it in the table since. */
  readonly from?: { readonly parentId: string | null; readonly name: string };
  /** Set at a provider that cannot rename, before the copy is sent. */
  readonly copy?: BegunCopy;
  /** Set if the inode in the way has other names, and gives up the new name first: the old name of the source. */
  readonly vacatedFor?: { readonly parent: Ino; readonly name: string };
}

export function begunRename({ ino, remote }: Inode, target: Inode | undefined, parent: Ino, name: string): BegunRename {
  const from = remote === null ? undefined : { parentId: remote.parentId, name: remote.name };
  return { source: ino, target: target?.ino ?? null, parent, name, from };
}
