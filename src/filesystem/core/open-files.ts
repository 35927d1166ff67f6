/**
 * What is in memory about files that are open or not stored yet.
 *
 * A `FileState` exists while a handle is open or a spool file is not stored. At any time the content of the inode is
 * either the spool's (`spool` set; newer than the provider's) or the revision that each handle is pinned to.
 */
import { setMaxListeners } from 'node:events';
import { InUse } from '../../base/in-use.js';
import { Mutex } from '../../base/mutex.js';
import type { Timespec } from '../../base/timespec.js';
import { noReadAhead, type ReadAheadState } from '../../cache/read-ahead.js';
import type { RevisionReader } from '../../cache/revision-reader.js';
import { type RemoteFile, revisionKey } from '../../providers/provider.js';
import type { BackingFile } from '../../spool/backing-file.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { WriteWatch } from '../../spool/write-watch.js';
import type { Ino } from '../../tree/inode.js';
import type { HandleId, OpenFlags } from '../api.js';
import { ReadFailures } from './deadlines.js';
import { FsError } from './fs-error.js';
import type { Intent } from './replace-intent.js';

/** An upload under way. */
export interface ActiveUpload {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  /** Callers of close() that wait for the verdict. While there are any, writes wait; else writes cancel the upload. */
  waiters: number;
  /** Cancelled for a change of the name, and to begin anew after it. */
  isSuspended: boolean;
}

/** A file that has stepped aside at the provider until its last close, and the word in the journal about it (removed-while-open.ts). */
export interface AsideFile {
  readonly intent: Intent;
  /** As it is there. */
  readonly file: RemoteFile;
}

export class FileState {
  readonly ino: Ino;
  readonly handles = new Set<Handle>();
  spool: SpoolFile | null = null;
  /** Name of the spool file in its directory. */
  spoolName = '';
  /** The spool file, as it is lent to those who read it directly. */
  backing: BackingFile | null = null;
  /** Looks at the spool file while programs may write to it by themselves (passthrough-writes.ts). */
  watch: WriteWatch | null = null;
  /** CRC-32 of the blocks of the spool file as the cache gave it away; null: it never had it. */
  cacheCrcs: readonly number[] | null = null;
  /** Mappings that may have outlived all descriptors, and are looked at (mappings.ts). */
  lingeringMappings = 0;
  /** Who writes to the spool file by himself may do so for ever: it is for the next mount to store. */
  isLeftToNextMount = false;
  /** The spool holds changes that no upload has stored. */
  dirty = false;
  /** Bytes were written since the content was last made, emptied or stored. */
  written = false;
  /** When the content was last changed through this mount; the row learns of it when the content is stored or synced. */
  mtime: Timespec | null = null;
  activeUpload: ActiveUpload | null = null;
  /** Bytes of the present upload that the provider has accepted. */
  sent = 0;
  /** The name is gone: nothing is stored any more. */
  unlinked = false;
  /** The revision that it had when its name was taken away. */
  lastRevision: RemoteFile | null = null;
  /** Where its readers find it at the provider, after that. */
  aside: AsideFile | null = null;
  /** Calls that work on the file by name: it is not forgotten under their hands. */
  readonly byNameCalls = new InUse();
  /** Changes on their way to the spool file. An upload waits for them, and they for it. */
  readonly pendingChanges = new InUse();
  /** The name is being taken away for ever: an open that comes now may find nothing to read, so it waits. */
  readonly removal = new InUse();
  /** Held while the name changes (rename, unlink): no upload begins then, since nobody knows where it should go. */
  readonly nameLock = new Mutex();
  /** A close() or fsync() was told that the content is safe. */
  promised = false;
  /** MD5 of contents whose upload was begun and not seen to end: what is found at the provider may be one of them. */
  readonly attempts = new Set<string>();
  /** Making the spool file, when several writers come at once. */
  spoolCreation: Promise<void> | null = null;
  /** Reads what is still the base's. */
  baseReader: RevisionReader | null = null;
  /** Goes up with every change of the content. */
  generation = 0;
  /** The generation that was refused last: it is not tried again without being asked. */
  failedGeneration = -1;
  /** The generation that the journal row describes. */
  journaledGeneration = -1;
  /** The generation that is durable on the local disk. */
  durableGeneration = -1;

