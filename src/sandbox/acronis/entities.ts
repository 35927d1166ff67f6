/** Converts nodes and the user to the document's answers. */
import { mimeType } from '../content/mime.js';
import { dateOf } from '../http/wire.js';
import { type FileNode, type Node, type Nodes, type Permission, permissionNames } from './nodes.js';
import type { AcronisReadings, AcronisSettings } from './options.js';

export const userUuid = '0254fc28-1676-4f22-b530-f4f3bd9e7e45';
const created = '2018-01-16T13:04:11Z';

/** A folder's permissions in the examples. A file can neither be shared nor contain anything. */
const granted: ReadonlySet<Permission> = new Set([
  'can_be_copied',
  'can_be_deleted',
  'can_create_folders_into',
  'can_be_renamed',
  'can_create_files_into',
  'can_be_downloaded',
  'can_be_moved',
  'can_be_shared',
  'can_view_members',
  'can_invite',
]);
const foldersOnly: ReadonlySet<Permission> = new Set([
  'can_create_folders_into',
  'can_create_files_into',
  'can_be_shared',
]);
const changing: ReadonlySet<Permission> = new Set([
  'can_be_deleted',
  'can_create_folders_into',
  'can_be_renamed',
  'can_create_files_into',
  'can_be_moved',
]);
const notForRoot: ReadonlySet<Permission> = new Set([
  'can_be_deleted',
  'can_be_renamed',
  'can_be_moved',
  'can_be_copied',
]);

export class Entities {
  constructor(
    readonly nodes: Nodes,
    readonly readings: AcronisReadings,
    readonly settings: AcronisSettings,
    readonly username: () => string,
  ) {}

  may(node: Node, permission: Permission): boolean {
    const given = node.permissions?.[permission];
    if (given !== undefined) return given;
    if (!granted.has(permission)) return false;
    if (node.kind === 'file' && foldersOnly.has(permission)) return false;
    if (node.parentId === null && notForRoot.has(permission)) return false;
    return !(changing.has(permission) && this.nodes.isReadOnly(node));
  }

  /** `given` are the node's `parents`. All nodes of a list share them. */
  node(node: Node, given?: readonly object[]): Record<string, unknown> {
    const above = given ?? this.above(node);
    const permissions = Object.fromEntries(permissionNames.map((name) => [name, this.may(node, name)]));
    const folder = node.kind === 'folder';
    return {
      ...this.#plain(node, above),
      ...(given === undefined ? { name: this.nodes.asked.told(node) } : {}),
      synced: 'sync_2_way',
      permissions,
      office_online_permissions: { can_create_files_into: false, can_be_previewed: false, can_be_edited: false },
      actions: this.#actions(node),
      ...(folder ? {} : { preview_type: previewType(node) }),
    };
  }

  /** The `conflict` of a 409: the node without permissions and actions. */
  conflict(node: Node): Record<string, unknown> {
    return this.#plain(node, this.above(node));
  }

  /** The `parents` of a node: the folders above it, outermost first. */
  above(node: Node): object[] {
    const above: object[] = [];
    for (const at of this.nodes.upwards(node)) if (at !== node) above.unshift(parentOf(at));
    return above;
  }

  person(): { readonly name: string; readonly email: string } {
    const name = this.username();
    return { name, email: emailOf(name) };
  }

  user(): Record<string, unknown> {
    const { nodes, settings } = this;
    const name = this.username();
    return {
      free_space_to_maintain: 0,
      name,
      email: emailOf(name),
      quota: settings.quotaBytes,
      uuid: userUuid,
      licensed: true,
      locale: 'en',
      last_logged_in_at: date(nodes.now()),
      login_url: `https://localhost/signin?email=${encodeURIComponent(emailOf(name))}`,
      is_superuser: false,
      purge_proactively: false,
      allow_sync_and_share: true,
      override_quota: settings.quotaBytes,
      created_at: created,
      disabled: false,
      sync_and_share_content: {
        file_count: nodes.fileCount,
        folder_count: nodes.folderCount,
        used_space: nodes.usedBytes,
      },
      updated_at: created,
    };
  }

  #plain(node: Node, above: readonly object[]): Record<string, unknown> {
    const folder = node.kind === 'folder';
    const readOnly = this.nodes.isReadOnly(node);
    const name = this.username();
    return {
      name: node.name,
      path: this.nodes.names(node).join('/'),
      ...(folder ? {} : { size: node.size }),
      has_active_links: false,
      uuid: node.id,
      parents: [...above, parentOf(node)],
      has_shared_child_nodes: false,
      read_only: readOnly,
      is_deleted: this.nodes.isDeleted(node),
      has_writable_children: folder && !readOnly,
      is_shared: false,
      parent_uuid: node.parentId ?? node.id,
      checksum: folder || this.readings.checksum === 'never' ? '' : node.md5,
      file_modification_date: dateOf(this.readings, date(node.modified)),
      is_directory: folder,
      owner: { uuid: userUuid, name, email: emailOf(name) },
      owner_email: emailOf(name),
    };
  }

  /** "Relative URLs to actions that can be performed on the node". */
  #actions(node: Node): Record<string, string> {
    const { readings } = this;
    const own = `/fc/api/v1/sync_and_share_nodes/${node.id}`;
    const download = readings.actionUrls === 'opaque' ? `/fc/d/${ticketOf(node.id)}` : `${own}/download`;
    const actions: Record<string, string> = { download };
    if (node.kind === 'folder') actions.upload = `${own}/upload`;
    else actions.preview = `${own}/preview`;
    if (readings.deletion === 'action' && this.may(node, 'can_be_deleted'))
      actions[readings.deleteAction] = `${own}/${readings.deleteAction}`;
    return actions;
  }
}

export function ticketOf(id: string): string {
  return Buffer.from(id).reverse().toString('base64url');
}

export function idOfTicket(ticket: string): string {
  return Buffer.from(ticket, 'base64url').reverse().toString();
}

/** `2019-06-13T08:57:12Z` */
function date(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}

function emailOf(name: string): string {
  return name.includes('@') ? name : `${name}@example.com`;
}

function parentOf(node: Node): object {
  return { name: node.name, uuid: node.id, is_root: node.parentId === null };
}

function previewType({ name }: FileNode): string | null {
  const type = mimeType(name);
  if (type === 'application/pdf') return 'pdf';
  if (type === 'text/html') return 'html';
  if (type.startsWith('image/')) return 'image';
  return type.startsWith('text/') ? 'text' : null;
}
