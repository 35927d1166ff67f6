/** "File Response", "Folder Response" and "User Response" of the documents, and their conversion to our own types. */
import { z } from 'zod';
import { entriesOf, idSchema, integerSchema, storageSchema } from '../http/answers/entries.js';
import { timeIn, timeSchema, type WrittenTime } from '../http/answers/times.js';
import type { Access, RemoteFile, RemoteFolder } from '../provider.js';

const id = idSchema;
const whole = integerSchema;
/** A hint that saves requests. An invalid value is taken as unknown. */
const count = integerSchema.nullish().catch(null);
const text = z.string().nullish();

/** "Folders path to the file, starting at the root." */
const path = text.catch(null);

export const fileSchema = z.object({
  id,
  name: z.string(),
  path,
  // An object that is not a complete file, or no longer one, may come without a size.
  size: whole.nullish(),
  modified: timeSchema,
  parentId: id.nullish(),
  md5: text,
  status: text,
});

export const folderSchema = z.object({
  id,
  name: z.string(),
  path,
  parentId: id.nullish(),
  modified: timeSchema,
  numChildren: count,
  numFiles: count,
  userPermissions: text,
  status: text,
});

export const userSchema = z.object({
  id,
  email: text,
  firstName: text,
  lastName: text,
  freeSpace: storageSchema,
  totalSpace: storageSchema,
  uploadSizeLimit: storageSchema,
  rootFolderId: id,
  created: timeSchema,
});

/** `POST /upload` promises a file, but only its id is needed, and it is not yet a file. */
export const startedUploadSchema = z.object({ id });

/** The documents show `{files: […]}`; for folders they say "FolderResponse" only. A bare array is taken too. */
export const fileListSchema = z
  .union([
    z.object({ files: entriesOf(fileSchema).nullable() }),
    entriesOf(fileSchema).transform((files) => ({ files })),
  ])
  .transform((list) => list.files);

export const folderListSchema = z
  .union([
    z.object({ folders: entriesOf(folderSchema).nullable() }),
    z.object({ children: entriesOf(folderSchema).nullable() }).transform((list) => ({ folders: list.children })),
    entriesOf(folderSchema).transform((folders) => ({ folders })),
  ])
  .transform((list) => list.folders);

/** `GET /user/trash`. */
export const trashSchema = z.object({
  folders: entriesOf(folderSchema).nullish(),
  files: entriesOf(fileSchema).nullish(),
});

export type FileResponse = z.infer<typeof fileSchema>;
export type FolderResponse = z.infer<typeof folderSchema>;

const hidden = new Set(['deleted', 'trashed', 'incomplete']);

/** True if the object is in the trash, deleted, or not completely uploaded. The layers above must not see such objects. */
export function isHidden(status: string | null | undefined): boolean {
  return typeof status === 'string' && hidden.has(status.toLowerCase());
}

/** Ms since the epoch; 0 if the service does not tell. */
export function toTime(value: WrittenTime): number {
  return timeIn(value) ?? 0;
}

export function normalizeMd5(value: string | null | undefined): string | null {
  const md5 = value?.trim().toLowerCase() ?? '';
  return /^[0-9a-f]{32}$/.test(md5) ? md5 : null;
}

/** Undefined if the answer has no size: then it is not a complete file. */
export function toFile(file: FileResponse, parentId: string, access: Access): RemoteFile | undefined {
  if (file.size === null || file.size === undefined) return undefined;
  return {
    kind: 'file',
    id: file.id,
    parentId,
    name: file.name,
    size: file.size,
    modified: toTime(file.modified),
    md5: normalizeMd5(file.md5),
    access,
  };
}

/**
 * `userPermissions` tells the rights of this account. The field `permissions` beside it tells the rights that the owner
 * grants to others, and does not matter here.
 */
export function toFolder(folder: FolderResponse, parentId: string | null): RemoteFolder {
  return {
    kind: 'folder',
    id: folder.id,
    parentId,
    name: folder.name,
    modified: toTime(folder.modified),
    access: folder.userPermissions?.toLowerCase() === 'read' ? 'read' : 'write',
    fileCount: folder.numFiles ?? null,
    folderCount: folder.numChildren ?? null,
  };
}
