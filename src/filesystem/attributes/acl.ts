/**
 * POSIX access control lists (acl(5)): pure functions over the form in which the kernel hands them over.
 *
 * The kernel checks permissions by them. The file system keeps an ACL and the mode in step, and lets new objects inherit the
 * default ACL of their directory. linux/posix_acl_xattr.h has the form, fs/posix_acl.c the rules.
 */
import { FsError } from '../core/fs-error.js';

export const accessAclName = 'system.posix_acl_access';
export const defaultAclName = 'system.posix_acl_default';

/** ACL_USER_OBJ and so on, in the order that the kernel demands. */
const tag = { owner: 0x01, user: 0x02, owningGroup: 0x04, group: 0x08, mask: 0x10, other: 0x20 } as const;
type Tag = (typeof tag)[keyof typeof tag];
const tags: ReadonlySet<number> = new Set(Object.values(tag));

/** POSIX_ACL_XATTR_VERSION, before the entries. */
const version = 2;
const headBytes = 4;
const entryBytes = 8;
/** ACL_UNDEFINED_ID: of an entry that names nobody. */
const nobody = 0xffffffff;

export interface AclEntry {
  readonly tag: Tag;
  /** 0 … 7 */
  readonly permissions: number;
  /** The user or group that an entry names; otherwise -1 as an unsigned number. */
  readonly id: number;
}

export type Acl = readonly AclEntry[];

/** Throws EINVAL if it is no ACL, EOPNOTSUPP if it is of another version. */
export function parseAcl(value: Uint8Array): Acl {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length < headBytes || (value.length - headBytes) % entryBytes !== 0) throw malformed();
  if (view.getUint32(0, true) !== version) throw new FsError('ENOTSUP', 'an ACL of another version');
  const entries: AclEntry[] = [];
  for (let at = headBytes; at < value.length; at += entryBytes) {
    const kind = view.getUint16(at, true);
    const permissions = view.getUint16(at + 2, true);
    if (!isTag(kind) || permissions > 7) throw malformed();
    entries.push({ tag: kind, permissions, id: view.getUint32(at + 4, true) });
  }
  requireValid(entries);
  return entries;
}

export function encodeAcl(acl: Acl): Uint8Array {
  const bytes = new Uint8Array(headBytes + acl.length * entryBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, version, true);
  let at = headBytes;
  for (const { tag: kind, permissions, id } of acl) {
    view.setUint16(at, kind, true);
    view.setUint16(at + 2, permissions, true);
    view.setUint32(at + 4, id, true);
    at += entryBytes;
  }
  return bytes;
}

/** Does the ACL say more than the nine bits of a mode? */
export function isExtended(acl: Acl): boolean {
  return acl.some((entry) => entry.tag === tag.user || entry.tag === tag.group || entry.tag === tag.mask);
}

/** The permission bits (0777) that stat(2) shows for an object with this ACL: the mask stands for the group. */
export function permissionsOf(acl: Acl): number {
  const of = (kind: Tag): number | undefined => acl.find((entry) => entry.tag === kind)?.permissions;
  const group = of(tag.mask) ?? of(tag.owningGroup) ?? 0;
  return ((of(tag.owner) ?? 0) << 6) | (group << 3) | (of(tag.other) ?? 0);
}

/** The ACL after chmod(2): the group's bits go to the mask, or to the owning group if there is no mask. */
export function withMode(acl: Acl, mode: number): Acl {
  const hasMask = acl.some((entry) => entry.tag === tag.mask);
  const bits: Partial<Record<Tag, number>> = {
    [tag.owner]: (mode >> 6) & 7,
    [hasMask ? tag.mask : tag.owningGroup]: (mode >> 3) & 7,
    [tag.other]: mode & 7,
  };
  return acl.map((entry) => ({ ...entry, permissions: bits[entry.tag] ?? entry.permissions }));
}

/**
 * The ACL and mode of a new object, from the default ACL of its directory and the `mode` that its creator asks for: only the bits that
 * both grant. The umask has no part in it.
 */
export function inherited(defaultAcl: Acl, mode: number): { readonly acl: Acl; readonly mode: number } {
  const granted = permissionsOf(defaultAcl) & mode;
  return { acl: withMode(defaultAcl, granted), mode: (mode & ~0o777) | granted };
}

function isTag(value: number): value is Tag {
  return tags.has(value);
}

/** Checks the order, and that the required entries are there: posix_acl_valid(). */
function requireValid(acl: Acl): void {
  if (acl.length === 0) return;
  const count = (kind: Tag): number => acl.filter((entry) => entry.tag === kind).length;
  const isOrdered = acl.every((entry, index) => index === 0 || (acl[index - 1]?.tag ?? 0) <= entry.tag);
  const isWhole = [tag.owner, tag.owningGroup, tag.other].every((kind) => count(kind) === 1);
  const masks = count(tag.mask);
  if (!isOrdered || !isWhole || masks > 1 || (count(tag.user) + count(tag.group) > 0 && masks === 0)) throw malformed();
  const named = acl.filter((entry) => entry.tag === tag.user || entry.tag === tag.group);
  if (named.some(({ id }) => id === nobody)) throw malformed();
}

function malformed(): FsError {
  return new FsError('EINVAL', 'not an ACL');
}
