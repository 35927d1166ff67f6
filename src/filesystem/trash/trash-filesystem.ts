/** A file system with trash directories in its root, for programs that name them. Everything else is the inner file system's. */
import type { MaybePromise } from '../../base/maybe-promise.js';
import type { Ino } from '../../tree/inode.js';
import type {
  Allocation,
  AttributeChange,
  Attributes,
  Backing,
  Caller,
  DirectoryEntry,
  Filesystem,
  HandleId,
  Invalidation,
  NewNode,
  OpenFlags,
  OpenResult,
  RenameFlags,
  StatFs,
  XattrChange,
} from '../api.js';
import type { Core } from '../core/core.js';
import { withDeadline } from '../core/deadlines.js';
import { withErrno } from '../core/errno-boundary.js';
import type { FailureLog } from '../core/failure-log.js';
import { FsError } from '../core/fs-error.js';
import type { TrashDirectory } from './trash-directory.js';
import type { TrashNode } from './trash-nodes.js';

/** The file system below, with all methods that the interface leaves optional. */
export type InnerFilesystem = Required<Filesystem>;

export class TrashFilesystem implements Filesystem {
  readonly root: Ino;
  readonly #inner: InnerFilesystem;
  readonly #core: Core;
  readonly #directory: TrashDirectory;
  readonly #failures: FailureLog;

  constructor(inner: InnerFilesystem, core: Core, directory: TrashDirectory, failures: FailureLog) {
    this.root = inner.root;
    this.#inner = inner;
    this.#core = core;
    this.#directory = directory;
    this.#failures = failures;
  }

