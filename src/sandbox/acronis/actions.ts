/** The operations that change the tree. Requests and the tests' store share them. */
import type { BlobStore, StoredContent } from '../content/blobs.js';
import type { Entities } from './entities.js';
import { invalid, nameConflict, noPermission, quotaExceeded } from './errors.js';
import type { FileNode, FolderNode, Node, Nodes } from './nodes.js';
import type { AcronisReadings, AcronisSettings } from './options.js';

/** Not in the document. This is the usual limit of a name. */
const longestName = 255;

export function checkName(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) throw invalid(`'${name}' is no name`);
  if (name.length > longestName) throw invalid(`a name has at most ${longestName} characters`);
  return name;
}

export class Actions {
  constructor(
    readonly nodes: Nodes,
    readonly entities: Entities,
    readonly blobs: BlobStore,
    readonly readings: AcronisReadings,
    readonly settings: AcronisSettings,
  ) {}

  /** "If a folder with the same name, but different letter case exists in the same location it will be renamed". */
  createFolder(parent: FolderNode, asked: string): FolderNode {
    const { nodes } = this;
    const name = nodes.keptName(checkName(asked));
    const holder = nodes.named(parent.id, name);
    const other = nodes.folderButForCase(parent.id, name);
    if (holder && (holder.name === name || holder.kind === 'file')) throw this.conflict(holder, name);
    if (other) {
      nodes.change(other, () => {
        other.name = name;
      });
      return other;
    }
    const folder: FolderNode = {
      kind: 'folder',
      id: nodes.newId(),
      name: asked,
      parentId: parent.id,
      modified: this.#now(),
    };
    nodes.add(folder);
    return folder;
  }

  /** The existing file of which an upload with this name makes a new revision. */
  existing(folder: FolderNode, name: string): FileNode | undefined {
    const holder = this.nodes.named(folder.id, name);
    if (holder?.kind === 'folder') throw this.conflict(holder, name);
    return holder;
  }

  assertRoom(size: number, replaced = 0): void {
    if (this.nodes.usedBytes + size - replaced > this.settings.quotaBytes) throw quotaExceeded();
  }

  /** "If a file with same name exists in the target folder a new revision will be created". Owns the content's reference. */
  upload(folder: FolderNode, name: string, content: StoredContent): FileNode {
    const { nodes } = this;
    try {
      if (nodes.node(folder.id) !== folder) throw noPermission();
      const existing = this.existing(folder, checkName(name));
      this.assertRoom(content.size, existing?.size);
      if (existing && this.readings.revisionUuid === 'kept') return this.#revise(existing, name, content);
      if (existing) return this.#supersede(existing, folder, name, content);
    } catch (error) {
      this.blobs.release(content.blob);
      throw error;
    }
    return this.addFile(folder, name, content);
  }

  /** Adds a new file, also if the name exists already. */
  addFile(folder: FolderNode, name: string, { size, md5, blob }: StoredContent): FileNode {
    const file: FileNode = {
      kind: 'file',
      id: this.nodes.newId(),
      name,
      parentId: folder.id,
      modified: this.#now(),
      ...{ size, md5, blob, revisions: 1 },
    };
    this.nodes.add(file);
    return file;
  }

  /** Renames, moves, or both. */
  relocate(node: Node, parent: FolderNode, name: string): void {
    const { nodes, readings } = this;
    checkName(name);
    if (node.parentId === null) throw noPermission();
    this.assertNotInside(parent, node);
    const holder = nodes.named(parent.id, name);
    if (holder && holder !== node) throw this.conflict(holder, name);
    nodes.change(node, () => {
      Object.assign(node, { name, parentId: parent.id });
      if (readings.renameChangesModified) node.modified = this.#now();
    });
    // No answer tells it.
    nodes.asked.told(node);
  }

  copy(node: Node, parent: FolderNode, name = node.name): Node {
    this.assertNotInside(parent, node);
    const holder = this.nodes.named(parent.id, name);
    if (holder) throw this.conflict(holder, name);
    const files = [node, ...(node.kind === 'folder' ? this.nodes.inside(node) : [])];
    this.assertRoom(files.reduce((sum, each) => sum + (each.kind === 'file' ? each.size : 0), 0));
    return this.#duplicate(node, parent, name);
  }

  /** A folder is deleted with everything in it. */
  remove(node: Node): void {
    if (node.parentId === null) throw noPermission();
    this.nodes.delete(node);
  }

  assertNotInside(target: FolderNode, node: Node): void {
    for (const at of this.nodes.upwards(target)) if (at === node) throw invalid('a folder cannot be put into itself');
  }

  conflict(holder: Node, name: string): Error {
    return nameConflict(name, this.entities.conflict(holder));
  }

  #revise(file: FileNode, name: string, { size, md5, blob }: StoredContent): FileNode {
    const before = file.blob;
    this.nodes.change(file, () => {
      Object.assign(file, { size, md5, blob, modified: this.#now() });
      file.revisions += 1;
      if (this.readings.uploadCase === 'renames') file.name = name;
    });
    this.blobs.release(before);
    return file;
  }

  /** Afterwards the uuid of the older revision is unknown. */
  #supersede(file: FileNode, folder: FolderNode, name: string, content: StoredContent): FileNode {
    this.nodes.delete(file);
    return this.addFile(folder, this.readings.uploadCase === 'renames' ? name : file.name, content);
  }

  #duplicate(node: Node, parent: FolderNode, name: string): Node {
    const children = node.kind === 'folder' ? [...this.nodes.children(node.id)] : [];
    const copy: Node = { ...node, id: this.nodes.newId(), name, parentId: parent.id };
    if (copy.kind === 'file') {
      this.blobs.retain(copy.blob);
      copy.revisions = 1;
    }
    this.nodes.add(copy);
    if (copy.kind === 'folder') for (const child of children) this.#duplicate(child, copy, child.name);
    return copy;
  }

  /** The time, rounded like the dates in the answers. */
  #now(): number {
    return Math.floor(this.nodes.now() / 1000) * 1000;
  }
}