  constructor(ino: Ino) {
    this.ino = ino;
  }

  /** Has anybody opened or changed it through this mount? */
  get isTouched(): boolean {
    return this.handles.size > 0 || this.generation > 0;
  }

  /** Does anybody write to the spool file by himself? */
  hasPassthroughWriters(): boolean {
    for (const { flags, backing } of this.handles) if (flags.write && backing !== null) return true;
    return false;
  }

  /** May anybody have mapped the spool file, to write to it? */
  hasMappings(): boolean {
    if (this.lingeringMappings > 0) return true;
    for (const handle of this.handles) if (mayMapToWrite(handle)) return true;
    return false;
  }

  hasWriters(): boolean {
    for (const handle of this.handles) if (handle.flags.write) return true;
    return false;
  }
}

export class Handle {
  readonly id: HandleId;
  readonly state: FileState;
  readonly flags: OpenFlags;
  /** The revision that reads are of, while the state has no spool; null for a file that was never stored. */
  pinned: RemoteFile | null;
  /** Reads `pinned`; made at the first read. */
  reader: RevisionReader | null = null;
  readAhead: ReadAheadState = noReadAhead;
  /** Those of the kernel for one read(2) share a deadline. */
  readonly readFailures = new ReadFailures();
  /** Bytes of `pinned` were given to a program: another revision can no longer take its place. */
  hasRead = false;
  /** The kernel reads (or, for a writer, writes) this file by itself; it is kept the same as the content. */
  backing: BackingFile | null = null;
  /** What the kernel maps for this handle, whose reads and writes come here. */
  mapped: BackingFile | null = null;
  /** Reads go on from `pinned`, whatever others write: the content now has another base than what was read here. */
  isOnOldRevision = false;
  /** Wrong bytes of `pinned` may have been shown: it gives no more, so that nobody takes the whole for right. */
  isCorrupt = false;

  /** The process that opened it, where the binding knows. */
  readonly opener: number | undefined;
  #isClosed = false;
  #closing: AbortController | null = null;

  constructor(id: HandleId, state: FileState, flags: OpenFlags, pinned: RemoteFile | null, opener?: number) {
    this.id = id;
    this.opener = opener;
    this.state = state;
    this.flags = flags;
    this.pinned = pinned;
  }

