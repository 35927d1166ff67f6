/**
 * The in-memory state of files that are open or not stored yet.
 *
 * Invariant: a `FileState` exists while a handle is open or a spool file is not stored. The content of the inode is at
 * any time either the spool file (`spool` set; newer than the provider's) or the revision that each handle is pinned to.
 */
import { setMaxListeners } from 'node:events';
import { DescriptorReserve } from '../../base/descriptors.js';
import { InUse } from '../../base/in-use.js';
import { Mutex } from '../../base/mutex.js';
import type { Timespec } from '../../base/timespec.js';
import { noReadAhead, type ReadAheadState } from '../../cache/read-ahead.js';
import type { RevisionReader } from '../../cache/revision-reader.js';
import type { RemoteFile } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import type { BackingFile } from '../../spool/backing-file.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import type { WriteDetector } from '../../spool/write-detector.js';
import type { Ino } from '../../tree/inode.js';
import type { HandleId, OpenFlags } from '../api.js';
import { ReadFailures } from './deadlines.js';
import { FsError } from './fs-error.js';
import type { Intent } from './replace-intent.js';

/** An upload under way. */
export interface ActiveUpload {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  /** Callers of close() that wait for the result. With waiters, writes wait for the upload; without, a write cancels it. */
  waiters: number;
}

/**
 * A removed file that is still open, and the journal's intent for it. It has another name at the provider until its last
 * close (NFS calls this a silly rename; removed-while-open.ts).
 */
export interface MovedFile {
  readonly intent: Intent;
  /** The file under its temporary name. */
  readonly file: RemoteFile;
}

/** The same at a provider that cannot move files: the file stays where it is. */
export interface UnmovedFile {
  readonly file: RemoteFile;
  /** The file is removed after the last close. False: another file has its name and will be stored as its new version. */
  readonly goesAfterwards: boolean;
  /** The journal row of that removal; null: none is due, so far. */
  row: number | null;
}

export type AsideFile = MovedFile | UnmovedFile;

export class FileState {
  readonly ino: Ino;
  readonly handles = new Set<Handle>();
  spool: SpoolFile | null = null;
  /** Name of the spool file in its directory. */
  spoolName = '';
  /** The backing file that the kernel uses for the content (passthrough). */
  backing: BackingFile | null = null;
  /** Detects writes that the kernel makes to the spool file by itself (passthrough-writes.ts). */
  writeDetector: WriteDetector | null = null;
  /** CRC-32 of each block of the spool file, from the time when it belonged to the cache. Null: it never did. */
  cacheCrcs: readonly number[] | null = null;
  /** Mappings that may have outlived all descriptors, and are still watched (mappings.ts). */
  lingeringMappings = 0;
  /** A program may go on writing to the spool file after the mount ends: only the next mount can store it. */
  isLeftToNextMount = false;
  /** The spool holds changes that no upload has stored. */
  dirty = false;
  /** Bytes were written since the content was last created, emptied or stored. */
  written = false;
  /** When the content was last changed through this mount. The inode row gets it when the content is stored or synced. */
  mtime: Timespec | null = null;
  activeUpload: ActiveUpload | null = null;
  /** Bytes of the current upload that the provider has accepted. */
  sent = 0;
  /** The file has no name any more: its content is never stored. */
  unlinked = false;
  /** It never had a name (O_TMPFILE), and link(2) may give it its first. */
  isUnnamed = false;
  /** The revision at the time when the name was removed. */
  lastRevision: RemoteFile | null = null;
  /** The file's place at the provider, for its readers, after its name was removed. */
  aside: AsideFile | null = null;
  /** Calls that use this state without an open handle: it must not be forgotten meanwhile. */
  readonly byNameCalls = new InUse();
  /** Content is being fetched for open handles: it must not be dropped meanwhile. */
  readonly fetching = new InUse();
  /** Writes to the spool file in progress. An upload waits for them, and new ones wait for the upload. */
  readonly pendingChanges = new InUse();
  /** The name is being removed for good. An open waits for the outcome, as it might find no content to read. */
  readonly removal = new InUse();
  /** Held while the name changes (rename, unlink). No upload begins then, because its destination is not known. */
  readonly nameLock = new Mutex();
  /** A close() or fsync() has answered that the content is safe. */
  promised = false;
  /** MD5 of each content that began to be uploaded, with an unknown result: a file found at the provider may be one of them. */
  readonly attempts = new Set<string>();
  /** The spool file is being created; several writers share the work. */
  spoolCreation: Promise<void> | null = null;
  /** Reads the bytes that the spool file still takes from its base. */
  baseReader: RevisionReader | null = null;
  /** Increases with every change of the content. */
  generation = 0;
  /** The generation whose upload was refused. It is retried only on request. */
  failedGeneration = -1;
  /** The generation that the journal row describes. */
  journaledGeneration = -1;
  /** The generation that is durable on the local disk. */
  durableGeneration = -1;

