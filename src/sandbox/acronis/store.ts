/** Direct access to the account, as another client of the same user or an administrator has it. */
import { randomBytes } from 'node:crypto';
import type { BlobStore } from '../content/blobs.js';
import { type Content, type Entry, iterable, PathStore, split } from '../store.js';
import type { Actions } from './actions.js';
import { notFound } from './errors.js';
import type { FileNode, FolderNode, Node, Nodes, Permission } from './nodes.js';

/** The effect on a node when another user shares it. */
export interface NodeFlags {
  /** Includes everything in the folder. */
  readOnly?: boolean;
  permissions?: Partial<Record<Permission, boolean>>;
}

export class AcronisStore extends PathStore {
  constructor(
    readonly nodes: Nodes,
    readonly actions: Actions,
    blobs: BlobStore,
  ) {
    super(blobs);
  }

  get rootId(): string {
    return this.nodes.root.id;
  }

  async putFile(path: string, content: Content, options: { modified?: number } = {}): Promise<Entry> {
    const names = split(path);
    const name = names.pop();
    if (name === undefined) throw new Error(`${path} is no path of a file`);
    const stored = await this.blobs.write(iterable(content));
    const file = this.actions.upload(this.#folders(names), name, stored);
    if (options.modified !== undefined) this.#set(file, { modified: options.modified });
    return this.#entry(file);
  }

  /** Takes a folder and a name: so the name may contain a slash, and with `duplicate` it may exist already. */
  async putFileIn(folderId: string, name: string, content: Content, duplicate = false): Promise<Entry> {
    const folder = this.nodes.node(folderId);
    if (folder?.kind !== 'folder') throw notFound();
    const stored = await this.blobs.write(iterable(content));
    if (!duplicate && !name.includes('/')) return this.#entry(this.actions.upload(folder, name, stored));
    const file = this.actions.addFile(folder, randomBytes(16).toString('hex'), stored);
    this.#set(file, { name });
    return this.#entry(file);
  }

  makeFolder(path: string): Entry {
    return this.#entry(this.#folders(split(path)));
  }

  rename(path: string, name: string): Entry {
    const node = this.#node(path);
    this.actions.relocate(node, this.nodes.parent(node) ?? this.nodes.root, name);
    return this.#entry(node);
  }

  move(path: string, folderPath: string, name?: string): Entry {
    const node = this.#node(path);
    this.actions.relocate(node, this.#folder(folderPath), name ?? node.name);
    return this.#entry(node);
  }

  copy(path: string, folderPath: string, name?: string): Entry {
    const node = this.#node(path);
    return this.#entry(this.actions.copy(node, this.#folder(folderPath), name ?? node.name));
  }

  remove(path: string): void {
    this.actions.remove(this.#node(path));
  }

  list(path = '/'): Entry[] {
    return this.nodes.children(this.#folder(path).id).map((node) => this.#entry(node));
  }

  stat(path: string): Entry | undefined {
    const node = this.#find(split(path));
    return node && this.#entry(node);
  }

  byId(id: string): Entry | undefined {
    const node = this.nodes.byId.get(id);
    return node && this.#entry(node);
  }

  setModified(path: string, modified: number): void {
    this.#set(this.#node(path), { modified });
  }

  /** Makes a node read-only, or grants or denies single permissions. */
  setNode(path: string, flags: NodeFlags): void {
    this.#set(this.#node(path), flags);
  }

  /** How many revisions a file has had. */
  revisions(path: string): number {
    return this.#file(path).revisions;
  }

  tree(): Entry[] {
    const entries = [...this.nodes.inside(this.nodes.root)].map((node) => this.#entry(node));
    return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  trash(): Entry[] {
    return [...this.nodes.byId.values()].filter((node) => node.deleted).map((node) => this.#entry(node));
  }

  protected contentOf(path: string): FileNode {
    return this.#file(path);
  }

  #set(node: Node, fields: NodeFlags & { modified?: number; name?: string }): void {
    this.nodes.change(node, () => Object.assign(node, fields));
  }

  #folders(names: readonly string[]): FolderNode {
    let folder = this.nodes.root;
    for (const name of names) {
      const found = this.nodes.named(folder.id, name);
      if (found?.kind === 'file') throw new Error(`${name} is a file`);
      folder = found ?? this.actions.createFolder(folder, name);
    }
    return folder;
  }

  #folder(path: string): FolderNode {
    const node = this.#node(path);
    if (node.kind !== 'folder') throw new Error(`${path} is no folder`);
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#node(path);
    if (node.kind !== 'file') throw new Error(`${path} is no file`);
    return node;
  }

  #node(path: string): Node {
    const node = this.#find(split(path));
    if (!node) throw notFound();
    return node;
  }

  #find(names: readonly string[]): Node | undefined {
    let node: Node = this.nodes.root;
    for (const name of names) {
      const found: Node | undefined = node.kind === 'folder' ? this.nodes.named(node.id, name) : undefined;
      if (!found) return undefined;
      node = found;
    }
    return node;
  }

  #entry(node: Node): Entry {
    return {
      path: `/${this.nodes.names(node).join('/')}`,
      kind: node.kind,
      id: node.id,
      name: node.name,
      size: node.kind === 'file' ? node.size : 0,
      md5: node.kind === 'file' ? node.md5 : '',
      modified: node.modified,
      status: this.nodes.isDeleted(node) ? 'trashed' : 'normal',
    };
  }
}
