/** The objects that a `MemoryFilesystem` consists of. */
import type { Attributes, Ino, NodeKind, Timespec } from '../../src/filesystem/api.js';
import { accessAclName, defaultAclName } from '../../src/filesystem/attributes/acl.js';
import { FsError } from '../../src/filesystem/core/fs-error.js';

export interface Node {
  readonly ino: Ino;
  readonly kind: NodeKind;
  mode: number;
  uid: number;
  gid: number;
  atime: Timespec;
  mtime: Timespec;
  ctime: Timespec;
  /** Of a directory: its names. */
  readonly children: Map<string, Node>;
  parent: Node;
  /** Of a file, or the target of a symbolic link: its bytes are the first `size` of `data`. */
  data: Uint8Array;
  size: number;
  rdev: number;
  /** Names. */
  links: number;
  openCount: number;
  readonly xattrs: Map<string, Uint8Array>;
}

export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

export function makeNode(ino: Ino, kind: NodeKind, mode: number, owner: Owner): Node {
  const at = now();
  const node = {
    ...{ ino, kind, mode, uid: owner.uid ?? 0, gid: owner.gid ?? 0, atime: at, mtime: at, ctime: at },
    ...{
      children: new Map(),
      data: new Uint8Array(0),
      size: 0,
      rdev: 0,
      links: 0,
      openCount: 0,
      xattrs: new Map(),
    },
  } as unknown as Node;
  // Its own parent until it is put somewhere, as the root stays.
  node.parent = node;
  return node;
}

/** Cuts off, or fills up with zeros. */
export function resize(node: Node, size: number): void {
  if (size > node.data.length) {
    const grown = new Uint8Array(Math.max(size, node.data.length * 2));
    grown.set(node.data.subarray(0, node.size));
    node.data = grown;
  } else if (size < node.size) node.data.fill(0, size, node.size);
  node.size = size;
}

/** rename(2) over something that exists. */
export function checkReplace(node: Node, target: Node): void {
  if (node.kind === 'directory' && target.kind !== 'directory') throw new FsError('ENOTDIR', 'over a file');
  if (node.kind !== 'directory' && target.kind === 'directory') throw new FsError('EISDIR', 'over a directory');
  if (target.children.size > 0) throw new FsError('ENOTEMPTY', 'over a full directory');
}

export function now(): Timespec {
  const ms = performance.timeOrigin + performance.now();
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: Math.floor((ms - sec * 1000) * 1e6) };
}

export function checkXattrName(name: string): void {
  // The kernel reads and sets ACLs this way.
  if (name === accessAclName || name === defaultAclName) return;
  if (!name.startsWith('user.')) throw new FsError('ENOTSUP', name);
}

export function attributesOf(node: Node): Attributes {
  const subdirectories = [...node.children.values()].filter((child) => child.kind === 'directory').length;
  return {
    ino: node.ino,
    kind: node.kind,
    size: node.size,
    mode: node.mode,
    nlink: node.links === 0 || node.kind !== 'directory' ? node.links : 2 + subdirectories,
    uid: node.uid,
    gid: node.gid,
    atime: node.atime,
    mtime: node.mtime,
    ctime: node.ctime,
    rdev: node.rdev,
  };
}
