/**
 * A `Filesystem` in memory with the semantics of a local disk. The bindings are tested with it, and it is a reference for the
 * real core. It does no I/O and answers at once, unless a test makes it wait or fail (`plan`).
 */

import type { MaybePromise } from '../../src/base/maybe-promise.js';
import { nameBytes } from '../../src/base/raw-names.js';
import type {
  Allocation,
  AttributeChange,
  Attributes,
  Caller,
  DirectoryEntry,
  Filesystem,
  HandleId,
  Ino,
  Invalidation,
  NewNode,
  OpenFlags,
  OpenResult,
  RenameFlags,
  StatFs,
  XattrChange,
} from '../../src/filesystem/api.js';
import { accessAclName, isExtended, parseAcl, permissionsOf } from '../../src/filesystem/attributes/acl.js';
import { FsError } from '../../src/filesystem/core/fs-error.js';
import { attributesOf, checkReplace, checkXattrName, type Node, now, resize } from './memory-node.js';
import { MemoryTree } from './memory-tree.js';

type Operation = Exclude<keyof Filesystem, 'root' | 'parentOf' | 'validity' | 'onInvalidate'>;

interface Handle {
  readonly node: Node;
  readonly flags: OpenFlags;
}

/** A test's function that runs before one operation. It may delay the operation, or throw. */
export type Plan = (caller: Caller | undefined) => MaybePromise<void>;

export class MemoryFilesystem implements Filesystem {
  readonly root: Ino;
  readonly #tree: MemoryTree;
  readonly #handles = new Map<HandleId, Handle>();
  readonly #listeners = new Set<(what: Invalidation) => void>();
  readonly #plans = new Map<Operation, Plan>();
  #nextHandle: HandleId = 1;
  readonly calls = new Map<Operation, number>();
  /** The callers of `create` and `mkdir`, for tests of the callers that a binding passes on. */
  lastCaller: Caller | undefined;
  /** An hour: a test sees no change without `invalidate`. */
  validityMs = 3_600_000;
  stat: StatFs = { total: 50e9, free: 20e9, files: 1234, maxNameBytes: 255 };

  /** `root` may be any number, as in the real inode table; the first new object gets inode 1. */
  constructor(options: { root?: Ino; uid?: number; gid?: number } = {}) {
    this.root = options.root ?? 7;
    this.#tree = new MemoryTree(this.root, { uid: options.uid ?? 0, gid: options.gid ?? 0 });
  }

  /** Makes `operation` call `plan` first; without `plan` it is as before. */
  plan(operation: Operation, plan?: Plan): void {
    if (plan === undefined) this.#plans.delete(operation);
    else this.#plans.set(operation, plan);
  }

  /** Makes `operation` fail until the returned function is called. */
  fail(operation: Operation, error: FsError): () => void {
    this.plan(operation, () => {
      throw error;
    });
    return () => this.plan(operation);
  }

  get openHandles(): number {
    return this.#handles.size;
  }

