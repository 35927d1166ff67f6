import type { Timespec } from '../base/timespec.js';
import type { RemoteEntry } from '../providers/provider.js';
import type { Ino, Inode, InodeKind, Overlay } from './inode.js';

/**
 * A row of table `inode` as SQLite hands it out, in the order of `rowColumns`: an array of 28 values costs a quarter of the
 * time of an object with as many names, and listings are made of rows.
 */
export type InodeRow = readonly [
  ino: number,
  parent: number | null,
  name: string,
  kind: number,
  remoteId: string | null,
  remoteName: string | null,
  remoteParent: string | null,
  access: 0 | 1,
  size: number | null,
  modified: number | null,
  md5: string | null,
  fileCount: number | null,
  folderCount: number | null,
  listedAt: number | null,
  confirmedAt: number | null,
  localSize: number | null,
  mode: number | null,
  uid: number | null,
  gid: number | null,
  atimeSec: number | null,
  atimeNsec: number | null,
  mtimeSec: number | null,
  mtimeNsec: number | null,
  ctimeSec: number | null,
  ctimeNsec: number | null,
  target: Uint8Array | null,
  rdev: number,
  furtherNames: number,
];

/** By the number in column `kind`. */
const kinds: readonly InodeKind[] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character-device',
  'block-device',
];
const numberOf = new Map(kinds.map((kind, number) => [kind, number]));

export function inodeOf(row: InodeRow): Inode {
  const [ino, parent, name, kind, , , , , , , , , , listedAt, confirmedAt, localSize, mode, uid, gid] = row;
  return {
    ino,
    parent,
    name,
    kind: kinds[kind] ?? 'file',
    remote: remoteOf(row),
    listedAt,
    confirmedAt,
    localSize,
    overlay: {
      mode,
      uid,
      gid,
      atime: timespec(row[19], row[20]),
      mtime: timespec(row[21], row[22]),
      ctime: timespec(row[23], row[24]),
    },
    target: row[25],
    rdev: row[26],
    furtherNames: row[27],
  };
}

function remoteOf(row: InodeRow): RemoteEntry | null {
  const [, , name, kind, id, remoteName, parentId, access, size, modified, md5, fileCount, folderCount] = row;
  if (id === null) return null;
  const common = {
    id,
    name: remoteName ?? name,
    modified: modified ?? 0,
    access: access === 1 ? ('write' as const) : ('read' as const),
  };
  return kind === 1
    ? { kind: 'folder', ...common, parentId, fileCount, folderCount }
    : { kind: 'file', ...common, parentId: parentId ?? '', size: size ?? 0, md5 };
}

function timespec(sec: number | null, nsec: number | null): Timespec | null {
  return sec === null ? null : { sec, nsec: nsec ?? 0 };
}

/** The parameters of an insert or update of a whole row, by column. */
export type RowParameters = Record<string, number | string | Uint8Array | null>;

export function parametersOf(inode: Omit<Inode, 'ino'> & { readonly ino?: Ino }): RowParameters {
  const { remote, overlay } = inode;
  const file = remote?.kind === 'file' ? remote : null;
  const folder = remote?.kind === 'folder' ? remote : null;
  return {
    ino: inode.ino ?? null,
    parent: inode.parent,
    name: inode.name,
    kind: numberOf.get(inode.kind) ?? 0,
    remote_id: remote?.id ?? null,
    remote_name: remote?.name ?? null,
    remote_parent: remote?.parentId ?? null,
    access: remote?.access === 'read' ? 0 : 1,
    size: file?.size ?? null,
    modified: remote?.modified ?? null,
    md5: file?.md5 ?? null,
    file_count: folder?.fileCount ?? null,
    folder_count: folder?.folderCount ?? null,
    listed_at: inode.listedAt,
    confirmed_at: inode.confirmedAt,
    local_size: inode.localSize,
    ...overlayParameters(overlay),
    target: inode.target,
    rdev: inode.rdev,
    further_names: inode.furtherNames,
  };
}

export function isSameRow(a: RowParameters, b: RowParameters): boolean {
  for (const column in a) if (a[column] !== b[column]) return false;
  return true;
}

function overlayParameters(overlay: Overlay): RowParameters {
  return {
    mode: overlay.mode,
    uid: overlay.uid,
    gid: overlay.gid,
    atime_sec: overlay.atime?.sec ?? null,
    atime_nsec: overlay.atime?.nsec ?? null,
    mtime_sec: overlay.mtime?.sec ?? null,
    mtime_nsec: overlay.mtime?.nsec ?? null,
    ctime_sec: overlay.ctime?.sec ?? null,
    ctime_nsec: overlay.ctime?.nsec ?? null,
  };
}

const columns = Object.keys(
  parametersOf({
    parent: null,
    name: '',
    kind: 'file',
    remote: null,
    listedAt: null,
    confirmedAt: null,
    localSize: null,
    overlay: { mode: null, uid: null, gid: null, atime: null, mtime: null, ctime: null },
    target: null,
    rdev: 0,
    furtherNames: 0,
  }),
);

/** What a query for `InodeRow` selects: `ino`, `parent`, `name` and so on, as they stand there. */
export const rowColumns = columns.join(', ');

export const insertInode = `INSERT INTO inode (${columns.join(', ')}) VALUES (${columns.map((c) => `@${c}`).join(', ')})`;

/** What the indexes are made of. SQLite writes an index again for each column that is set, also to what it was. */
const indexed = ['parent', 'name', 'kind', 'remote_id'];

export const updateInode = updating(columns);
/** For a row of which `isSamePlace` holds: a third of the work, and of what goes to the log. */
export const updateInodeInPlace = updating(columns.filter((column) => !indexed.includes(column)));

function updating(changed: readonly string[]): string {
  const set = changed.filter((column) => column !== 'ino').map((column) => `${column} = @${column}`);
  return `UPDATE inode SET ${set.join(', ')} WHERE ino = @ino`;
}

export function isSamePlace(a: RowParameters, b: RowParameters): boolean {
  return indexed.every((column) => a[column] === b[column]);
}
