/** The records of an account, as the journal stores them. */

export type ByteRange = [first: number, last: number];

/** The folder from which an item was trashed, and that folder's path, to create it anew if it is gone. */
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
  /** Absent only in incomplete files. Their bytes are in `upload`. */
  blob?: string;
  /** A chunked upload under way, of this file or of its next version. */
  upload?: { size: number; blob: string; ranges: ByteRange[] };
  /** Uploaded through `POST /upload`: its status resource answers 201. */
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
  /** Protected by a password that we do not have: everything inside answers 403.0303. */
  locked: boolean;
  hasMembers: boolean;
  trashed?: TrashMark;
}

export type Item = FileItem | FolderItem;

export const isIncomplete = (file: FileItem): boolean => file.blob === undefined;
