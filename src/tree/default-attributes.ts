/** The owner and mode of inodes that have none of their own, from the mount's options. */
import type { Inode } from './inode.js';

export interface AttributeDefaults {
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
}

export function defaultMode(isDirectory: boolean, isReadOnly: boolean, umask: number): number {
  const mode = (isDirectory ? 0o777 : 0o666) & ~umask;
  return isReadOnly ? mode & ~0o222 : mode;
}

/** True if the inode's mode and owner equal the defaults. */
export function hasDefaultAttributes(
  { overlay: { mode, uid, gid }, kind, remote }: Pick<Inode, 'overlay' | 'kind' | 'remote'>,
  defaults: AttributeDefaults,
): boolean {
  return (
    (mode === null || mode === defaultMode(kind === 'directory', remote?.access === 'read', defaults.umask)) &&
    (uid === null || uid === defaults.uid) &&
    (gid === null || gid === defaults.gid)
  );
}
