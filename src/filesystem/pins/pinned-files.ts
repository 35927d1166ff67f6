/**
 * Follows the tree: which files are pinned now, and which revision of each must be here. When a row changes, this looks at the row again,
 * a moment later and a few rows at a time.
 *
 * Invariant: a file that was looked at and is covered by a pin has its latest known revision pinned in the cache. It has a job if bytes
 * of it are missing. Nothing of any other file is pinned.
 */
import { Pieces, turn } from '../../base/event-loop-turns.js';
import { idOfRevision, type RemoteFile, revisionKey } from '../../providers/provider.js';
import { type Ino, type Inode, remoteFileOf } from '../../tree/inode.js';
import type { Core } from '../core/core.js';
import { type PinCounts, PinSum } from './pin-counts.js';
import type { Job, PinWork } from './pin-work.js';

/** How long after a change its row is looked at, ms: a change of names often comes with others, and a stored file moves to the cache. */
const SETTLE_MS = 100;
/** Names of a directory that are read at a time. */
const NAMES_AT_A_TIME = 500;
/**
 * Files that are looked at between two turns of the event loop. Each needs a look into the cache's index, and a file that is new to the
 * pins changes the index: some 100 µs, on a busy machine 500.
 */
const FILES_PER_TURN = 25;

/** A pinned file. */
export interface PinnedFile {
  /** Null: its content waits on this machine to be stored, so it is here. */
  readonly key: string | null;
  /** Bytes. */
  readonly size: number;
  /** The job that fetches it; null: all of it is here. */
  readonly job: Job | null;
}

export class PinnedFiles {
  readonly #core: Core;
  readonly #work: PinWork;
  readonly #files = new Map<Ino, PinnedFile>();
  /** The sum over `#files`: a person may look at it each second, and there may be a hundred thousand files. */
  readonly #sum = new PinSum();
  /** Pinned directories. */
  readonly #directories = new Set<Ino>();
  /** Directories that must be listed, for the first time or again. */
  readonly #listings = new Map<Ino, Job>();
  readonly #doubtful = new Set<Ino>();
  #looking: Promise<void> | null = null;
  readonly #closing: AbortSignal;

  constructor(core: Core, work: PinWork, closing: AbortSignal) {
    this.#core = core;
    this.#work = work;
    this.#closing = closing;
  }

  get files(): ReadonlyMap<Ino, PinnedFile> {
    return this.#files;
  }

  counts(): PinCounts {
    return this.#sum.result();
  }

  get directories(): ReadonlySet<Ino> {
    return this.#directories;
  }

  get listings(): ReadonlyMap<Ino, Job> {
    return this.#listings;
  }

  /** Call this when a row has changed: looks at the inode if the change is of interest. For `InodeTable.onContentChange`. */
  changed(ino: Ino, before: Inode | null, after: Omit<Inode, 'ino'>): void {
    const isMoved = before?.parent !== after.parent || before.furtherNames !== after.furtherNames;
    if (before === null || isMoved || contentOf(before) !== contentOf(after)) this.lookAt(ino);
  }

