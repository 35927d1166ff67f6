/** The names and nodes of a `MemoryFilesystem`, with the errnos for what is missing. */
import { nameBytes } from '../../src/base/raw-names.js';
import type { Caller, Ino, NodeKind } from '../../src/filesystem/api.js';
import { FsError } from '../../src/filesystem/core/fs-error.js';
import { makeNode, type Node, now } from './memory-node.js';

export class MemoryTree {
  readonly root: Ino;
  readonly #nodes = new Map<Ino, Node>();
  /** The owner of a new object if the caller is unknown. */
  readonly #owner: { readonly uid: number; readonly gid: number };
  #nextIno: Ino = 1;

  /** `root` may be any number, as in the real inode table; the first new object gets inode 1. */
  constructor(root: Ino, owner: { readonly uid: number; readonly gid: number }) {
    this.root = root;
    this.#owner = owner;
    this.#insert(makeNode(root, 'directory', 0o755, owner)).links = 1;
  }

  #insert(node: Node): Node {
    this.#nodes.set(node.ino, node);
    return node;
  }

  /** A new node under a free name. EEXIST if the name is taken. */
  make(parent: Ino, name: string, kind: NodeKind, mode: number, caller: Caller | undefined): Node {
    const directory = this.directory(parent);
    if (directory.children.has(name)) throw new FsError('EEXIST', name);
    return this.add(directory, name, kind, mode, caller);
  }

  /** A new node under a name. ENOENT if the directory is removed. */
  add(directory: Node, name: string, kind: NodeKind, mode: number, caller: Caller | undefined): Node {
    if (directory.links === 0) throw new FsError('ENOENT', 'the directory is removed');
    if (nameBytes(name) > 255) throw new FsError('ENAMETOOLONG', name);
    const node = this.unnamed(kind, mode, caller);
    node.links = 1;
    node.parent = directory;
    directory.children.set(name, node);
    directory.mtime = directory.ctime = now();
    return node;
  }

  /** A new node without a name (O_TMPFILE). */
  unnamed(kind: NodeKind, mode: number, caller: Caller | undefined): Node {
    if (this.#nextIno === this.root) this.#nextIno++;
    const bits = mode & 0o7777 & ~(caller?.umask ?? 0);
    return this.#insert(makeNode(this.#nextIno++, kind, bits, caller ?? this.#owner));
  }

  /** ESTALE if there is none. */
  node(ino: Ino): Node {
    const node = this.#nodes.get(ino);
    if (node === undefined) throw new FsError('ESTALE', `no inode ${ino}`);
    return node;
  }

  /** ENOTDIR if the node is not a directory. */
  directory(ino: Ino): Node {
    const node = this.node(ino);
    if (node.kind !== 'directory') throw new FsError('ENOTDIR', `inode ${ino} is a file`);
    return node;
  }

  /** ENOENT where there is none. */
  child(directory: Node, name: string): Node {
    if (nameBytes(name) > 255) throw new FsError('ENAMETOOLONG', name);
    const node = directory.children.get(name);
    if (node === undefined) throw new FsError('ENOENT', name);
    return node;
  }

  /** Takes a name from a node. Without its last name the node ends, unless it is open. */
  detach(directory: Node, name: string, node: Node): void {
    directory.children.delete(name);
    directory.mtime = directory.ctime = node.ctime = now();
    node.links--;
    this.dropIfUnused(node);
  }

  /** Forgets a node that has neither a name nor a handle. */
  dropIfUnused(node: Node): void {
    if (node.links === 0 && node.openCount === 0) this.#nodes.delete(node.ino);
  }
}
