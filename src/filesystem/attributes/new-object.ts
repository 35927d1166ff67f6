/** The first attributes of a new object: owner, mode, and what it inherits from its directory. */
import { type AttributeDefaults, defaultMode } from '../../tree/default-attributes.js';
import type { Ino, Inode, Overlay } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { Caller, NodeKind } from '../api.js';
import type { Core } from '../core/core.js';
import { accessAclName, defaultAclName, encodeAcl, inherited, isExtended, parseAcl } from './acl.js';

const setGroupId = 0o2000;

export interface NewObject {
  readonly overlay: Pick<Overlay, 'mode' | 'uid' | 'gid'>;
  /** By name. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** `mode` is what the caller asks for; its umask is not applied yet. A symbolic link has neither mode nor ACL. */
export function newObject(
  { table, options }: Pick<Core, 'table' | 'options'>,
  caller: Caller | undefined,
  mode: number,
  kind: NodeKind,
  directory: Inode,
): NewObject {
  if (kind === 'symlink')
    return { overlay: { ...overlayOfNew(caller, 0, kind, options, directory), mode: null }, xattrs: new Map() };
  const defaultAcl = table.xattrs.get(directory.ino, defaultAclName);
  if (defaultAcl === undefined) {
    const bits = mode & ~(caller?.umask ?? 0);
    return { overlay: overlayOfNew(caller, bits, kind, options, directory), xattrs: new Map() };
  }
  // acl(5): if there is a default ACL, the umask has no effect.
  const born = inherited(parseAcl(defaultAcl), mode);
  const overlay = overlayOfNew(caller, born.mode, kind, options, directory);
  const xattrs = new Map<string, Uint8Array>();
  if (isExtended(born.acl)) xattrs.set(accessAclName, encodeAcl(born.acl));
  if (kind === 'directory') xattrs.set(defaultAclName, defaultAcl);
  // The mode is stored: a default that depends on the mount's options would contradict the ACL.
  return { overlay: { ...overlay, mode: overlay.mode ?? born.mode }, xattrs };
}

/** Gives a new row the extended attributes of `newObject`. Run this in the transaction that inserts the row. */
export function storeInherited({ xattrs }: Pick<InodeTable, 'xattrs'>, ino: Ino, object: NewObject): void {
  for (const [name, value] of object.xattrs) xattrs.set(ino, name, value);
}

/** Owner and mode; null if the mount's defaults show the same. */
function overlayOfNew(
  caller: Caller | undefined,
  mode: number,
  kind: NodeKind,
  options: AttributeDefaults,
  directory: Inode,
): NewObject['overlay'] {
  const isDirectory = kind === 'directory';
  // inode(7): an object made in a set-group-ID directory gets its group, and a directory gets the bit too.
  const isGroupInherited = ((directory.overlay.mode ?? 0) & setGroupId) !== 0;
  const gid = isGroupInherited ? (directory.overlay.gid ?? options.gid) : caller?.gid;
  const bits = isGroupInherited && isDirectory ? mode | setGroupId : mode;
  const usual = defaultMode(isDirectory, false, options.umask);
  return {
    mode: bits === usual ? null : bits & 0o7777,
    uid: caller?.uid === options.uid ? null : (caller?.uid ?? null),
    gid: gid === options.gid ? null : (gid ?? null),
  };
}
