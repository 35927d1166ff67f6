import type { Timespec } from '../base/timespec.js';
import type { RemoteEntry } from '../providers/provider.js';
import type { Ino, Inode, InodeKind, Overlay } from './inode.js';

/**
 * A row of table `inode` as SQLite returns it, in the order of `rowColumns`. An array of 28 values takes a quarter of the time of an
 * object with as many names, and a listing reads many rows.
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

/** The columns of a row except its number. The first `indexedColumns` are those of the indexes. */
const columns = [
  ...['parent', 'name', 'kind', 'remote_id', 'remote_name', 'remote_parent', 'access', 'size', 'modified', 'md5'],
  ...['file_count', 'folder_count', 'listed_at', 'confirmed_at', 'local_size', 'mode', 'uid', 'gid'],
  ...['atime_sec', 'atime_nsec', 'mtime_sec', 'mtime_nsec', 'ctime_sec', 'ctime_nsec'],
  ...['target', 'rdev', 'further_names'],
];

/** SQLite rewrites an index whenever one of its columns is set, even to the old value. */
const indexedColumns = 4;

/** The number of columns that a listing fills. */
const listedColumns = 12;

/** The columns of the local attributes. */
const overlayColumns = columns.slice(columns.indexOf('mode'), columns.indexOf('target'));

/** The values of a row in the order of `columns`. By position, because better-sqlite3 looks up each name again at each call. */
export type RowParameters = (number | string | Uint8Array | null)[];

export function parametersOf(inode: Omit<Inode, 'ino'>): RowParameters {
  const { remote, overlay } = inode;
  const file = remote?.kind === 'file' ? remote : null;
  const folder = remote?.kind === 'folder' ? remote : null;
  return [
    inode.parent,
    inode.name,
    numberOf.get(inode.kind) ?? 0,
    remote?.id ?? null,
    remote?.name ?? null,
    remote?.parentId ?? null,
    remote?.access === 'read' ? 0 : 1,
    file?.size ?? null,
    remote?.modified ?? null,
    file?.md5 ?? null,
    folder?.fileCount ?? null,
    folder?.folderCount ?? null,
    inode.listedAt,
    inode.confirmedAt,
    inode.localSize,
    ...overlayOf(overlay),
    inode.target,
    inode.rdev,
    inode.furtherNames,
  ];
}

export function isSameRow(a: RowParameters, b: RowParameters): boolean {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** True if two rows have the same values in the columns of the indexes. */
export function isSamePlace(a: RowParameters, b: RowParameters): boolean {
  for (let at = 0; at < indexedColumns; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** The parameters of `updateInodeInPlace`, before the row's number. */
export function unindexed(parameters: RowParameters): RowParameters {
  return parameters.slice(indexedColumns);
}

/** The parameters of `updateInodeOverlay`, before the row's number. */
export function overlayOf({ mode, uid, gid, atime, mtime, ctime }: Overlay): RowParameters {
  const times = [atime, mtime, ctime].flatMap((time) => [time?.sec ?? null, time?.nsec ?? null]);
  return [mode, uid, gid, ...times];
}

/** The columns that a query for `InodeRow` selects. */
export const rowColumns = ['ino', ...columns].join(', ');

export const insertInode = inserting(columns, 1);

/** Inserts `rows` new objects of a listing, without known ones. This is a third of the work of one statement for each. */
export function insertListed(rows: number): string {
  return inserting([...columns.slice(0, listedColumns), ...overlayColumns], rows).replace(
    /^INSERT/,
    'INSERT OR IGNORE',
  );
}

/** Adds the parameters of one row of `insertListed`. */
export function addListedParameters(
  all: RowParameters,
  parent: Ino,
  name: string,
  entry: RemoteEntry,
  overlay: Overlay,
): void {
  const { id, parentId, access, modified } = entry;
  const isFile = entry.kind === 'file';
  all.push(
    parent,
    name,
    isFile ? 0 : 1,
    id,
    entry.name,
    parentId,
    access === 'read' ? 0 : 1,
    isFile ? entry.size : null,
    modified,
    isFile ? entry.md5 : null,
    isFile ? null : entry.fileCount,
    isFile ? null : entry.folderCount,
    ...overlayOf(overlay),
  );
}

/** Its last parameter is the row's number; so for the next two statements. */
export const updateInode = updating(columns);
/** For a row that `isSamePlace` as before: a third of the work, and of the bytes in the log. */
export const updateInodeInPlace = updating(columns.slice(indexedColumns));
/** For a row with changes only in its local attributes. */
export const updateInodeOverlay = updating(overlayColumns);

function inserting(given: readonly string[], rows: number): string {
  const row = `(${given.map(() => '?').join(', ')})`;
  return `INSERT INTO inode (${given.join(', ')}) VALUES ${Array.from({ length: rows }, () => row).join(', ')}`;
}

function updating(changed: readonly string[]): string {
  return `UPDATE inode SET ${changed.map((column) => `${column} = ?`).join(', ')} WHERE ino = ?`;
}