  constructor(ino: Ino) {
    this.ino = ino;
  }

  /** Was it opened or changed through this mount? */
  get isTouched(): boolean {
    return this.handles.size > 0 || this.generation > 0;
  }

  /** Does the kernel write to the spool file by itself, for any handle? */
  hasPassthroughWriters(): boolean {
    for (const { flags, backing } of this.handles) if (flags.write && backing !== null) return true;
    return false;
  }

  /** Can a program have a writable mapping of the spool file? */
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
  /** The revision that reads return while the state has no spool file. Null for a file that was never stored. */
  pinned: RemoteFile | null;
  /** Reads `pinned`. Created at the first read. */
  reader: RevisionReader | null = null;
  readAhead: ReadAheadState = noReadAhead;
  /** Lets the kernel's requests of one read(2) fail together. */
  readonly readFailures = new ReadFailures();
  /** A program has seen bytes of `pinned`: the handle can no longer switch to another revision. */
  hasRead = false;
  /** The kernel reads this file (for a writer: writes it) instead of asking us. We keep it identical to the content. */
  backing: BackingFile | null = null;
  /** The backing file that the kernel maps for this handle, while reads and writes of the handle come to us. */
  mapped: BackingFile | null = null;
  /**
   * Reads keep returning `pinned`, whatever others write: the content now has a base other than the revision that this
   * handle has shown.
   */
  isOnOldRevision = false;
  /** Wrong bytes of `pinned` may have been shown. Reads fail from now on, so that no program takes the whole for right. */
  isCorrupt = false;
  /** The provider had another revision than `pinned`, and its bytes may have been taken for this one's. The next read asks the provider. */
  isOutdated = false;

  /** The process that opened it, if the binding knows. */
  readonly opener: number | undefined;
  /** Failed syncs of a spool file that the program was told of, or that came before this handle was opened. */
  #heard: { readonly spool: SpoolFile; readonly losses: number } | null = null;
  #isClosed = false;
  #closing: AbortController | null = null;

  constructor(id: HandleId, state: FileState, flags: OpenFlags, pinned: RemoteFile | null, opener?: number) {
    this.id = id;
    this.opener = opener;
    this.state = state;
    this.flags = flags;
    this.pinned = pinned;
    this.hearsOfLoss();
  }

  /**
   * Has the disk failed to store the content since this handle was opened, or since the last call? Each open file is told once, as on a
   * local disk, even if a later sync through another one has succeeded.
   */
  hearsOfLoss(): boolean {
    const { spool } = this.state;
    if (spool === null) return false;
    const heard = this.#heard?.spool === spool ? this.#heard.losses : 0;
    this.#heard = { spool, losses: spool.losses };
    return spool.losses > heard;
  }

