import type { Timespec } from '../base/timespec.js';
import type { RemoteEntry } from '../providers/provider.js';
import type { Ino, Inode, Overlay } from './inode.js';

/** A row of table `inode` as SQLite hands it out. */
export interface InodeRow {
  ino: number;
  parent: number | null;
  name: string;
  kind: 0 | 1;
  remote_id: string | null;
  remote_name: string | null;
  remote_parent: string | null;
  access: 0 | 1;
  size: number | null;
  modified: number | null;
  md5: string | null;
  file_count: number | null;
  folder_count: number | null;
  listed_at: number | null;
  confirmed_at: number | null;
  local_size: number | null;
  mode: number | null;
  uid: number | null;
  gid: number | null;
  atime_sec: number | null;
  atime_nsec: number | null;
  mtime_sec: number | null;
  mtime_nsec: number | null;
  ctime_sec: number | null;
  ctime_nsec: number | null;
}

export function inodeOf(row: InodeRow): Inode {
  return {
    ino: row.ino,
    parent: row.parent,
    name: row.name,
    kind: row.kind === 1 ? 'directory' : 'file',
    remote: remoteOf(row),
    listedAt: row.listed_at,
    confirmedAt: row.confirmed_at,
    localSize: row.local_size,
    overlay: {
      mode: row.mode,
      uid: row.uid,
      gid: row.gid,
      atime: timespec(row.atime_sec, row.atime_nsec),
      mtime: timespec(row.mtime_sec, row.mtime_nsec),
      ctime: timespec(row.ctime_sec, row.ctime_nsec),
    },
  };
}

function remoteOf(row: InodeRow): RemoteEntry | null {
  if (row.remote_id === null) return null;
  const common = {
    id: row.remote_id,
    name: row.remote_name ?? row.name,
    modified: row.modified ?? 0,
    access: row.access === 1 ? ('write' as const) : ('read' as const),
  };
  return row.kind === 1
    ? {
        kind: 'folder',
        ...common,
        parentId: row.remote_parent,
        fileCount: row.file_count,
        folderCount: row.folder_count,
      }
    : { kind: 'file', ...common, parentId: row.remote_parent ?? '', size: row.size ?? 0, md5: row.md5 };
}

function timespec(sec: number | null, nsec: number | null): Timespec | null {
  return sec === null ? null : { sec, nsec: nsec ?? 0 };
}

/** The parameters of an insert or update of a whole row, by column. */
export type RowParameters = Record<string, number | string | null>;

export function parametersOf(inode: Omit<Inode, 'ino'> & { readonly ino?: Ino }): RowParameters {
  const { remote, overlay } = inode;
  const file = remote?.kind === 'file' ? remote : null;
  const folder = remote?.kind === 'folder' ? remote : null;
  return {
    ino: inode.ino ?? null,
    parent: inode.parent,
    name: inode.name,
    kind: inode.kind === 'directory' ? 1 : 0,
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
  };
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
  }),
);

export const insertInode = `INSERT INTO inode (${columns.join(', ')}) VALUES (${columns.map((c) => `@${c}`).join(', ')})`;
export const updateInode = `UPDATE inode SET ${columns
  .filter((c) => c !== 'ino')
  .map((c) => `${c} = @${c}`)
  .join(', ')} WHERE ino = @ino`;
