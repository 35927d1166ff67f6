/** The node of the Acronis document, and its conversion to our entries. */
import { z } from 'zod';
import { entriesOf, idSchema, integerSchema, storageSchema } from '../http/answers/entries.js';
import { timeIn, timeSchema } from '../http/answers/times.js';
import type { Access, RemoteEntry, RemoteFile, RemoteFolder } from '../provider.js';

const text = z.string().nullish();
const flag = z.boolean().nullish();

export const nodeSchema = z.object({
  uuid: idSchema,
  name: z.string(),
  is_directory: flag,
  size: integerSchema.nullish(),
  parent_uuid: idSchema.nullish().catch(null),
  file_modification_date: timeSchema,
  checksum: text,
  is_deleted: flag,
  is_shared: flag,
  read_only: flag,
  permissions: z.record(z.string(), z.unknown()).nullish(),
  actions: z.record(z.string(), z.unknown()).nullish(),
  owner: z.object({ uuid: text, name: text, email: text }).nullish(),
});

export const nodeListSchema = entriesOf(nodeSchema);

export const userSchema = z.object({
  uuid: z.string(),
  quota: storageSchema,
  override_quota: storageSchema,
  sync_and_share_content: z.object({ used_space: storageSchema }).nullish(),
});

export type Node = z.infer<typeof nodeSchema>;
export type User = z.infer<typeof userSchema>;

/** "Sync & Share", the root of the tree. */
export const rootUuid = '0';

/** The permissions of a node that we look at. What the server does not deny is allowed. */
export type Permission =
  | 'can_be_renamed'
  | 'can_be_moved'
  | 'can_be_copied'
  | 'can_be_deleted'
  | 'can_be_downloaded'
  | 'can_create_files_into'
  | 'can_create_folders_into';

export function allows(node: Pick<Node, 'permissions' | 'read_only'>, permission: Permission): boolean {
  const isReading = permission === 'can_be_downloaded' || permission === 'can_be_copied';
  if (node.read_only === true && !isReading) return false;
  return node.permissions?.[permission] !== false;
}

function accessOf(node: Node): Access {
  const needed: readonly Permission[] = node.is_directory
    ? ['can_create_files_into', 'can_create_folders_into']
    : ['can_be_renamed', 'can_be_moved', 'can_be_deleted'];
  return needed.some((permission) => allows(node, permission)) ? 'write' : 'read';
}

function md5Of(value: string | null | undefined): string | null {
  const md5 = value?.trim().toLowerCase() ?? '';
  return /^[0-9a-f]{32}$/.test(md5) ? md5 : null;
}

/** `parentId` is used if the answer does not contain it. */
export function entryOf(node: Node, parentId: string): RemoteEntry {
  const common = {
    id: node.uuid,
    parentId: node.parent_uuid ?? parentId,
    name: node.name,
    modified: timeIn(node.file_modification_date) ?? 0,
    access: accessOf(node),
  };
  if (node.is_directory === true) return { kind: 'folder', ...common, fileCount: null, folderCount: null };
  return { kind: 'file', ...common, size: node.size ?? 0, md5: md5Of(node.checksum) } satisfies RemoteFile;
}

export const rootFolder: RemoteFolder = {
  kind: 'folder',
  id: rootUuid,
  parentId: null,
  name: '',
  modified: 0,
  access: 'write',
  fileCount: null,
  folderCount: null,
};