  /** Aborts when the handle is closed, which ends read-ahead. Created on demand: most handles never read ahead. */
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

/**
 * Does the handle still read an older revision that is longer than the file is now? The kernel would end its reads at the present size,
 * and its program would take a part for the whole.
 */
export function isCutShort({ state, pinned, hasRead, isOnOldRevision }: Handle, size: number): boolean {
  return hasRead && pinned !== null && pinned.size > size && (state.spool === null || isOnOldRevision);
}

/** Can the program have mapped the backing file writable? A write-only descriptor cannot be mapped. */
export function mayMapToWrite({ mapped, flags }: Handle): boolean {
  return mapped !== null && flags.read && flags.write;
}

/** The revision that programs with the file open have seen. */
export function shownRevision({ handles }: FileState): RemoteFile | null {
  for (const { hasRead, isOnOldRevision, pinned } of handles) if (hasRead && !isOnOldRevision) return pinned;
  return null;
}

/** Does another handle of the file still read an older version than this handle must see? */
export function hasReadersOfOlder({ state, pinned }: Handle): boolean {
  for (const other of state.handles) {
    if (!other.hasRead || other.pinned === null) continue;
    if (other.isOnOldRevision) return true;
    if (state.spool === null && pinned !== null && !isSameRevision(other.pinned, pinned)) return true;
  }
  return false;
}

/**
 * Can this handle switch to another revision than the one it was opened for? Not if a program has seen that one, through
 * any handle: all handles share the kernel's pages of the file.
 */
export function mayRepin(handle: Handle): boolean {
  const { pinned, state } = handle;
  if (pinned === null || handle.hasRead || handle.isCorrupt) return false;
  return ![...state.handles].some((other) => other.hasRead && isPinnedTo(other, pinned));
}

/**
 * The handles that must switch together with this one. Otherwise they would fill the shared pages from the old revision.
 */
export function pinnedAlike({ pinned, state }: Handle): Handle[] {
  if (pinned === null) return [];
  return [...state.handles].filter((other) => !other.isOnOldRevision && isPinnedTo(other, pinned));
}

function isPinnedTo({ pinned }: Handle, file: RemoteFile): boolean {
  return pinned !== null && isSameRevision(pinned, file);
}

export class OpenFiles {
  /** Does the kernel still reference the object? Until it forgets the object, a program may open it. */
  isReferenced: (ino: Ino) => boolean = () => false;
  /** Bytes of contents that services have accepted since the mount began. */
  sentBytes = 0;
  readonly #states = new Map<Ino, FileState>();
  readonly #handles = new Map<HandleId, Handle>();
  /** Files without an open handle that may still have pages in the kernel. */
  readonly #shown = new Set<Ino>();
  readonly #descriptors: DescriptorReserve;
  #nextHandle = 1;

  constructor(descriptors = new DescriptorReserve()) {
    this.#descriptors = descriptors;
  }

  /** ENFILE if so many files are open that this process could no longer store them. */
  requireDescriptors(): void {
    if (this.#descriptors.isReached(this.#handles.size))
      throw new FsError('ENFILE', `${this.#handles.size} files are open, and the mount may open no more: ulimit -n`);
  }

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

  /** EBADF if there is none. */
  handle(id: HandleId): Handle {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new FsError('EBADF', `handle ${id} is not open`);
    return handle;
  }

  /**
   * Records an open. With `keepsPages` the kernel keeps the pages of an earlier open. These count as read, because the
   * kernel will not ask for them again.
   */
  noteOpened(handle: Handle, keepsPages: boolean): void {
    const { ino } = handle.state;
    if (keepsPages && this.#shown.has(ino)) handle.hasRead = true;
    if (!keepsPages) this.#shown.delete(ino);
  }

  close(handle: Handle): void {
    if (handle.hasRead || handle.flags.write) this.#shown.add(handle.state.ino);
    this.#handles.delete(handle.id);
    handle.state.handles.delete(handle);
    // The bytes that this handle read are in the shared pages: programs may have seen them through the other handles without a request.
    if (handle.hasRead) for (const other of pinnedAlike(handle)) other.hasRead = true;
  }

  /**
   * Runs `act`, which changes the names of these files. Nothing else changes their names meanwhile, and no upload of
   * them begins.
   */
  async withNameLocks<T>(inos: readonly Ino[], act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    // All callers lock in the same order, so that two of them cannot deadlock.
    const [first, ...rest] = [...new Set(inos)].sort((a, b) => a - b);
    if (first === undefined) return act();
    const state = this.ensureState(first);
    try {
      return await state.nameLock.run(() => this.withNameLocks(rest, act, signal), signal);
    } finally {
      this.forgetIfUnused(state);
    }
  }

  /**
   * Runs `act` on the state of a file that may have no open handle. The state stays alive meanwhile; otherwise an open
   * would create a second one.
   */
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