  /** Looks at an inode. If a directory came into or out of the pinned tree, also looks at everything below it. */
  lookAt(ino: Ino): void {
    if (this.#closing.aborted) return;
    this.#doubtful.add(ino);
    this.#looking ??= this.#look()
      .catch((error: unknown) => this.#core.log.error({ error }, 'looking after pinned files'))
      .finally(() => {
        this.#looking = null;
        // Changes that came while the last look ended.
        const [next] = this.#doubtful;
        if (next !== undefined) this.lookAt(next);
      });
  }

  /** Is this the revision of a pinned file that must be here? */
  wants(key: string): boolean {
    const ino = this.#core.table.byRemote('file', idOfRevision(key))?.ino;
    return ino !== undefined && this.#files.get(ino)?.key === key;
  }

  /** Resolves when no look is under way. */
  async settled(): Promise<void> {
    while (this.#looking !== null) await this.#looking;
  }

  /** Queues a listing of a directory, unless one waits already. */
  list(ino: Ino): void {
    if (!this.#closing.aborted && !this.#listings.has(ino)) this.#listings.set(ino, this.#work.add('list', ino));
  }

  /** Call this when a job has done its work. */
  done(job: Job): void {
    const { ino, act } = job;
    if (act === 'list') this.#listings.delete(ino);
    const file = this.#files.get(ino);
    // Otherwise the row has changed meanwhile, and there is another job.
    if (file?.job === job) this.#put(ino, { ...file, job: null });
  }

  /** Call this when a job has gone through so many bytes of its file. */
  progress(job: Job, bytes: number): void {
    if (this.#files.get(job.ino)?.job === job) this.#sum.fetched(bytes - job.bytes);
    job.bytes = bytes;
  }

  /** Call this when bytes that were here are gone, or wrong. */
  lost(ino: Ino): void {
    this.#release(ino);
    this.lookAt(ino);
  }

  async #look(): Promise<void> {
    const pieces = new Pieces(FILES_PER_TURN);
    await this.#core.clock.sleep(SETTLE_MS, this.#closing).catch(() => undefined);
    for (const ino of this.#doubtful) {
      if (this.#closing.aborted) return;
      // A set that grows meanwhile is iterated to its end.
      this.#doubtful.delete(ino);
      await this.#lookNow(ino, pieces);
      if (pieces.isFull()) await turn();
    }
  }

  async #lookNow(ino: Ino, pieces: Pieces): Promise<void> {
    const { table } = this.#core;
    const inode = table.peek(ino);
    const isPinned = inode !== undefined && table.pins.covers(table, ino);
    if (inode?.kind === 'directory') return await this.#lookAtDirectory(inode, isPinned, pieces);
    const file = inode === undefined ? null : remoteFileOf(inode);
    if (inode === undefined || !isPinned || (file === null && inode.localSize === null)) return this.#release(ino);
    if (inode.localSize !== null || file === null) this.#keep(ino, { key: null, size: inode.localSize ?? 0 });
    else this.#want(ino, file);
  }

  async #lookAtDirectory({ ino, remote, listedAt }: Inode, isPinned: boolean, pieces: Pieces): Promise<void> {
    const { table } = this.#core;
    const wasPinned = this.#directories.has(ino);
    if (isPinned) this.#directories.add(ino);
    else this.#directories.delete(ino);
    if (isPinned && remote !== null && listedAt === null) this.list(ino);
    const listing = this.#listings.get(ino);
    if (!isPinned && listing !== undefined) {
      this.#work.cancel(listing);
      this.#listings.delete(ino);
    }
    // Everything below comes or goes with the directory. Otherwise each row there tells of its own changes.
    if (isPinned === wasPinned) return;
    for (const link of table.further.after(ino, '', Number.MAX_SAFE_INTEGER)) this.#doubtful.add(link.ino);
    for (let last = ''; !this.#closing.aborted; ) {
      const names = table.namesAfter(ino, last, NAMES_AT_A_TIME);
      for (const [, child] of names) this.#doubtful.add(child);
      last = names.at(-1)?.[0] ?? '';
      if (names.length < NAMES_AT_A_TIME) return;
      if (pieces.isFull()) await turn();
    }
  }

  #want(ino: Ino, file: RemoteFile): void {
    const { cache } = this.#core.readers;
    const key = revisionKey(file);
    if (this.#files.get(ino)?.key === key) return;
    this.#release(ino);
    cache.pins.add(key, file.size);
    const { bytes, isConfirmed } = cache.present(key, file.size);
    const isHere = bytes === file.size && (file.md5 === null || file.size === 0 || isConfirmed);
    this.#put(ino, { key, size: file.size, job: isHere ? null : this.#work.add('fetch', ino) });
  }

  #keep(ino: Ino, { key, size }: Pick<PinnedFile, 'key' | 'size'>): void {
    this.#release(ino);
    this.#put(ino, { key, size, job: null });
  }

  #put(ino: Ino, file: PinnedFile): void {
    const before = this.#files.get(ino);
    if (before !== undefined) this.#sum.remove(before);
    this.#sum.add(file);
    this.#files.set(ino, file);
  }

  #release(ino: Ino): void {
    const file = this.#files.get(ino);
    if (file === undefined) return;
    this.#sum.remove(file);
    this.#files.delete(ino);
    if (file.job !== null) this.#work.cancel(file.job);
    if (file.key !== null) this.#core.readers.cache.pins.remove(file.key);
  }
}

/** The part of a row that makes a change interesting. */
function contentOf({ localSize, remote }: Pick<Inode, 'localSize' | 'remote'>): string | null {
  if (localSize !== null) return `${localSize}`;
  return remote?.kind === 'file' ? revisionKey(remote) : null;
}
