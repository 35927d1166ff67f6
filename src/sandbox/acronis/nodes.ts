/** The tree of nodes, with all indexes that requests need. */
import { randomUUID } from 'node:crypto';
import { AskedNames, keptName } from '../content/stored-names.js';
import type { Keeper } from '../journal.js';
import type { AcronisReadings } from './options.js';

/** The names that the document gives to the permissions of a node. */
export const permissionNames = [
  'can_be_copied',
  'can_be_synced_2_way',
  'can_be_deleted',
  'can_selectively_purge_revisions',
  'can_create_folders_into',
  'can_be_renamed',
  'can_create_files_into',
  'can_be_synced_1_way',
  'can_be_downloaded',
  'can_be_unsubscribed',
  'can_be_moved',
  'can_be_shared_via_link',
  'can_be_shared',
  'can_be_restored',
  'can_view_members',
  'can_invite',
] as const;

export type Permission = (typeof permissionNames)[number];

interface Common {
  id: string;
  name: string;
  /** Null for the root. */
  parentId: string | null;
  modified: number;
  /** Includes everything in the folder. */
  readOnly?: boolean;
  /** Overrides the permissions that follow from its kind and `readOnly`. */
  permissions?: Partial<Record<Permission, boolean>>;
  deleted?: boolean;
}

export interface FileNode extends Common {
  kind: 'file';
  size: number;
  md5: string;
  blob: string;
  revisions: number;
}

export interface FolderNode extends Common {
  kind: 'folder';
}

export type Node = FileNode | FolderNode;

/** "`^0$|^[0-9a-fA-F]{8}-…`": the root of the examples. */
export const rootId = '0';
const rootName = 'Sync & Share';

interface Children {
  all: Map<string, Node>;
  /** Several only if a test has added a duplicate, or if names differ in case. */
  byName: Map<string, Node[]>;
  deleted: Map<string, Node>;
  page?: Node[];
}

/** Invariant: indexes and sums match the nodes, and every change has been given to the keeper. */
export class Nodes {
  readonly byId = new Map<string, Node>();
  readonly root: FolderNode;
  usedBytes = 0;
  fileCount = 0;
  folderCount = 0;
  readonly asked: AskedNames<Node>;
  #children = new Map<string, Children>();

  constructor(
    loaded: Iterable<Node>,
    readonly readings: AcronisReadings,
    readonly now: () => number,
    readonly keeper: Keeper<Node>,
  ) {
    this.asked = new AskedNames(readings);
    for (const node of loaded) this.byId.set(node.id, node);
    const root = this.byId.get(rootId);
    this.root =
      root?.kind === 'folder' ? root : { kind: 'folder', id: rootId, name: rootName, parentId: null, modified: now() };
    this.byId.set(rootId, this.root);
    for (const node of this.byId.values()) this.#enter(node);
    for (const node of this.byId.values())
      if (node.deleted) for (const inner of this.inside(node)) this.#count(inner, -1);
  }

  newId(): string {
    return randomUUID();
  }

  /** A node that exists and is not deleted. */
  node(id: string): Node | undefined {
    const node = this.byId.get(id.toLowerCase());
    return node && !this.isDeleted(node) ? node : undefined;
  }

  parent(node: Node): FolderNode | undefined {
    const parent = node.parentId === null ? undefined : this.byId.get(node.parentId);
    return parent?.kind === 'folder' ? parent : undefined;
  }

  /** The node and the folders above it, innermost first. */
  *upwards(node: Node): Generator<Node> {
    for (let at: Node | undefined = node; at; at = this.parent(at)) yield at;
  }

  isDeleted(node: Node): boolean {
    for (const at of this.upwards(node)) if (at.deleted) return true;
    return false;
  }

  isReadOnly(node: Node): boolean {
    for (const at of this.upwards(node)) if (at.readOnly) return true;
    return false;
  }

