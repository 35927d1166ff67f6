/**
 * Pins: files and folders that are kept on this machine, whole and up to date, so that programs can read them without the service. An
 * object that comes into a pinned folder later is pinned with it, whoever puts it there.
 */

import { SyncmountError } from '../../base/errors.js';
import { forEachInTurns, Pieces, turn } from '../../base/event-loop-turns.js';
import { revisionKey } from '../../providers/provider.js';
import { type Ino, type Inode, isSpecial, remoteFileOf } from '../../tree/inode.js';
import { type Core, inodeOf, pathOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { atPath } from '../names/at-path.js';
import type { Namespace } from '../names/namespace.js';
import { type PinCounts, PinSum } from './pin-counts.js';
import { listingPauseMs } from './pin-policy.js';
import { type Job, PinWork } from './pin-work.js';
import { type PinnedFile, PinnedFiles } from './pinned-files.js';

export interface PinStatus extends PinCounts {
  /** Pinned files and folders. */
  readonly pins: number;
  /** Why nothing is fetched for now, or why a file is not here. */
  readonly problem?: string;
}

export interface PinListing extends PinCounts {
  /** From the mounted directory. */
  readonly path: string;
  readonly kind: 'file' | 'directory';
  readonly problem?: string;
}

interface LeftPlace {
  readonly ino: Ino;
  /** ms. */
  readonly at: number;
}

/** Paths that are looked up, or pinned, between two turns of the event loop: each takes some 100 µs, and `xargs` gives thousands at once. */
const PATHS_PER_TURN = 50;
/** How long after the rename of a pinned file a new file of its old name counts as its next version, ms. Windows uses the same time. */
const BACKUP_MS = 15_000;

export class Pins {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #root: Ino;
  readonly #work: PinWork;
  readonly #pinned: PinnedFiles;
  readonly #closing = new AbortController();
  #relisting: Promise<void> | null = null;
  /**
   * Places that pinned files and folders have left. The next object in such a place is pinned as well: most programs save a file as a new
   * one that takes its name, after they have removed the old one or renamed it to a backup.
   */
  readonly #leftPlaces = new Map<string, LeftPlace>();

  /** `root`: the mounted directory. */
  constructor(core: Core, namespace: Namespace, root: Ino) {
    this.#core = core;
    this.#namespace = namespace;
    this.#root = root;
    this.#work = new PinWork({
      clock: core.clock,
      log: core.log,
      run: (job, signal) => this.#run(job, signal),
      relist: (ino) => {
        const parent = core.table.get(ino)?.parent ?? null;
        if (parent !== null) this.#pinned.list(parent);
      },
    });
    this.#pinned = new PinnedFiles(core, this.#work, this.#closing.signal);
  }

  /** Takes up the pins of earlier mounts. If there are none, nothing is done from here on. */
  start(): void {
    const { table, log } = this.#core;
    for (const ino of table.pins.all()) this.#pinned.lookAt(ino);
    if (!table.pins.isEmpty) this.#begin();
    this.#releaseEarlier().catch((error: unknown) => log.error({ error }, 'pins of an earlier mount'));
  }

  /**
   * Releases contents in the cache that no pin covers any longer, because the process died in between. There may be many contents and
   * many pins.
   */
  async #releaseEarlier(): Promise<void> {
    const { pins, counting } = this.#core.readers.cache;
    await counting.done;
    const earlier = pins.keys();
    await this.#pinned.settled();
    const wanted = new Set<string | null>();
    await forEachInTurns(this.#pinned.files.values(), ({ key }) => wanted.add(key));
    await forEachInTurns(earlier, (key) => {
      if (!wanted.has(key) && !this.#closing.signal.aborted && !this.#pinned.wants(key)) pins.remove(key);
    });
  }

  /** Pins the objects at these paths, which begin at the mounted directory. Returns how many were not pinned before. ENOENT, EINVAL. */
  async pin(paths: readonly string[]): Promise<number> {
    return await this.#changeAll(paths, (ino) => this.add(ino));
  }

  /** Returns how many were pinned. */
  async unpin(paths: readonly string[]): Promise<number> {
    return await this.#changeAll(paths, (ino) => this.remove(ino));
  }

  /** Changes nothing if one of the paths leads nowhere. Returns for how many `change` was true. */
  async #changeAll(paths: readonly string[], change: (ino: Ino) => boolean): Promise<number> {
    const inodes: Inode[] = [];
    const pieces = new Pieces(PATHS_PER_TURN);
    for (const path of paths) {
      inodes.push(await this.#at(path));
      if (pieces.isFull()) await turn();
    }
    let changed = 0;
    for (const { ino } of inodes) {
      if (change(ino)) changed++;
      if (pieces.isFull()) await turn();
    }
    await this.#core.state.durable();
    return changed;
  }

  /** False: it was pinned already. EINVAL for an object without content. */
  add(ino: Ino): boolean {
    const { table, clock } = this.#core;
    const inode = inodeOf(this.#core, ino);
    if (isSpecial(inode)) throw new FsError('EINVAL', `${inode.name} has no content`);
    const isNew = table.pins.add(ino, clock.now());
    this.#begin();
    this.#pinned.lookAt(ino);
    return isNew;
  }

  /** False: there was no pin of it. It may still be pinned with a folder above it. */
  remove(ino: Ino): boolean {
    const { table } = this.#core;
    const wasPinned = table.pins.remove(ino);
    if (wasPinned) this.#pinned.lookAt(ino);
    if (table.pins.isEmpty) table.onContentChange = null;
    return wasPinned;
  }

  /** Is it pinned, by itself or with a folder above it? */
  covers(ino: Ino): boolean {
    return this.#core.table.pins.covers(this.#core.table, ino);
  }

  /** The pins within the mounted directory. */
  async list(): Promise<PinListing[]> {
    const { table } = this.#core;
    const found = new Map<Ino, { readonly sum: PinSum; problem?: string }>();
    await forEachInTurns(table.pins.all(), (ino) => {
      if (table.isWithin(ino, this.#root)) found.set(ino, { sum: new PinSum() });
    });
    const note = (ino: Ino, job: Job | null, file?: PinnedFile): void => {
      for (const at of table.upwards(ino)) {
        const pin = found.get(at.ino);
        if (pin === undefined) continue;
        if (file !== undefined) pin.sum.add(file);
        if (job?.error != null) pin.problem ??= job.error;
      }
    };
    await forEachInTurns(this.#pinned.files, ([ino, file]) => note(ino, file.job, file));
    await forEachInTurns(this.#pinned.listings, ([ino, job]) => note(ino, job));
    const listings: PinListing[] = [];
    await forEachInTurns(found, ([ino, { sum, problem }]) => {
      const inode = table.get(ino);
      if (inode === undefined) return;
      const kind = inode.kind === 'directory' ? 'directory' : 'file';
      const path = pathOf(this.#core, ino, this.#root);
      listings.push({ path, kind, ...sum.result(), ...(problem === undefined ? {} : { problem }) });
    });
    return listings;
  }

  /** Null while nothing is pinned. The cost does not grow with the number of files. */
  status(): PinStatus | null {
    const { pins } = this.#core.table;
    if (pins.isEmpty) return null;
    const { problem } = this.#work;
    return { pins: pins.size, ...this.#pinned.counts(), ...(problem === null ? {} : { problem }) };
  }

  /** Call this when the content of a pinned file turned out to be wrong: it is fetched again. */
  corrupted(fileId: string): void {
    const ino = this.#core.table.byRemote('file', fileId)?.ino;
    if (ino !== undefined && this.#pinned.files.has(ino)) this.#pinned.lost(ino);
  }

  /** Ends the background work. Resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#core.table.onContentChange = null;
    this.#closing.abort(new SyncmountError('aborted', 'the mount ends'));
    await this.#work.close();
    await this.#pinned.settled();
    await this.#relisting;
  }

  #at(path: string): Promise<Inode> {
    return atPath(this.#core, this.#namespace, this.#root, path);
  }

  /** Something is pinned: follows changes from now on. */
  #begin(): void {
    const { table, provider } = this.#core;
    if (this.#closing.signal.aborted) return;
    table.onContentChange = (ino, before, after) => {
      if (before?.parent !== after.parent || before?.name !== after.name) this.#inherit(ino, before, after);
      this.#pinned.changed(ino, before, after);
    };
    if (provider.changes === undefined) this.#relisting ??= this.#revalidateListing();
  }

  #inherit(ino: Ino, before: Inode | null, after: Omit<Inode, 'ino'>): void {
    const { table, clock } = this.#core;
    const now = clock.now();
    if (before?.parent != null && table.pins.has(ino))
      this.#leftPlaces.set(`${before.parent}/${before.name}`, { ino, at: now });
    if (after.parent === null || this.#leftPlaces.size === 0) return;
    const place = `${after.parent}/${after.name}`;
    const left = this.#leftPlaces.get(place);
    if (left === undefined) return;
    this.#leftPlaces.delete(place);
    // The object itself may have come back.
    const was = table.get(left.ino);
    if (left.ino === ino || was?.kind !== after.kind || !isSuccessor(was, now - left.at)) return;
    // An object that still has a name stays pinned: nobody knows whether it was renamed to be a backup.
    if (was.parent === null) table.pins.remove(left.ino);
    table.pins.add(ino, now);
    this.#pinned.lookAt(left.ino);
    // Nothing else looks at a row of which only the name has changed.
    this.#pinned.lookAt(ino);
  }

  async #run(job: Job, signal: AbortSignal): Promise<void> {
    if (job.act === 'list') await this.#core.directories.refresh(job.ino, 'background', signal);
    else await this.#fetch(job, signal);
    this.#pinned.done(job);
  }

  async #fetch(job: Job, signal: AbortSignal): Promise<void> {
    const { ino } = job;
    const { table, readers } = this.#core;
    const inode = table.get(ino);
    const file = inode === undefined ? null : remoteFileOf(inode);
    // Its row has changed, and will be looked at.
    if (file === null || this.#pinned.files.get(ino)?.key !== revisionKey(file)) return;
    const missing = file.size - readers.cache.present(revisionKey(file), file.size).bytes;
    if (missing > readers.cache.pins.room()) await readers.cache.counting.done;
    if (missing > readers.cache.pins.room()) throw noRoom(pathOf(this.#core, ino, this.#root));
    const reader = readers.acquireAnew(file);
    try {
      const fetched = (bytes: number): void => this.#pinned.progress(job, bytes);
      if (!(await reader.storeAll(signal, fetched))) throw noRoom(pathOf(this.#core, ino, this.#root));
    } finally {
      readers.release(reader);
    }
  }

  /** Lists pinned folders again, one after the other, as programs would have them listed, because the service has no feed of changes. */
  async #revalidateListing(): Promise<void> {
    const { clock, directories, options } = this.#core;
    const { signal } = this.#closing;
    while (!this.#core.table.pins.isEmpty) {
      const folders = await this.#folders();
      // Perhaps no pinned object has a folder; a round without one costs nothing.
      const round = folders.size === 0 ? [null] : folders;
      for (const ino of round) {
        await clock.sleep(listingPauseMs(folders.size, options.ttl), signal).catch(() => undefined);
        if (signal.aborted) return;
        const isThere = ino !== null && this.#core.table.get(ino)?.remote != null;
        if (isThere && !directories.isFresh(ino)) this.#pinned.list(ino);
      }
    }
    this.#relisting = null;
  }

  /** The folders whose listings show changes of pinned files. */
  async #folders(): Promise<Set<Ino>> {
    const { table } = this.#core;
    const folders = new Set(this.#pinned.directories);
    await forEachInTurns(table.pins.all(), (ino) => {
      const inode = table.get(ino);
      if (inode?.kind === 'file' && inode.parent !== null) folders.add(inode.parent);
    });
    return folders;
  }
}

/** Is a new object of this one's old name its next version? `age`: the time since this one has left the name, ms. */
function isSuccessor({ kind, parent }: Inode, age: number): boolean {
  return parent === null || (kind === 'file' && age < BACKUP_MS);
}

function noRoom(path: string): SyncmountError {
  return new SyncmountError('ENOSPC', `the disk has no room for ${path}: free some, or unpin`);
}
