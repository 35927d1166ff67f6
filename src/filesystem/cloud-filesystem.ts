/**
 * The file system of one mounted account: POSIX calls on one side, a provider on the other.
 *
 * This class translates each call into work of its parts and every failure into an errno; the parts hold the meaning:
 * `Namespace` and `Renaming` names, `Contents` bytes, `Uploader` uploads, `attributes.ts` and `Xattrs` the rest.
 */
import { isPromise, type MaybePromise } from '../base/maybe-promise.js';
import type { Account, Quota } from '../providers/provider.js';
import type { Ino } from '../tree/inode.js';
import type { SeenChanges } from '../tree/seen-changes.js';
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
} from './api.js';
import { changeOverlay } from './attributes/attributes.js';
import { openable } from './content/opening.js';
import { settlePassthroughWrites } from './content/passthrough-writes.js';
import { type SpooledContent, spooledContents } from './content/spooled-contents.js';
import { orAborted } from './core/abortable.js';
import { type Core, directoryOf, inodeOf } from './core/core.js';
import { withDeadline } from './core/deadlines.js';
import { withErrno, withErrnoSync } from './core/errno-boundary.js';
import type { FailureLog } from './core/failure-log.js';
import type { CachedFiles } from './inspect/cached-files.js';
import type { Inspection } from './inspect/inspection.js';
import type { AccountMetadata } from './metadata/account-metadata.js';
import { assemble, type Parts } from './parts.js';
import type { Pins } from './pins/pins.js';
import { recoverUploads } from './recovery/recovery.js';
import type { Trash } from './trash/trash.js';
import { TrashFilesystem } from './trash/trash-filesystem.js';
import type { Discarding } from './uploads/discarding.js';
import { makeDurable, withLosses } from './uploads/durability.js';
import { writersOf } from './uploads/pending.js';
import type { Uploader } from './uploads/uploader.js';

export class CloudFilesystem implements Filesystem {
  readonly root: Ino;
  readonly uploader: Uploader;
  readonly discarding: Discarding;
  readonly #core: Core;
  readonly #parts: Parts;
  readonly #failures: FailureLog;

  /** The caller connects `core.invalidate` and `Directories.onChange` to `invalidate` and `listingChanged`. */
  constructor(core: Core, root: Ino, account: Account) {
    this.root = root;
    this.#core = core;
    this.#parts = assemble(core, root, account);
    this.#failures = this.#parts.failures;
    this.uploader = this.#parts.uploader;
    this.discarding = this.#parts.discarding;
  }