  /** The names on the path from the root (without it) to the node. */
  names(node: Node): string[] {
    const names: string[] = [];
    for (const at of this.upwards(node)) if (at.parentId !== null) names.unshift(at.name);
    return names;
  }

  /** Folders first, then files, each in the order of names. The order is stable, so consecutive pages fit together. */
  children(folderId: string): readonly Node[] {
    const children = this.#of(folderId);
    children.page ??= [...children.all.values()].sort(inOrder);
    return children.page;
  }

  deletedChildren(folderId: string): readonly Node[] {
    return [...this.#of(folderId).deleted.values()];
  }

  isEmpty(folderId: string): boolean {
    return this.#of(folderId).all.size === 0;
  }

  /** The node with this name in a folder, under the current readings of names. */
  named(folderId: string, asked: string): Node | undefined {
    const name = this.keptName(asked);
    const same = this.#of(folderId).byName.get(name.toLowerCase()) ?? [];
    const exact = same.find((node) => node.name === name);
    return exact ?? (this.readings.nameCase === 'insensitive' ? same[0] : undefined);
  }

  /** The name that a node gets that a client wants to call so. */
  keptName(asked: string): string {
    return keptName(asked, this.readings.storedNames);
  }

  /** A folder whose name differs from this one at most in letter case, whatever the reading. */
  folderButForCase(folderId: string, name: string): FolderNode | undefined {
    const same = this.#of(folderId).byName.get(name.toLowerCase()) ?? [];
    return same.find((node): node is FolderNode => node.kind === 'folder' && node.name !== name);
  }

  /** Everything inside a folder, except deleted nodes. */
  *inside(folder: Node): Generator<Node> {
    for (const child of this.children(folder.id)) {
      yield child;
      if (child.kind === 'folder') yield* this.inside(child);
    }
  }

  add(node: Node): void {
    this.asked.keep(node);
    this.byId.set(node.id, node);
    this.#enter(node);
    this.keeper.put(node);
  }

  /** Changes a node in place, and updates indexes and sums. */
  change(node: Node, change: () => void): void {
    this.#leave(node);
    change();
    this.asked.keep(node);
    this.#enter(node);
    this.keeper.put(node);
  }

  /** Marks a node and everything in it as deleted. */
  delete(node: Node): void {
    const inside = node.kind === 'folder' ? [...this.inside(node)] : [];
    for (const inner of inside) this.#count(inner, -1);
    this.change(node, () => {
      node.deleted = true;
    });
  }

  #of(folderId: string): Children {
    let children = this.#children.get(folderId);
    if (!children) {
      children = { all: new Map(), byName: new Map(), deleted: new Map() };
      this.#children.set(folderId, children);
    }
    return children;
  }

  #enter(node: Node): void {
    if (node.parentId === null) return;
    const children = this.#of(node.parentId);
    if (node.deleted) {
      children.deleted.set(node.id, node);
      return;
    }
    this.#count(node, 1);
    children.all.set(node.id, node);
    const key = node.name.toLowerCase();
    const same = children.byName.get(key);
    if (same) same.push(node);
    else children.byName.set(key, [node]);
    children.page = undefined;
  }

  #leave(node: Node): void {
    if (node.parentId === null) return;
    const children = this.#of(node.parentId);
    if (children.deleted.delete(node.id)) return;
    this.#count(node, -1);
    children.all.delete(node.id);
    const key = node.name.toLowerCase();
    const left = (children.byName.get(key) ?? []).filter((other) => other !== node);
    if (left.length > 0) children.byName.set(key, left);
    else children.byName.delete(key);
    children.page = undefined;
  }

  #count(node: Node, sign: 1 | -1): void {
    if (node.kind === 'folder') {
      this.folderCount += sign;
      return;
    }
    this.fileCount += sign;
    this.usedBytes += sign * node.size;
  }
}

function inOrder(a: Node, b: Node): number {
  if (a.kind !== b.kind) return a.kind === 'folder' ? -1 : 1;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