  /** ENOENT where there is none. */
  inoOf(path: string): Ino {
    return path.split('/').reduce((ino, name) => this.#tree.child(this.#tree.directory(ino), name).ino, this.root);
  }

  invalidate(what: Invalidation): void {
    for (const listener of this.#listeners) listener(what);
  }

  /** Another client's change of content and time. The kernel sees it only after `invalidate`. */
  overwriteRemotely(ino: Ino, content: string): void {
    const node = this.#tree.node(ino);
    node.data = Buffer.from(content);
    node.size = node.data.length;
    node.mtime = node.ctime = now();
  }

  lookup(parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes | undefined> {
    return this.#run('lookup', caller, () => {
      if (nameBytes(name) > 255) throw new FsError('ENAMETOOLONG', name);
      const node = this.#tree.directory(parent).children.get(name);
      return node === undefined ? undefined : attributesOf(node);
    });
  }

  getattr(ino: Ino): MaybePromise<Attributes> {
    return this.#run('getattr', undefined, () => attributesOf(this.#tree.node(ino)));
  }

  validity(): number {
    return this.validityMs;
  }

  parentOf(ino: Ino): Ino {
    return this.#tree.node(ino).parent.ino;
  }

  setattr(ino: Ino, change: AttributeChange, caller?: Caller): MaybePromise<Attributes> {
    return this.#run('setattr', caller, () => {
      const node = this.#tree.node(ino);
      const at = now();
      if (change.size !== undefined) {
        if (node.kind === 'directory') throw new FsError('EISDIR', 'a directory has no size');
        if (change.handle !== undefined) this.#handle(change.handle, 'write');
        resize(node, change.size);
        node.mtime = at;
      }
      if (change.mode !== undefined) node.mode = change.mode;
      if (change.uid !== undefined) node.uid = change.uid;
      if (change.gid !== undefined) node.gid = change.gid;
      if (change.atime !== undefined) node.atime = change.atime === 'now' ? at : change.atime;
      if (change.mtime !== undefined) node.mtime = change.mtime === 'now' ? at : change.mtime;
      node.ctime = at;
      return attributesOf(node);
    });
  }

  readdir(ino: Ino, caller?: Caller): MaybePromise<readonly DirectoryEntry[]> {
    return this.#run('readdir', caller, () =>
      [...this.#tree.directory(ino).children]
        .map(([name, node]) => ({ name, attributes: attributesOf(node) }))
        .sort((a, b) => a.attributes.ino - b.attributes.ino),
    );
  }

  open(ino: Ino, flags: OpenFlags, caller?: Caller): MaybePromise<OpenResult> {
    return this.#run('open', caller, () => {
      const node = this.#tree.node(ino);
      if (node.kind === 'directory' && flags.write) throw new FsError('EISDIR', 'a directory');
      if (flags.truncate && flags.write) {
        resize(node, 0);
        node.mtime = node.ctime = now();
      }
      return { handle: this.#openHandle(node, flags), keepCache: true };
    });
  }

  create(
    parent: Ino,
    name: string | null,
    mode: number,
    flags: OpenFlags,
    caller?: Caller,
  ): MaybePromise<OpenResult & { attributes: Attributes }> {
    return this.#run('create', caller, () => {
      this.lastCaller = caller;
      const directory = this.#tree.directory(parent);
      const existing = name === null ? undefined : directory.children.get(name);
      if (existing !== undefined && name !== null) {
        if (flags.exclusive) throw new FsError('EEXIST', name);
        if (existing.kind === 'directory') throw new FsError('EISDIR', name);
        if (flags.truncate) resize(existing, 0);
      }
      const node =
        existing ??
        (name === null
          ? this.#tree.unnamed('file', mode, caller)
          : this.#tree.add(directory, name, 'file', mode, caller));
      return { handle: this.#openHandle(node, flags), keepCache: false, attributes: attributesOf(node) };
    });
  }

  read(handle: HandleId, into: Uint8Array, offset: number, caller?: Caller): MaybePromise<number> {
    return this.#run('read', caller, () => {
      const { node } = this.#handle(handle, 'read');
      if (offset >= node.size) return 0;
      const part = node.data.subarray(offset, Math.min(offset + into.length, node.size));
      into.set(part);
      return part.length;
    });
  }

  write(handle: HandleId, data: Uint8Array, offset: number, caller?: Caller): MaybePromise<number> {
    return this.#run('write', caller, () => {
      const { node, flags } = this.#handle(handle, 'write');
      const at = flags.append ? node.size : offset;
      if (at + data.length > node.size) resize(node, at + data.length);
      node.data.set(data, at);
      node.mtime = node.ctime = now();
      return data.length;
    });
  }

  flush(handle: HandleId, caller?: Caller): MaybePromise<void> {
    return this.#run('flush', caller, () => void this.#handle(handle));
  }

  fsyncDirectory(directory: Ino, caller?: Caller): MaybePromise<void> {
    return this.#run('fsyncDirectory', caller, () => void this.#tree.node(directory));
  }

  fsync(handle: HandleId, caller?: Caller): MaybePromise<void> {
    return this.#run('fsync', caller, () => void this.#handle(handle));
  }

  release(handle: HandleId): MaybePromise<void> {
    return this.#run('release', undefined, () => {
      const { node } = this.#handle(handle);
      this.#handles.delete(handle);
      node.openCount--;
      this.#tree.dropIfUnused(node);
    });
  }

  fallocate(handle: HandleId, { offset, length, keepSize, zeroes }: Allocation): MaybePromise<void> {
    return this.#run('fallocate', undefined, () => {
      const { node } = this.#handle(handle, 'write');
      const end = offset + length;
      if (zeroes && offset < node.size) node.data.fill(0, offset, Math.min(end, node.size));
      if (!keepSize && end > node.size) resize(node, end);
    });
  }

  seek(handle: HandleId, offset: number, whence: 'data' | 'hole'): MaybePromise<number> {
    return this.#run('seek', undefined, () => {
      const { node } = this.#handle(handle);
      if (offset >= node.size) throw new FsError('ENXIO', 'beyond the end');
      return whence === 'data' ? offset : node.size;
    });
  }

  mkdir(parent: Ino, name: string, mode: number, caller?: Caller): MaybePromise<Attributes> {
    return this.#run('mkdir', caller, () => {
      this.lastCaller = caller;
      const directory = this.#tree.directory(parent);
      if (directory.children.has(name)) throw new FsError('EEXIST', name);
      return attributesOf(this.#tree.add(directory, name, 'directory', mode, caller));
    });
  }

  symlink(parent: Ino, name: string, target: Uint8Array, caller?: Caller): MaybePromise<Attributes> {
    return this.#run('symlink', caller, () => {
      const node = this.#tree.make(parent, name, 'symlink', 0o777, caller);
      node.data = target;
      node.size = target.length;
      return attributesOf(node);
    });
  }

  readlink(ino: Ino): MaybePromise<Uint8Array> {
    return this.#run('readlink', undefined, () => {
      const node = this.#tree.node(ino);
      if (node.kind !== 'symlink') throw new FsError('EINVAL', `inode ${ino} is no link`);
      return node.data;
    });
  }

  mknod(parent: Ino, name: string, { kind, mode, rdev }: NewNode, caller?: Caller): MaybePromise<Attributes> {
    return this.#run('mknod', caller, () => {
      const node = this.#tree.make(parent, name, kind, mode, caller);
      node.rdev = rdev;
      return attributesOf(node);
    });
  }

  link(ino: Ino, parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes> {
    return this.#run('link', caller, () => {
      const node = this.#tree.node(ino);
      const directory = this.#tree.directory(parent);
      if (node.kind === 'directory') throw new FsError('EPERM', name);
      if (directory.children.has(name)) throw new FsError('EEXIST', name);
      directory.children.set(name, node);
      node.links++;
      return attributesOf(node);
    });
  }

  unlink(parent: Ino, name: string, caller?: Caller): MaybePromise<void> {
    return this.#run('unlink', caller, () => {
      const directory = this.#tree.directory(parent);
      const node = this.#tree.child(directory, name);
      if (node.kind === 'directory') throw new FsError('EISDIR', name);
      this.#tree.detach(directory, name, node);
    });
  }

  rmdir(parent: Ino, name: string, caller?: Caller): MaybePromise<void> {
    return this.#run('rmdir', caller, () => {
      const directory = this.#tree.directory(parent);
      const node = this.#tree.child(directory, name);
      if (node.kind !== 'directory') throw new FsError('ENOTDIR', name);
      if (node.children.size > 0) throw new FsError('ENOTEMPTY', name);
      this.#tree.detach(directory, name, node);
    });
  }

  rename(
    parent: Ino,
    name: string,
    newParent: Ino,
    newName: string,
    flags: RenameFlags,
    caller?: Caller,
  ): MaybePromise<void> {
    return this.#run('rename', caller, () => {
      const from = this.#tree.directory(parent);
      const to = this.#tree.directory(newParent);
      const node = this.#tree.child(from, name);
      const target = to.children.get(newName);
      for (let above = to; above !== above.parent; above = above.parent)
        if (above === node) throw new FsError('EINVAL', 'a directory cannot be moved into itself');
      if (flags.exchange) {
        if (target === undefined) throw new FsError('ENOENT', newName);
        from.children.set(name, target);
        target.parent = from;
      } else {
        if (target !== undefined && flags.noReplace) throw new FsError('EEXIST', newName);
        if (target === node) return;
        if (target !== undefined) checkReplace(node, target);
        if (target !== undefined) this.#tree.detach(to, newName, target);
        from.children.delete(name);
      }
      to.children.set(newName, node);
      node.parent = to;
      from.mtime = from.ctime = to.mtime = to.ctime = node.ctime = now();
    });
  }

  statfs(): MaybePromise<StatFs> {
    return this.#run('statfs', undefined, () => this.stat);
  }

  getxattr(ino: Ino, name: string): MaybePromise<Uint8Array | undefined> {
    return this.#run('getxattr', undefined, () => {
      checkXattrName(name);
      return this.#tree.node(ino).xattrs.get(name);
    });
  }

  setxattr(ino: Ino, name: string, value: Uint8Array, { mode }: XattrChange): MaybePromise<void> {
    return this.#run('setxattr', undefined, () => {
      checkXattrName(name);
      const node = this.#tree.node(ino);
      const { xattrs } = node;
      if (name === accessAclName) {
        const acl = parseAcl(value);
        node.mode = (node.mode & ~0o777) | permissionsOf(acl);
        // `cp -p` sets an ACL that says the same as the mode.
        if (!isExtended(acl)) return;
      }
      if (mode === 'create' && xattrs.has(name)) throw new FsError('EEXIST', name);
      if (mode === 'replace' && !xattrs.has(name)) throw new FsError('ENODATA', name);
      xattrs.set(name, Uint8Array.from(value));
    });
  }

  listxattr(ino: Ino): MaybePromise<readonly string[]> {
    return this.#run('listxattr', undefined, () => [...this.#tree.node(ino).xattrs.keys()]);
  }

  removexattr(ino: Ino, name: string): MaybePromise<void> {
    return this.#run('removexattr', undefined, () => {
      if (!this.#tree.node(ino).xattrs.delete(name)) throw new FsError('ENODATA', name);
    });
  }

  onInvalidate(listener: (what: Invalidation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #run<T>(operation: Operation, caller: Caller | undefined, work: () => T): MaybePromise<T> {
    this.calls.set(operation, (this.calls.get(operation) ?? 0) + 1);
    const waiting = this.#plans.get(operation)?.(caller);
    return waiting instanceof Promise ? waiting.then(work) : work();
  }

  #openHandle(node: Node, flags: OpenFlags): HandleId {
    node.openCount++;
    this.#handles.set(this.#nextHandle, { node, flags });
    return this.#nextHandle++;
  }

  #handle(id: HandleId, use?: 'read' | 'write'): Handle {
    const handle = this.#handles.get(id);
    if (handle === undefined || (use !== undefined && !handle.flags[use])) throw new FsError('EBADF', `handle ${id}`);
    return handle;
  }
}