  /**
   * Recovers the state of an earlier mount: local parts at once, parts that need the provider in the background.
   * Resolves when interrupted renames are finished or undone, or cannot be for now.
   */
  recover(): Promise<void> {
    const beginUploads = recoverUploads(this.#core, this.uploader, this.#parts.relocation, this.#parts.contents);
    if (!this.#parts.intents.hasUnfinished()) {
      beginUploads();
      return Promise.resolve();
    }
    // The destination of a content is known only after its interrupted rename is settled.
    return this.#parts.intents
      .recover()
      .catch((error) => this.#core.log.warn({ error }, 'unfinished renames wait'))
      .then(beginUploads);
  }

  /** Retries failed uploads, and renames that lack their last step. Returns the number of uploads. */
  retryFailed(): number {
    this.#parts.intents.retry().catch((error) => this.#core.log.warn({ error }, 'unfinished renames wait'));
    return this.uploader.retryFailed();
  }

  /** Lists the local files of contents that are not stored yet. */
  spooled(): Promise<SpooledContent[]> {
    return spooledContents(this.#core, this.#parts.contents, this.root);
  }

  /**
   * The mount ends: disposes of removed files that were kept for their readers. Resolves when they are gone, or cannot
   * go now.
   */
  disposeAside(): Promise<void> {
    return this.#parts.asideFiles.disposeUnopened();
  }

  /** The file system as programs see it: with the trash directories of the desktop. */
  withTrash(): Filesystem {
    return new TrashFilesystem(this, this.#core, this.#parts.trash, this.#failures);
  }

  /** The files and folders that are kept on this machine. The caller starts the work. */
  get pins(): Pins {
    return this.#parts.pins;
  }

  /** The cached files, for people. */
  get cached(): CachedFiles {
    return this.#parts.cached;
  }

  /** Answers people's questions about objects. */
  get inspection(): Inspection {
    return this.#parts.inspection;
  }

  /** The service's trash. */
  get trash(): Trash {
    return this.#parts.trash.trash;
  }

  /** Ends background work. */
  close(): void {
    this.#parts.mappings.close();
    this.#parts.asideFiles.close();
    this.#parts.intents.close();
  }

  lookup(parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes | undefined> {
    const look = (): MaybePromise<Attributes | undefined> => {
      const found = this.#parts.namespace.lookup(parent, name, caller);
      if (isPromise(found)) return this.#parts.lookups.measure(caller?.pid, found);
      this.#parts.lookups.lookedUpAtOnce(caller?.pid);
      return found;
    };
    return withErrno(look, this.#failures.of('lookup', parent, name));
  }

  getattr(ino: Ino, handle?: HandleId): Attributes {
    const get = () => this.#parts.handles.attributes(inodeOf(this.#core, ino), handle);
    return withErrnoSync(get, this.#failures.of('getattr', ino));
  }

  validity(directory: Ino): number {
    return this.#core.directories.validity(directory);
  }

  parentOf(ino: Ino): Ino {
    return ino === this.root ? ino : (this.#core.table.get(ino)?.parent ?? this.root);
  }

  setattr(ino: Ino, change: AttributeChange, caller?: Caller): MaybePromise<Attributes> {
    const set = (): MaybePromise<Attributes> => {
      const state = this.#core.files.state(ino);
      // The time that is set must replace the time of any earlier write: record those writes first.
      if (state?.writeDetector == null || change.mtime === undefined) return this.#change(ino, change, caller);
      return settlePassthroughWrites(this.#core, state).then(() => this.#change(ino, change, caller));
    };
    return withErrno(set, this.#failures.of('setattr', ino));
  }

  #change(ino: Ino, change: AttributeChange, caller?: Caller): MaybePromise<Attributes> {
    if (change.atime !== undefined || change.mtime !== undefined) this.#core.metadata?.timesSet(ino, change);
    changeOverlay(this.#core, ino, change);
    if (change.size === undefined) return this.#parts.namespace.attributes(inodeOf(this.#core, ino));
    openable(this.#core, ino, { read: false, write: true, append: false, truncate: true, exclusive: false });
    return this.#parts.resizing.resize(ino, change.size, change, caller?.signal).then(() => this.getattr(ino));
  }

  readdir(ino: Ino, caller?: Caller): MaybePromise<readonly DirectoryEntry[]> {
    return withErrno(() => this.#parts.namespace.readdir(ino, caller), this.#failures.of('readdir', ino));
  }

  open(ino: Ino, flags: OpenFlags, caller?: Caller): MaybePromise<OpenResult> {
    return withErrno(() => this.#parts.handles.open(ino, flags, caller), this.#failures.of('open', ino));
  }

  create(
    parent: Ino,
    name: string | null,
    mode: number,
    flags: OpenFlags,
    caller?: Caller,
  ): MaybePromise<OpenResult & { readonly attributes: Attributes }> {
    const create = () => this.#parts.handles.create(parent, name, mode, flags, caller);
    return withErrno(create, this.#failures.of('create', parent, name ?? undefined));
  }

  backing(handle: HandleId, inUse?: Backing): Backing | null {
    const open = () => this.#parts.passthrough.openBacking(this.#core.files.handle(handle), inUse);
    return withErrnoSync(open, this.#failures.ofHandle('backing', handle));
  }

  mapBacking(handle: HandleId, inUse: Backing): MaybePromise<void> {
    const map = () => this.#parts.mappings.map(this.#core.files.handle(handle), inUse);
    return withErrno(map, this.#failures.ofHandle('mapBacking', handle));
  }

  mountLost(handle: HandleId): void {
    const lost = () => this.#parts.passthrough.mountLost(this.#core.files.handle(handle));
    withErrnoSync(lost, this.#failures.ofHandle('mountLost', handle));
  }

  read(handle: HandleId, into: Uint8Array, offset: number, caller?: Caller): MaybePromise<number> {
    const { files, clock } = this.#core;
    const read = (): Promise<number> => {
      const opened = files.handle(handle);
      const work = opened.readFailures.run(clock, () => this.#parts.contents.read(opened, into, offset));
      return orAborted(work, caller?.signal);
    };
    return withErrno(read, this.#failures.ofHandle('read', handle));
  }

  write(
    handle: HandleId,
    data: Uint8Array,
    offset: number,
    caller?: Caller,
    from: 'call' | 'page' = 'call',
  ): MaybePromise<number> {
    const write = (): Promise<number> => {
      const open = this.#core.files.handle(handle);
      const at = open.flags.append && from === 'call' ? 'end' : offset;
      return this.#parts.contents.write(open, data, at, caller?.signal);
    };
    return withErrno(write, this.#failures.ofHandle('write', handle));
  }

  flush(id: HandleId, caller?: Caller): MaybePromise<void> {
    const flush = (): MaybePromise<void> => {
      const handle = this.#core.files.handle(id);
      if (!handle.flags.write) return;
      const flushed = withLosses(handle, () => this.uploader.flush(handle.state));
      return orAborted(flushed, caller?.signal);
    };
    return withErrno(flush, this.#failures.ofHandle('flush', id));
  }

  fsync(id: HandleId): MaybePromise<void> {
    const sync = () => {
      const handle = this.#core.files.handle(id);
      return withLosses(handle, () => makeDurable(this.#core, handle.state, 'synced'));
    };
    return withErrno(sync, this.#failures.ofHandle('fsync', id));
  }

  fsyncDirectory(directory: Ino, caller?: Caller): MaybePromise<void> {
    const sync = (): MaybePromise<void> => {
      directoryOf(this.#core, directory);
      const { metadata } = this.#core;
      return metadata === undefined ? undefined : orAborted(this.#storeMetadata(metadata), caller?.signal);
    };
    return withErrno(sync, this.#failures.of('fsyncDirectory', directory));
  }

  /** Makes the metadata durable here. If the service cannot take it now, it is written there later, as contents are with write-back. */
  async #storeMetadata({ store }: AccountMetadata): Promise<void> {
    await this.#core.state.durable();
    await store.sync();
  }

  release(id: HandleId): Promise<void> {
    return this.#parts.handles.release(id);
  }

  fallocate(id: HandleId, allocation: Allocation): MaybePromise<void> {
    const make = () => this.#parts.resizing.fallocate(this.#core.files.handle(id), allocation);
    return withErrno(make, this.#failures.ofHandle('fallocate', id));
  }

  seek(id: HandleId, offset: number, whence: 'data' | 'hole'): number {
    const seek = (): number => {
      const handle = this.#core.files.handle(id);
      return this.#parts.resizing.seek(handle, this.getattr(handle.state.ino).size, offset, whence);
    };
    return withErrnoSync(seek, this.#failures.ofHandle('seek', id));
  }

  copyRange(
    from: HandleId,
    fromOffset: number,
    to: HandleId,
    toOffset: number,
    length: number,
    caller?: Caller,
  ): MaybePromise<number> {
    const range = { from, fromOffset, to, toOffset, length };
    const copy = () => this.#parts.copying.copyRange(range, withDeadline(this.#core, caller));
    return withErrno(copy, this.#failures.ofHandle('copyRange', to));
  }

  mkdir(parent: Ino, name: string, mode: number, caller?: Caller): MaybePromise<Attributes> {
    const make = () => this.#parts.namespace.mkdir(parent, name, mode, this.#parts.lookups.withDeadline(caller));
    return withErrno(make, this.#failures.of('mkdir', parent, name));
  }

  symlink(parent: Ino, name: string, target: Uint8Array, caller?: Caller): MaybePromise<Attributes> {
    const make = () => this.#parts.specials.symlink(parent, name, target, this.#parts.lookups.withDeadline(caller));
    return withErrno(make, this.#failures.of('symlink', parent, name));
  }

  readlink(ino: Ino): Uint8Array {
    return withErrnoSync(() => this.#parts.specials.readlink(ino), this.#failures.of('readlink', ino));
  }

  mknod(parent: Ino, name: string, { kind, mode, rdev }: NewNode, caller?: Caller): MaybePromise<Attributes> {
    const called = this.#parts.lookups.withDeadline(caller);
    const make = () =>
      kind === 'file'
        ? this.#parts.handles.makeFile(parent, name, mode, called)
        : this.#parts.specials.mknod(parent, name, { kind, mode, rdev }, called);
    return withErrno(make, this.#failures.of('mknod', parent, name));
  }

  link(ino: Ino, parent: Ino, name: string, caller?: Caller): MaybePromise<Attributes> {
    const link = () => this.#parts.links.link(ino, parent, name, this.#parts.lookups.withDeadline(caller));
    return withErrno(link, this.#failures.of('link', parent, name));
  }

  unlink(parent: Ino, name: string, caller?: Caller): MaybePromise<void> {
    const unlink = () => this.#parts.namespace.unlink(parent, name, this.#parts.lookups.withDeadline(caller));
    return withErrno(unlink, this.#failures.of('unlink', parent, name));
  }

  rmdir(parent: Ino, name: string, caller?: Caller): MaybePromise<void> {
    const remove = () => this.#parts.namespace.rmdir(parent, name, this.#parts.lookups.withDeadline(caller));
    return withErrno(remove, this.#failures.of('rmdir', parent, name));
  }

  rename(
    parent: Ino,
    name: string,
    newParent: Ino,
    newName: string,
    flags: RenameFlags,
    caller?: Caller,
  ): MaybePromise<void> {
    const rename = () =>
      this.#parts.renaming.rename(parent, name, newParent, newName, flags, this.#parts.lookups.withDeadline(caller));
    return withErrno(rename, this.#failures.of('rename', parent, name));
  }

  statfs(): StatFs {
    return withErrnoSync(() => this.#parts.space.statfs(), this.#failures.of('statfs', this.root));
  }

  /** The latest known quota; null if the provider has none. */
  quota(): Quota | null {
    return this.#parts.space.quota;
  }

  getxattr(ino: Ino, name: string): Uint8Array | undefined {
    return withErrnoSync(() => this.#parts.xattrs.get(ino, name), this.#failures.of('getxattr', ino));
  }

  setxattr(ino: Ino, name: string, value: Uint8Array, change: XattrChange): void {
    withErrnoSync(() => this.#parts.xattrs.set(ino, name, value, change), this.#failures.of('setxattr', ino));
  }

  listxattr(ino: Ino, caller?: Caller): readonly string[] {
    return withErrnoSync(() => this.#parts.xattrs.list(ino, caller), this.#failures.of('listxattr', ino));
  }

  removexattr(ino: Ino, name: string): void {
    withErrnoSync(() => this.#parts.xattrs.remove(ino, name), this.#failures.of('removexattr', ino));
  }

  countsReferences(isReferenced: (ino: Ino) => boolean): void {
    this.#core.files.isReferenced = isReferenced;
  }

  forgotten(ino: Ino): void {
    this.#parts.handles.forgotten(ino);
  }

  onInvalidate(listener: (what: Invalidation) => void): () => void {
    return this.#parts.invalidations.subscribe(listener);
  }

  invalidate(what: Invalidation): void {
    this.#parts.invalidations.send(what);
  }

  listingChanged(directory: Ino, changes: SeenChanges): void {
    for (const ino of changes.lost) this.#parts.relocation.locate(ino);
    this.#parts.invalidations.listingChanged(directory, changes);
  }

  /** Paths of the files that are open for writing and so block an unmount. */
  writers(): string[] {
    return writersOf(this.#core, this.root);
  }
}
