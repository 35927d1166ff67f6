/**
 * Opens and closes files: decides which revision a handle sees, whether the kernel may keep its pages of the file, and what happens to a
 * content after its last close.
 */
import { type Ino, type Inode, isSpecial, remoteFileOf } from '../tree/inode.js';
import type { Attributes, Caller, HandleId, OpenFlags, OpenResult } from './api.js';
import type { Contents } from './content/contents.js';
import type { Mappings } from './content/mappings.js';
import { isAllHere, openable } from './content/opening.js';
import type { Passthrough } from './content/passthrough.js';
import type { Resizing } from './content/resizing.js';
import { alignRevision, mayKeepPages, pin } from './content/revisions.js';
import { orAborted } from './core/abortable.js';
import { type Core, directoryOf, inodeOf, requireWritable } from './core/core.js';
import { FsError } from './core/fs-error.js';
import { type FileState, hasReadersOfOlder, isCutShort } from './core/open-files.js';
import { createFile, type NewFile } from './names/creating.js';
import type { Namespace } from './names/namespace.js';
import type { Uploader } from './uploads/uploader.js';

/** The parts that an open or a close needs. */
export interface HandlesOptions {
  readonly namespace: Namespace;
  readonly contents: Contents;
  readonly resizing: Resizing;
  readonly passthrough: Passthrough;
  readonly mappings: Mappings;
  readonly uploader: Uploader;
}

export class Handles {
  readonly #core: Core;
  readonly #o: HandlesOptions;
  /** Files with changes made elsewhere since their last open: the kernel's pages of them are outdated. */
  readonly #outdated = new Set<Ino>();

  constructor(core: Core, options: HandlesOptions) {
    this.#core = core;
    this.#o = options;
  }

  /** The kernel's pages of the file are outdated: the next open drops them. */
  noteOutdated(ino: Ino): void {
    this.#outdated.add(ino);
  }