  /** Fires when the handle is closed: read-ahead ends. Most handles read nothing ahead, and have none made. */
  get closing(): AbortSignal {
    if (this.#closing === null) {
      this.#closing = new AbortController();
      // Every request of the read-ahead listens to it.
      setMaxListeners(0, this.#closing.signal);
      if (this.#isClosed) this.#closing.abort();
    }
    return this.#closing.signal;
  }

  close(): void {
    this.#isClosed = true;
    this.#closing?.abort();
  }
}

/** May its program have mapped the backing file, to write to it? Nobody maps what he can only write. */
export function mayMapToWrite({ mapped: joined, flags }: Handle): boolean {
  return joined !== null && flags.read && flags.write;
}

/** The revision that was shown to those who have the file open. */
export function shownRevision({ handles }: FileState): RemoteFile | null {
  for (const { hasRead, isOnOldRevision, pinned } of handles) if (hasRead && !isOnOldRevision) return pinned;
  return null;
}

/** Do others who have the file open still read a version that is older than what this handle is to see? */
export function hasReadersOfOlder({ state, pinned }: Handle): boolean {
  for (const other of state.handles) {
    if (!other.hasRead || other.pinned === null) continue;
    if (other.isOnOldRevision) return true;
    if (state.spool === null && pinned !== null && revisionKey(other.pinned) !== revisionKey(pinned)) return true;
  }
  return false;
}

/**
 * May this handle go on with another revision than the one it was opened for? Not if that was shown, through it or through
 * another handle: all of them share the pages that the kernel keeps of the file.
 */
export function mayRepin(handle: Handle): boolean {
  const { pinned, state } = handle;
  if (pinned === null || handle.hasRead || handle.isCorrupt) return false;
  return ![...state.handles].some((other) => other.hasRead && isPinnedTo(other, pinned));
}

/** Those who must move with it, lest they fill the pages that it shares with them from the old revision. */
export function pinnedAlike({ pinned, state }: Handle): Handle[] {
  if (pinned === null) return [];
  return [...state.handles].filter((other) => !other.isOnOldRevision && isPinnedTo(other, pinned));
}

function isPinnedTo({ pinned }: Handle, file: RemoteFile): boolean {
  return pinned !== null && revisionKey(pinned) === revisionKey(file);
}

export class OpenFiles {
  /** Will the kernel say when it forgets the object? Until then it may be opened. */
  isReferenced: (ino: Ino) => boolean = () => false;
  readonly #states = new Map<Ino, FileState>();
  readonly #handles = new Map<HandleId, Handle>();
  /** Files of which the kernel may have pages although nobody has them open. */
  readonly #shown = new Set<Ino>();
  #nextHandle = 1;

  state(ino: Ino): FileState | undefined {
    return this.#states.get(ino);
  }

  states(): Iterable<FileState> {
    return this.#states.values();
  }

  ensureState(ino: Ino): FileState {
    let state = this.#states.get(ino);
    if (state === undefined) {
      state = new FileState(ino);
      this.#states.set(ino, state);
    }
    return state;
  }

  open(state: FileState, flags: OpenFlags, pinned: RemoteFile | null, opener?: number): Handle {
    const handle = new Handle(this.#nextHandle++, state, flags, pinned, opener);
    this.#handles.set(handle.id, handle);
    state.handles.add(handle);
    return handle;
  }

  /** EBADF where there is none. */
  handle(id: HandleId): Handle {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new FsError('EBADF', `handle ${id} is not open`);
    return handle;
  }

  /** At an open: `keepsPages` of the kernel's that an earlier one left. What they hold counts as read: nobody will ask for it. */
  noteOpened(handle: Handle, keepsPages: boolean): void {
    const { ino } = handle.state;
    if (keepsPages && this.#shown.has(ino)) handle.hasRead = true;
    if (!keepsPages) this.#shown.delete(ino);
  }

  close(handle: Handle): void {
    if (handle.hasRead || handle.flags.write) this.#shown.add(handle.state.ino);
    this.#handles.delete(handle.id);
    handle.state.handles.delete(handle);
    // What it read is in the pages that it shared: the others may have been shown it without a word.
    if (handle.hasRead) for (const other of pinnedAlike(handle)) other.hasRead = true;
  }

  /** Runs a change of the names of some files; nothing else changes their names, and no upload of them begins. */
  async withNameLocks<T>(inos: readonly Ino[], act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    // In one order for all, so that two who want the same files do not wait for each other for ever.
    const [first, ...rest] = [...new Set(inos)].sort((a, b) => a - b);
    if (first === undefined) return act();
    const state = this.ensureState(first);
    try {
      return await state.nameLock.run(() => this.withNameLocks(rest, act, signal), signal);
    } finally {
      this.forgetIfUnused(state);
    }
  }

  /** Works on a file that may have no open handle. Were its state forgotten meanwhile, an open would make another. */
  async byName<T>(ino: Ino, act: (state: FileState) => Promise<T>): Promise<T> {
    const state = this.ensureState(ino);
    try {
      return await state.byNameCalls.during(() => act(state));
    } finally {
      this.forgetIfUnused(state);
    }
  }

  /** Forgets a state that nothing needs any more. */
  forgetIfUnused(state: FileState): void {
    const isNeeded =
      state.handles.size > 0 || state.spool !== null || state.nameLock.isBusy || state.byNameCalls.isBusy;
    const isAwaited = state.unlinked && this.isReferenced(state.ino);
    if (!isNeeded && !isAwaited && this.#states.get(state.ino) === state) {
      this.#states.delete(state.ino);
    }
  }

  /** Open handles, and those among them that may write. */
  counts(): { readonly open: number; readonly writers: number } {
    let writers = 0;
    for (const handle of this.#handles.values()) if (handle.flags.write) writers++;
    return { open: this.#handles.size, writers };
  }

  handles(): Iterable<Handle> {
    return this.#handles.values();
  }
}
