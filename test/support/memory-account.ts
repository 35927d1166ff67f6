/** The server side of a `MemoryProvider`, with methods by which another client reads and changes it. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../src/base/clock.js';
import { ProviderError } from '../../src/providers/errors.js';
import type { Capabilities, PlacedEntry, RemoteEntry, RemoteFile, RemoteFolder } from '../../src/providers/provider.js';

export interface MemoryNode {
  readonly kind: 'file' | 'folder';
  id: string;
  parentId: string | null;
  name: string;
  data: Uint8Array;
  modified: number;
  trashed: boolean;
  access: 'read' | 'write';
}

export class MemoryAccount {
  rootId = 'root';
  /** Incomplete uploads: the bytes that the server has so far. */
  readonly uploads = new Map<string, Uint8Array>();
  readonly #clock: Clock;
  readonly #capabilities: Pick<Capabilities, 'md5' | 'caseSensitive'>;
  readonly #nodes = new Set<MemoryNode>();
  #next = 1;

  constructor(clock: Clock, capabilities: Pick<Capabilities, 'md5' | 'caseSensitive'>) {
    this.#clock = clock;
    this.#capabilities = capabilities;
    this.#nodes.add(this.#make('folder', this.rootId, null, ''));
  }

  /** The time of the server's clock, ms. */
  get now(): number {
    return this.#clock.now();
  }

  /** Stores a file (and the folders above it) as another client does. Returns its id. */
  put(path: string, content: string | Uint8Array): string {
    const { parentId, name } = this.#split(path);
    const data = typeof content === 'string' ? Buffer.from(content) : content;
    const node = this.#child(parentId, name);
    if (node === undefined) return this.add('file', parentId, name, data).id;
    this.change(node, data);
    return node.id;
  }

  mkdir(path: string): string {
    return this.#folderAt(path.split('/').filter(Boolean));
  }

  delete(path: string): void {
    const node = this.at(path);
    if (node === undefined) throw new Error(`${path} does not exist`);
    for (const inner of this.#children(node.id)) this.delete(`${path}/${inner.name}`);
    this.forget(node);
  }

  rename(path: string, to: string): void {
    const node = this.at(path);
    if (node === undefined) throw new Error(`${path} does not exist`);
    Object.assign(node, this.#split(to));
  }

  at(path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#require('folder', this.rootId, false);
    for (const name of path.split('/').filter(Boolean)) node = node && this.#child(node.id, name);
    return node;
  }

  /** Every file that is not in the trash: path and content. */
  tree(): Record<string, string> {
    const tree: Record<string, string> = {};
    for (const node of this.#nodes) {
      const path = node.kind === 'file' && !node.trashed ? this.#pathOf(node) : null;
      if (path !== null) tree[path] = Buffer.from(node.data).toString();
    }
    return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** The names in the trash. */
  trash(): string[] {
    return [...this.#nodes].filter((node) => node.trashed).map((node) => node.name);
  }

  /** Moves an entry to the trash, as another client does. */
  discard(path: string): void {
    const node = this.at(path);
    if (node === undefined) throw new Error(`${path} does not exist`);
    node.trashed = true;
  }

  trashed(): PlacedEntry[] {
    return [...this.#nodes]
      .filter((node) => node.trashed)
      .map((node) => {
        // The entry shows the node as it was before its removal.
        node.trashed = false;
        const entry = this.entry(node.kind, node.id);
        const path = this.#pathOf(node)?.split('/') ?? null;
        node.trashed = true;
        return { entry, path };
      });
  }

  /** The node, in the trash or not. */
  anyNode(kind: MemoryNode['kind'], id: string): MemoryNode {
    for (const node of this.#nodes) if (node.kind === kind && node.id === id) return node;
    throw new ProviderError('not-found', `${kind} ${id} does not exist`);
  }

  add(kind: MemoryNode['kind'], parentId: string, name: string, data: Uint8Array = new Uint8Array()): MemoryNode {
    this.#require('folder', parentId, false);
    const node = this.#make(kind, `${kind === 'file' ? 'f' : 'd'}${this.#next++}`, parentId, name);
    node.data = data;
    this.#nodes.add(node);
    return node;
  }

  change(node: MemoryNode, data: Uint8Array): void {
    node.data = data;
    // Two changes never have the same time in ms.
    node.modified = Math.max(this.#clock.now(), node.modified + 1);
  }

  renumber(node: MemoryNode): void {
    node.id = `f${this.#next++}`;
  }

  /** Gives objects ids that a service gave them in the past. `ids` is by path; '' is the root. */
  identify(ids: Readonly<Record<string, string>>): void {
    for (const [path, id] of Object.entries(ids)) {
      const node = this.at(path);
      if (node === undefined) throw new Error(`${path} does not exist`);
      for (const child of this.#nodes) if (child.parentId === node.id) child.parentId = id;
      node.id = id;
      if (path === '') this.rootId = id;
    }
  }

  newUpload(): string {
    return `upload-${this.#next++}`;
  }

  forget(node: MemoryNode): void {
    for (const child of this.#nodes) if (child.parentId === node.id) this.forget(child);
    this.#nodes.delete(node);
  }

  /** Throws `exists` if an object other than `but` has the name. */
  requireFree(parentId: string, name: string, but?: MemoryNode): void {
    const holder = this.#child(parentId, name);
    if (holder !== undefined && holder !== but) throw new ProviderError('exists', `${name} exists`);
  }

  /** Throws `not-found` if the object is gone or in the trash. */
  node(kind: MemoryNode['kind'], id: string): MemoryNode {
    return this.#require(kind, id, false);
  }

  trashedNode(kind: MemoryNode['kind'], id: string): MemoryNode {
    return this.#require(kind, id, true);
  }

  list(folderId: string): RemoteEntry[] {
    this.node('folder', folderId);
    return this.#children(folderId).map((node) => this.entry(node.kind, node.id));
  }

  entry(kind: MemoryNode['kind'], id: string): RemoteEntry {
    return kind === 'file' ? this.file(id) : this.folder(id);
  }

  file(id: string): RemoteFile {
    const { name, parentId, data, modified, access } = this.node('file', id);
    const md5 = this.#capabilities.md5 ? createHash('md5').update(data).digest('hex') : null;
    return { kind: 'file', id, parentId: parentId ?? '', name, size: data.length, modified, md5, access };
  }

  folder(id: string): RemoteFolder {
    const { name, parentId, modified, access } = this.node('folder', id);
    const children = this.#children(id);
    const fileCount = children.filter((child) => child.kind === 'file').length;
    const folderCount = children.length - fileCount;
    return { kind: 'folder', id, parentId, name, modified, access, fileCount, folderCount };
  }

  #make(kind: MemoryNode['kind'], id: string, parentId: string | null, name: string): MemoryNode {
    const modified = this.#clock.now();
    return { kind, id, parentId, name, data: new Uint8Array(), modified, trashed: false, access: 'write' };
  }

  #require(kind: MemoryNode['kind'], id: string, trashed: boolean): MemoryNode {
    for (const node of this.#nodes) {
      if (node.kind === kind && node.id === id && node.trashed === trashed) return node;
    }
    throw new ProviderError('not-found', `${kind} ${id} does not exist`);
  }

  #children(folderId: string): MemoryNode[] {
    return [...this.#nodes].filter((node) => node.parentId === folderId && !node.trashed);
  }

  #child(parentId: string, name: string): MemoryNode | undefined {
    const fold = (text: string): string => (this.#capabilities.caseSensitive ? text : text.toLowerCase());
    return this.#children(parentId).find((node) => fold(node.name) === fold(name));
  }

  #split(path: string): { parentId: string; name: string } {
    const names = path.split('/').filter(Boolean);
    const name = names.pop() ?? '';
    return { parentId: this.#folderAt(names), name };
  }

  #folderAt(names: readonly string[]): string {
    let id: string = this.rootId;
    for (const name of names) id = (this.#child(id, name) ?? this.add('folder', id, name)).id;
    return id;
  }

  /** Null if the node or a folder above it is in the trash. */
  #pathOf(node: MemoryNode): string | null {
    const names: string[] = [];
    for (let at: MemoryNode | undefined = node; at !== undefined && at.id !== this.rootId; ) {
      if (at.trashed) return null;
      names.unshift(at.name);
      const parentId: string | null = at.parentId;
      at = [...this.#nodes].find((candidate) => candidate.kind === 'folder' && candidate.id === parentId);
    }
    return names.join('/');
  }
}
