/** Converts inodes to entries of the metadata store, and back. Pure. */
import type { Timespec } from '../../base/timespec.js';
import type { EntryKind, MetadataEntry, NamePlace, NewEntry } from '../../metadata/entry.js';
import { bindingOf, describesContent } from '../../metadata/merge.js';
import { mayBeKeptAs } from '../../providers/names.js';
import { type Inode, type InodeKind, isSpecial, type Overlay } from '../../tree/inode.js';
import { isLocalName } from '../../tree/local-names.js';
import { capabilityName } from '../../tree/xattr-table.js';

/** The name of the root's own entry, in the folder of the root: no object can have it. */
export const rootEntryName = '.';

const kinds: Readonly<Record<InodeKind, EntryKind>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symlink',
  fifo: 'fifo',
  socket: 'socket',
  'character-device': 'character',
  'block-device': 'block',
};

export function entryKindOf(kind: InodeKind): EntryKind {
  return kinds[kind];
}

export function inodeKindOf(kind: EntryKind): InodeKind {
  if (kind === 'character') return 'character-device';
  return kind === 'block' ? 'block-device' : kind;
}

/** The place of an inode's entry: the folder's id, and the name at the service (without an object the name in the mount). */
export interface EntryPlace {
  readonly folder: string;
  readonly name: string;
}

/** The entry of an inode. `xattrs`: all of them, with ACLs; `names`: its further names. */
export function entryOfInode(
  inode: Omit<Inode, 'ino'>,
  { folder, name }: EntryPlace,
  xattrs: ReadonlyMap<string, Uint8Array>,
  names: readonly NamePlace[],
): NewEntry {
  const { overlay, remote, target, kind } = inode;
  // The service does not have the new content yet: its times would be bound to the old content.
  const times = inode.localSize === null || isSpecial(inode) ? overlay : { atime: null, mtime: null, ctime: null };
  return {
    folder,
    name,
    kind: kinds[kind],
    ...(remote === null ? {} : remote.kind === 'file' ? bindingOf(remote) : { id: remote.id }),
    ...(hasGivenName(inode) ? { shown: inode.name } : {}),
    ...(overlay.mode === null ? {} : { mode: overlay.mode.toString(8).padStart(4, '0') }),
    ...(overlay.uid === null ? {} : { uid: overlay.uid }),
    ...(overlay.gid === null ? {} : { gid: overlay.gid }),
    ...timeField('atime', times.atime),
    ...timeField('mtime', times.mtime),
    ...timeField('ctime', times.ctime),
    ...(xattrs.size === 0 ? {} : { xattrs: Object.fromEntries([...xattrs].map(([at, value]) => [at, base64(value)])) }),
    ...(target === null ? {} : targetField(target)),
    ...(names.length === 0 ? {} : { names }),
    ...(kind === 'character-device' || kind === 'block-device' ? { rdev: numbersOf(inode.rdev) } : {}),
  } as NewEntry;
}

/** True if the service keeps the object under another name than a program gave it (`shown` in its entry). */
export function hasGivenName({ name, remote }: Pick<Inode, 'name' | 'remote'>): boolean {
  return remote !== null && name !== remote.name && isLocalName(remote.name) && mayBeKeptAs(name, remote.name);
}

function timeField(field: string, time: Timespec | null): Record<string, [number, number]> {
  return time === null ? {} : { [field]: [time.sec, time.nsec] };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function targetField(target: Uint8Array): Pick<MetadataEntry, 'target' | 'targetBase64'> {
  const text = Buffer.from(target).toString();
  return Buffer.from(text).equals(target) ? { target: text } : { targetBase64: base64(target) };
}

/** Major and minor number of a device as Linux encodes it for FUSE (`new_encode_dev`). */
function numbersOf(rdev: number): [number, number] {
  return [(rdev >>> 8) & 0xfff, (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)];
}

function rdevOf([major, minor]: readonly [number, number]): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

/** The fields of a special file's inode. */
export function specialOf(entry: MetadataEntry): Pick<Inode, 'kind' | 'target' | 'rdev'> {
  const { target, targetBase64 } = entry;
  const bytes = target !== undefined ? Buffer.from(target) : Buffer.from(targetBase64 ?? '', 'base64');
  return {
    kind: inodeKindOf(entry.kind),
    target: entry.kind === 'symlink' ? bytes : null,
    rdev: entry.rdev === undefined ? 0 : rdevOf(entry.rdev),
  };
}

/** True if an inode has the kind that the entry tells; a special file also its target and device numbers. */
export function isMadeAs(inode: Pick<Inode, 'kind' | 'target' | 'rdev'>, entry: MetadataEntry): boolean {
  if (!isSpecial(inode)) return inode.kind === inodeKindOf(entry.kind);
  const { kind, target, rdev } = specialOf(entry);
  const nothing = new Uint8Array();
  return inode.kind === kind && inode.rdev === rdev && Buffer.compare(inode.target ?? nothing, target ?? nothing) === 0;
}

export interface AppliedEntry {
  readonly overlay: Overlay;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** Set-user-ID and set-group-ID: they are granted to one content. */
const setIdBits = 0o6000;

/**
 * The attributes that an inode shows by an entry. If the entry describes another content than the file has, its times do not count, nor do
 * set-id bits and capabilities: they would give another client's program the rights of another user. The rest counts.
 */
export function appliedTo(inode: Inode, entry: MetadataEntry): AppliedEntry {
  const { remote } = inode;
  const isOther = remote?.kind === 'file' && !describesContent(entry, remote);
  const keepsTimes = isOther || (remote?.kind === 'file' && inode.localSize !== null);
  const mode = entry.mode === undefined ? null : Number.parseInt(entry.mode, 8);
  const xattrs = new Map<string, Uint8Array>();
  for (const [name, value] of Object.entries(entry.xattrs ?? {}))
    if (!isOther || name !== capabilityName) xattrs.set(name, Buffer.from(value, 'base64'));
  return {
    overlay: {
      mode: mode !== null && isOther ? mode & ~setIdBits : mode,
      uid: entry.uid ?? null,
      gid: entry.gid ?? null,
      ...(keepsTimes
        ? { atime: inode.overlay.atime, mtime: inode.overlay.mtime, ctime: inode.overlay.ctime }
        : { atime: timespec(entry.atime), mtime: timespec(entry.mtime), ctime: timespec(entry.ctime) }),
    },
    xattrs,
  };
}

function timespec(time: readonly [number, number] | undefined): Timespec | null {
  return time === undefined ? null : { sec: time[0], nsec: time[1] };
}