  lookup(parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes | undefined> {
    if (parent === this.root) {
      const node = this.#atRoot(name);
      return node === undefined ? this.#inner.lookup(parent, name, caller) : this.#directory.attributes(node);
    }
    const node = this.#node(parent);
    if (node === undefined) return this.#inner.lookup(parent, name, caller);
    // A folder in the trash is shown empty: no service tells what is in it.
    if (node.type === 'item') return undefined;
    return this.#doing('lookup', name, () => this.#directory.lookup(node, name, this.#timed(caller)));
  }

  getattr(ino: Ino, handle?: HandleId): MaybePromise<Attributes> {
    const node = this.#node(ino);
    return node === undefined ? this.#inner.getattr(ino, handle) : this.#directory.attributes(node);
  }

  /** The service can change its trash, and whether it has one: the kernel caches nothing of it. */
  validity(directory: Ino, of?: Ino): number {
    return this.#isOurs(of ?? directory) ? 0 : this.#inner.validity(directory);
  }

  parentOf(ino: Ino): Ino {
    const node = this.#node(ino);
    return node === undefined ? this.#inner.parentOf(ino) : this.#directory.parentOf(node);
  }

  setattr(ino: Ino, change: AttributeChange, caller?: Caller): MaybePromise<Attributes> {
    const node = this.#node(ino);
    if (node === undefined) return this.#inner.setattr(ino, change, caller);
    return this.#doing('setattr', '', () => this.#directory.setattr(node, change));
  }

  readdir(ino: Ino, caller?: Caller): MaybePromise<readonly DirectoryEntry[]> {
    const node = this.#node(ino);
    if (node === undefined) return this.#inner.readdir(ino, caller);
    if (node.type === 'item') return [];
    return this.#doing('readdir', '', () => this.#directory.readdir(node, this.#timed(caller)));
  }

  open(ino: Ino, flags: OpenFlags, caller?: Caller): MaybePromise<OpenResult> {
    const node = this.#node(ino);
    if (node === undefined) return this.#inner.open(ino, flags, caller);
    return this.#doing('open', '', () => this.#directory.open(node, flags));
  }

  create(
    parent: Ino,
    name: string | null,
    mode: number,
    flags: OpenFlags,
    caller?: Caller,
  ): MaybePromise<OpenResult & { readonly attributes: Attributes }> {
    const node = this.#node(parent);
    if (node !== undefined) return this.#doing('create', name ?? '', () => this.#directory.create(node, name, flags));
    if (name !== null) this.#requireUnreserved(parent, name);
    return this.#inner.create(parent, name, mode, flags, caller);
  }

  backing(handle: HandleId, inUse?: Backing): Backing | null {
    return this.#isNote(handle) ? null : this.#inner.backing(handle, inUse);
  }

  mapBacking(handle: HandleId, inUse: Backing): MaybePromise<void> {
    if (this.#isNote(handle)) throw new FsError('EBUSY', 'a file of the trash has no backing file');
    return this.#inner.mapBacking(handle, inUse);
  }

  mountLost(handle: HandleId): void {
    if (!this.#isNote(handle)) this.#inner.mountLost(handle);
  }

  read(handle: HandleId, into: Uint8Array, offset: number, caller?: Caller): MaybePromise<number> {
    if (!this.#isNote(handle)) return this.#inner.read(handle, into, offset, caller);
    return this.#directory.notes.read(handle, into, offset);
  }

  write(
    handle: HandleId,
    data: Uint8Array,
    offset: number,
    caller?: Caller,
    from: 'call' | 'page' = 'call',
  ): MaybePromise<number> {
    if (!this.#isNote(handle)) return this.#inner.write(handle, data, offset, caller, from);
    return this.#directory.notes.write(handle, data, offset, from === 'call');
  }

  flush(handle: HandleId, caller?: Caller): MaybePromise<void> {
    return this.#isNote(handle) ? this.#directory.notes.store(handle) : this.#inner.flush(handle, caller);
  }

  fsync(handle: HandleId, caller?: Caller): MaybePromise<void> {
    if (!this.#isNote(handle)) return this.#inner.fsync(handle, caller);
    this.#directory.notes.store(handle);
    return this.#core.state.durable();
  }

  fsyncDirectory(directory: Ino, caller?: Caller): MaybePromise<void> {
    return this.#isOurs(directory) ? this.#core.state.durable() : this.#inner.fsyncDirectory(directory, caller);
  }

  release(handle: HandleId): MaybePromise<void> {
    return this.#isNote(handle) ? this.#directory.notes.release(handle) : this.#inner.release(handle);
  }

  fallocate(handle: HandleId, allocation: Allocation): MaybePromise<void> {
    if (this.#isNote(handle)) throw new FsError('ENOTSUP', 'a file of the trash has no room to reserve');
    return this.#inner.fallocate(handle, allocation);
  }

  seek(handle: HandleId, offset: number, whence: 'data' | 'hole'): MaybePromise<number> {
    if (this.#isNote(handle)) throw new FsError('ENOTSUP', 'a file of the trash has no holes');
    return this.#inner.seek(handle, offset, whence);
  }

  copyRange(
    from: HandleId,
    fromOffset: number,
    to: HandleId,
    toOffset: number,
    length: number,
    caller?: Caller,
  ): MaybePromise<number> {
    if (this.#isNote(from) || this.#isNote(to)) throw new FsError('ENOTSUP', 'the trash copies nothing');
    return this.#inner.copyRange(from, fromOffset, to, toOffset, length, caller);
  }

  mkdir(parent: Ino, name: string, mode: number, caller?: Caller): MaybePromise<Attributes> {
    this.#requireOutside(parent);
    if (parent === this.root && this.#atRoot(name) !== undefined) throw new FsError('EEXIST', `${name} exists`);
    return this.#inner.mkdir(parent, name, mode, caller);
  }

  symlink(parent: Ino, name: string, target: Uint8Array, caller?: Caller): MaybePromise<Attributes> {
    this.#requireOutside(parent);
    this.#requireUnreserved(parent, name);
    return this.#inner.symlink(parent, name, target, caller);
  }

  readlink(ino: Ino): MaybePromise<Uint8Array> {
    if (this.#isOurs(ino)) throw new FsError('EINVAL', 'not a symbolic link');
    return this.#inner.readlink(ino);
  }

  mknod(parent: Ino, name: string, node: NewNode, caller?: Caller): MaybePromise<Attributes> {
    this.#requireOutside(parent);
    this.#requireUnreserved(parent, name);
    return this.#inner.mknod(parent, name, node, caller);
  }

  link(ino: Ino, parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes> {
    this.#requireOutside(ino);
    this.#requireOutside(parent);
    this.#requireUnreserved(parent, name);
    return this.#inner.link(ino, parent, name, caller);
  }

  unlink(parent: Ino, name: string, caller?: Caller): MaybePromise<void> {
    const node = this.#node(parent);
    if (node !== undefined)
      return this.#doing('unlink', name, () => this.#directory.unlink(node, name, this.#timed(caller)));
    this.#requireUnreserved(parent, name);
    return this.#inner.unlink(parent, name, caller);
  }

  rmdir(parent: Ino, name: string, caller?: Caller): MaybePromise<void> {
    const node = this.#node(parent);
    if (node !== undefined)
      return this.#doing('rmdir', name, () => this.#directory.rmdir(node, name, this.#timed(caller)));
    this.#requireUnreserved(parent, name, 'EBUSY');
    return this.#inner.rmdir(parent, name, caller);
  }

  rename(
    parent: Ino,
    name: string,
    newParent: Ino,
    newName: string,
    flags: RenameFlags,
    caller?: Caller,
  ): MaybePromise<void> {
    const [from, to] = [this.#node(parent), this.#node(newParent)];
    if (from === undefined && to === undefined) {
      this.#requireUnreserved(parent, name, 'EBUSY');
      this.#requireUnreserved(newParent, newName, 'EBUSY');
      return this.#inner.rename(parent, name, newParent, newName, flags, caller);
    }
    return this.#doing('rename', name, () => {
      if (flags.exchange) throw new FsError('EINVAL', 'nothing can be exchanged with the trash');
      const timed = this.#timed(caller);
      if (to === undefined) return this.#directory.moveOut(from as TrashNode, name, newParent, newName, timed);
      if (from === undefined) return this.#directory.moveIn(parent, name, to, newName, timed);
      return this.#directory.renameWithin(from, name, to, newName, flags.noReplace);
    });
  }

  statfs(): MaybePromise<StatFs> {
    const settled = this.#directory.trash.spaceSettled();
    return settled === undefined ? this.#inner.statfs() : settled.then(() => this.#inner.statfs());
  }

  getxattr(ino: Ino, name: string): MaybePromise<Uint8Array | undefined> {
    return this.#isOurs(ino) ? undefined : this.#inner.getxattr(ino, name);
  }

  setxattr(ino: Ino, name: string, value: Uint8Array, change: XattrChange): MaybePromise<void> {
    if (this.#isOurs(ino)) throw new FsError('ENOTSUP', 'the trash has no extended attributes');
    return this.#inner.setxattr(ino, name, value, change);
  }

  listxattr(ino: Ino, caller?: Caller): MaybePromise<readonly string[]> {
    return this.#isOurs(ino) ? [] : this.#inner.listxattr(ino, caller);
  }

  removexattr(ino: Ino, name: string): MaybePromise<void> {
    if (this.#isOurs(ino)) throw new FsError('ENODATA', `no attribute ${name}`);
    return this.#inner.removexattr(ino, name);
  }

  countsReferences(isReferenced: (ino: Ino) => boolean): void {
    this.#inner.countsReferences(isReferenced);
  }

  forgotten(ino: Ino): void {
    if (!this.#isOurs(ino)) this.#inner.forgotten(ino);
  }

  onInvalidate(listener: (what: Invalidation) => void): () => void {
    return this.#inner.onInvalidate(listener);
  }

  #isOurs(ino: Ino): boolean {
    return this.#directory.nodes.isOurs(ino);
  }

  #isNote(handle: HandleId): boolean {
    return this.#directory.notes.isHandle(handle);
  }

  #node(ino: Ino): TrashNode | undefined {
    if (!this.#isOurs(ino)) return undefined;
    const node = this.#directory.nodes.get(ino);
    if (node === undefined) throw new FsError('ESTALE', `inode ${ino} is gone`);
    return node;
  }

  #atRoot(name: string): TrashNode | undefined {
    return name.startsWith('.Trash-') ? this.#directory.atRoot(name) : undefined;
  }

  #requireOutside(ino: Ino): void {
    if (this.#isOurs(ino)) throw new FsError('EPERM', 'nothing is made in the trash: objects are moved there');
  }

  /** The trash directory of the root can be neither made, removed, nor renamed. */
  #requireUnreserved(parent: Ino, name: string, code: 'EPERM' | 'EBUSY' = 'EPERM'): void {
    if (parent === this.root && this.#atRoot(name) !== undefined) throw new FsError(code, `${name} is the trash`);
  }

  #timed(caller: Caller | undefined): Caller {
    return withDeadline(this.#core, caller);
  }

  #doing<T>(operation: string, name: string, act: () => MaybePromise<T>): MaybePromise<T> {
    return withErrno(act, this.#failures.of(operation, this.root, name === '' ? undefined : `.Trash/${name}`));
  }
}