  /**
   * The attributes for fstat(2). ESTALE for a handle that reads an older, longer revision: the kernel asks before a read beyond the size.
   */
  attributes(inode: Inode, handle?: HandleId): Attributes {
    const attributes = this.#o.namespace.attributes(inode);
    if (attributes.uncacheable && handle !== undefined && isCutShort(this.#core.files.handle(handle), attributes.size))
      throw new FsError('ESTALE', 'the file was shortened at the provider since it was opened');
    return attributes;
  }

  async open(ino: Ino, flags: OpenFlags, caller?: Caller): Promise<OpenResult> {
    this.#core.files.requireDescriptors();
    const { parent } = openable(this.#core, ino, flags);
    // Close-to-open: an open sees what the provider had no longer than the ttl ago.
    if (parent !== null) await orAborted(this.#core.directories.ensureListed(parent, caller), caller?.signal);
    // While its name is being removed, only a content that is completely here is sure to stay readable.
    for (let at = this.#core.files.state(ino); at?.removal.isBusy; at = this.#core.files.state(ino)) {
      if (isAllHere(this.#core, at)) break;
      await orAborted(at.removal.idle(), caller?.signal);
    }
    // O_RDONLY | O_TRUNC: no close of a writer will store the empty content, so it is stored now, as by truncate(2).
    if (flags.truncate && !flags.write) await this.#o.resizing.resize(ino, 0, {}, caller?.signal);
    const inode = openable(this.#core, ino, flags);
    const state = this.#core.files.ensureState(ino);
    const isRemoved = state.unlinked || state.removal.isBusy;
    const pinned = remoteFileOf(inode) ?? (state.unlinked ? state.lastRevision : null);
    const handle = this.#core.files.open(state, flags, pinned, caller?.pid);
    alignRevision(this.#core, handle);
    try {
      if (isRemoved) await this.#o.contents.makeChangeable(state, handle);
      if (flags.truncate && flags.write) await this.#o.resizing.truncate(state, handle, 0, caller?.signal);
    } catch (error) {
      await this.release(handle.id);
      throw error;
    }
    const isKept = mayKeepPages(this.#core, handle);
    const bypassesPageCache = hasReadersOfOlder(handle);
    // The pages of the older version are dropped at the next ordinary open.
    if (bypassesPageCache) this.#outdated.add(ino);
    const passthroughWriters = state.writeDetector !== null;
    if (passthroughWriters) this.#outdated.add(ino);
    const keepCache = bypassesPageCache || (!this.#outdated.delete(ino) && isKept);
    if (!bypassesPageCache) this.#core.files.noteOpened(handle, keepCache);
    return { handle: handle.id, keepCache, bypassesPageCache, passthroughWriters };
  }

  async create(
    parent: Ino,
    name: string | null,
    mode: number,
    flags: OpenFlags,
    caller?: Caller,
  ): Promise<OpenResult & { readonly attributes: Attributes }> {
    const { table } = this.#core;
    if (name === null) {
      const directory = directoryOf(this.#core, parent);
      requireWritable(this.#core);
      if (directory.parent === null && !table.isRoot(directory))
        throw new FsError('ENOENT', 'the directory is removed');
      return this.#create({ directory: parent, name, mode }, flags, caller);
    }
    await this.#o.namespace.requireFits(parent, name, caller);
    // No `await` from here to the insertion: if two calls create one name at once, the second finds it.
    const existing = table.child(parent, name);
    if (existing !== undefined) {
      if (flags.exclusive) throw new FsError('EEXIST', `${name} exists`);
      // It was made since the kernel looked. The kernel opens such entries itself, so it must look again.
      if (isSpecial(existing)) throw new FsError('ESTALE', `${name} is not a file`);
      const opened = await this.open(existing.ino, flags, caller);
      return { ...opened, attributes: this.attributes(inodeOf(this.#core, existing.ino)) };
    }
    return this.#create({ directory: parent, name, mode }, flags, caller);
  }

  async #create(
    file: NewFile,
    flags: OpenFlags,
    caller?: Caller,
  ): Promise<OpenResult & { readonly attributes: Attributes }> {
    this.#core.files.requireDescriptors();
    const state = await createFile(this.#core, this.#o.namespace, this.#o.contents, file, caller);
    const handle = this.#core.files.open(state, flags, null, caller?.pid);
    return { handle: handle.id, keepCache: false, attributes: this.attributes(inodeOf(this.#core, state.ino)) };
  }

  /** mknod(2) of a regular file: creates an empty file and stores it, as the last close would. */
  async makeFile(parent: Ino, name: string, mode: number, caller?: Caller): Promise<Attributes> {
    const flags = { read: false, write: true, append: false, truncate: false, exclusive: true };
    const { handle, attributes } = await this.create(parent, name, mode, flags, caller);
    try {
      await orAborted(this.#o.uploader.flush(this.#core.files.handle(handle).state), caller?.signal);
    } finally {
      await this.release(handle);
    }
    return attributes;
  }

  async release(id: HandleId): Promise<void> {
    const { files, log } = this.#core;
    try {
      const handle = files.handle(id);
      const { state } = handle;
      handle.close();
      files.close(handle);
      if (handle.reader?.isYoung) this.#outdated.add(state.ino);
      pin(this.#core, handle, null);
      this.#o.mappings.watchAfterClose(handle);
      if (this.#o.passthrough.closeBacking(handle)) await this.writersGone(state);
      else if (state.handles.size === 0) await this.#closed(state);
    } catch (error) {
      log.error({ error }, 'release');
    }
  }

  /** Called when the kernel no longer writes to the backing file of the file, and all its writes are known. */
  async writersGone(state: FileState): Promise<void> {
    this.#outdated.add(state.ino);
    this.#o.uploader.released(state);
    if (state.handles.size === 0) await this.#closed(state);
  }

  /** The last handle is closed. */
  async #closed(state: FileState): Promise<void> {
    // A mapping may remain; its end calls this again.
    if (state.hasMappings()) return;
    await this.#o.contents.discardUnchanged(state);
    if (state.unlinked) this.#o.contents.abandon(state);
    this.#o.uploader.released(state);
    if (state.activeUpload === null) await state.spool?.close();
    this.#core.files.forgetIfUnused(state);
  }

  /** The kernel has forgotten an object. A removed file that it could still open until now is gone for good. */
  forgotten(ino: Ino): void {
    const state = this.#core.files.state(ino);
    if (state?.unlinked !== true || state.handles.size > 0) return;
    this.#closed(state).catch((error) => this.#core.log.error({ error }, 'the end of a removed file'));
  }
}
