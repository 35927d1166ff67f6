/**
 * Passthrough (FUSE_PASSTHROUGH, Linux 6.9, Documentation/filesystems/fuse-passthrough): a file that lies complete on the
 * local disk is read by the kernel itself, and one that is being made there is written by it; no request comes to us.
 *
 * The kernel's rule (fs/fuse/iomode.c): while an inode is open passthrough, every open of it must be passthrough with the
 * same backing file, or it fails with EIO; while it is open in the ordinary way, none may be. So an open joins what is
 * there. Where it cannot (it writes, or the content is another by now), the object goes on under a new node number: the
 * open is answered with ESTALE, to which the kernel looks the name up again (open(2) never shows it), gets the new number
 * and opens that. Those who read on under the old number see what is written all the same: `Filesystem.backing` promises
 * that the backing file follows.
 */
import { performance } from 'node:perf_hooks';
import type { Log } from '../../base/log.js';
import type { Backing, Filesystem, HandleId, Ino } from '../../filesystem/api.js';
import { FsError } from '../../filesystem/fs-error.js';
import { errnoName, failed } from './addon.js';
import type { NodeIds } from './node-ids.js';

/**
 * For how long a node that was made for an open is kept for it, ms: the kernel looks up and opens a second time only, so that
 * one must not find the node passthrough again.
 */
const keptFor = 5000;

/** How the opens of one node go: all passthrough with one backing file, or none. */
interface Opens {
  count: number;
  /** Passthrough, and some of them write. */
  isWritten: boolean;
  readonly backing: Backing | null;
  /** The kernel's number for `backing`. */
  readonly id: number;
}

/** The two ioctls: an id and 0, or a negative errno. */
export interface BackingCalls {
  open(fd: number): number;
  close(id: number): number;
}

export class Passthrough {
  /** Both sides speak of it. Set once, before the first open. */
  isOn = false;
  /** The kernel will have no more files: what is open goes on as it is. */
  #isRefused = false;
  /** Called with a node number whose attributes the kernel is to ask for again. */
  onSplit: (node: number) => void = () => {};
  readonly #fs: Filesystem;
  readonly #nodes: NodeIds;
  readonly #log: Log;
  readonly #calls: BackingCalls;
  readonly #opens = new Map<number, Opens>();
  readonly #handles = new Map<HandleId, number>();
  /** Nodes that are kept, and until when. */
  readonly #kept = new Map<number, number>();

  constructor(fs: Filesystem, nodes: NodeIds, log: Log, calls: BackingCalls) {
    this.#fs = fs;
    this.#nodes = nodes;
    this.#log = log;
    this.#calls = calls;
  }

  /** Before an open that may not be passthrough: throws ESTALE where the node is open that way. */
  requireOrdinary(node: number): void {
    if (this.#opens.get(node)?.backing != null) this.#openElsewhere(node);
  }

  /** May a writer be passthrough under this node? Not beside those who read a file that is not his to write. */
  takesWriters(node: number): boolean {
    const opens = this.#opens.get(node);
    return opens === undefined || opens.backing === null || opens.isWritten;
  }

  /** A file was opened, and is to be read or written in its backing file where that can be. The kernel's id of it, or 0. */
  opened(node: number, handle: HandleId, mayPass: boolean, writes: boolean): number {
    if (!this.isOn) return 0;
    const opens = this.#opens.get(node);
    if (opens !== undefined) {
      const fits = opens.backing === null || (mayPass && this.#backingOf(handle) === opens.backing);
      if (!fits) this.#openElsewhere(node);
      opens.count++;
      opens.isWritten ||= writes && opens.backing !== null;
      this.#handles.set(handle, node);
      return opens.id;
    }
    const backing = mayPass && !this.#isRefused && !this.#isKept(node) ? this.#backingOf(handle) : null;
    const id = backing === null ? 0 : this.#register(backing);
    this.#opens.set(node, { count: 1, isWritten: writes && id !== 0, backing: id === 0 ? null : backing, id });
    this.#handles.set(handle, node);
    return id;
  }

  /** A file was created: whatever was open under its node, it gets one that takes it. */
  created(ino: Ino, handle: HandleId, mayPass: boolean, writes: boolean): number {
    if (!this.isOn) return 0;
    if (this.#opens.get(this.#nodes.nodeOf(ino))?.backing != null) this.#split(ino);
    return this.opened(this.#nodes.nodeOf(ino), handle, mayPass, writes);
  }

  /** No descriptor is left. Mappings may be: they are of the backing file, and the kernel tells nothing of them any more. */
  released(handle: HandleId): void {
    const node = this.#handles.get(handle);
    const opens = node === undefined ? undefined : this.#opens.get(node);
    if (node === undefined || opens === undefined) return;
    this.#handles.delete(handle);
    if (--opens.count > 0) return;
    this.#opens.delete(node);
    if (opens.id > 0) this.#calls.close(opens.id);
  }

  #backingOf(handle: HandleId): Backing | null {
    try {
      return this.#fs.backing?.(handle) ?? null;
    } catch (error) {
      // Nothing is wrong with the file: it is opened in the ordinary way.
      this.#log.warn({ err: error }, 'a file cannot be handed to the kernel');
      return null;
    }
  }

  #register(backing: Backing): number {
    const id = this.#calls.open(backing.fd);
    if (id > 0) return id;
    // EPERM: an ordinary user's mount. Others (the cache lies on a stacked file system): it will not be otherwise later.
    if (id !== failed.noDevice) {
      this.#log.debug({ error: errnoName(id) }, 'the kernel does not read cached files by itself');
      this.#isRefused = true;
    }
    return 0;
  }

  #openElsewhere(node: number): never {
    const ino = this.#nodes.inoOf(node);
    // Another open may have led here, and the kernel be about to look the name up.
    const current = this.#nodes.nodeOf(ino);
    if (current === node || this.#opens.get(current)?.backing != null) this.#split(ino);
    this.#kept.set(this.#nodes.nodeOf(ino), performance.now() + keptFor);
    throw new FsError('ESTALE', 'it is read by the kernel itself: to be opened under another node');
  }

  #isKept(node: number): boolean {
    const until = this.#kept.get(node);
    if (until === undefined) return false;
    if (performance.now() < until) return true;
    this.#kept.delete(node);
    return false;
  }

  #split(ino: Ino): void {
    const former = this.#nodes.nodeOf(ino);
    this.#nodes.split(ino);
    this.onSplit(former);
  }
}
