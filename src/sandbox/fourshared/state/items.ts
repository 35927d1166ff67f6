/** What an account holds. These records are what the journal keeps. */

export type ByteRange = [first: number, last: number];

/** Where a trashed thing came from: its folder, and that folder's names should it have to be made anew. */
export interface TrashMark {
  parentId: string;
  folders: string[];
}

export interface FileItem {
  kind: 'file';
  id: string;
  name: string;
  parentId: string;
  size: number;
  md5: string;
  modified: number;
  /** Position in the account's order of uploads. */
  uploaded: number;
  description: string | null;
  tags: string[];
  ownerOnly: boolean;
  /** Absent only in the incomplete, whose bytes are in `upload`. */
  blob?: string;
  /** A chunked upload that is under way: of the file itself, or of its next version. */
  upload?: { size: number; blob: string; ranges: ByteRange[] };
  /** Came through `POST /upload`, so that its status resource answers 201. */
  chunked?: boolean;
  trashed?: TrashMark;
}

export interface FolderItem {
  kind: 'folder';
  id: string;
  name: string;
  /** "Is NULL for a root folder." */
  parentId: string | null;
  modified: number;
  description: string;
  access: 'private' | 'public';
  permissions: 'read' | 'write';
  userPermissions: 'owner' | 'write' | 'read';
  passwordProtected: boolean;
  /** The password is not ours: everything inside answers 403.0303. */
  locked: boolean;
  hasMembers: boolean;
  trashed?: TrashMark;
}

export type Item = FileItem | FolderItem;

export const isIncomplete = (file: FileItem): boolean => file.blob === undefined;
