/**
 * Passthrough (FUSE_PASSTHROUGH, Linux 6.9, Documentation/filesystems/fuse-passthrough): the kernel itself reads a file that
 * is complete on the local disk, and writes a file that is being created there. It sends us no requests for them.
 *
 * The kernel's rule (fs/fuse/iomode.c): while an inode is open with passthrough, every open of it must use passthrough with
 * the same backing file, or it fails with EIO. While it is open without passthrough, no open may use it. So a new open
 * follows the existing ones. If it must not read or write that backing file (it is a writer, or the content has changed), it
 * is *served*: with FOPEN_DIRECT_IO beside FOPEN_PASSTHROUGH the kernel sends its reads and writes to us, and uses only the
 * mappings of the backing file (fs/fuse/file.c). `Filesystem.mapBacking` makes those right.
 *
 * Invariant: a file has one inode in the kernel, because the kernel keeps locks, pages and watches by inode.
 */
import type { Log } from '../../../base/log.js';
import { isPromise, type MaybePromise } from '../../../base/maybe-promise.js';
import type { Backing, Filesystem, HandleId } from '../../../filesystem/api.js';
import { errnoName, failed } from '../addon.js';

/** How the kernel must treat an open file. `id` is the kernel's id of the backing file; 0 if there is none. */
export interface OpenMode {
  readonly kind: 'ordinary' | 'passthrough' | 'served';
  readonly id: number;
}

const ordinary: OpenMode = { kind: 'ordinary', id: 0 };

/** The open files of one node: either all of them use the same backing file, or none does. */
interface Opens {
  count: number;
  /** The kernel writes to the backing file for at least one of them. */
  isWritten: boolean;
  readonly backing: Backing | null;
  /** The kernel's id of `backing`. */
  readonly id: number;
}

/** The two ioctls. They return an id or 0, or a negative errno. */
export interface BackingCalls {
  open(fd: number): number;
  close(id: number): number;
}

/** An open for which to decide. */
export interface Opening {
  readonly handle: HandleId;
  /** The kernel may read or write the backing file for it. */
  readonly mayPass: boolean;
  readonly writes: boolean;
}

export class Passthrough {
  /** Did we and the kernel negotiate passthrough? Set once, before the first open. */
  isOn = false;
  /** The kernel refuses further backing files. Files that are open stay as they are. */
  #isRefused = false;
  readonly #fs: Filesystem;
  readonly #log: Log;
  readonly #calls: BackingCalls;
  readonly #opens = new Map<number, Opens>();
  readonly #handles = new Map<HandleId, number>();

  constructor(fs: Filesystem, log: Log, calls: BackingCalls) {
    this.#fs = fs;
    this.#log = log;
    this.#calls = calls;
  }

  /**
   * Decides how the kernel must treat a file that was opened or created. Each call needs a call of `released`, even if this
   * one throws or rejects.
   */
  opened(node: number, opening: Opening): MaybePromise<OpenMode> {
    if (!this.isOn) return ordinary;
    const opens = this.#opens.get(node);
    if (opens !== undefined) return this.#join(node, opens, opening);
    const { handle, mayPass, writes } = opening;
    const backing = mayPass && !this.#isRefused ? this.#backingOf(handle) : null;
    const id = backing === null ? 0 : this.#register(backing);
    const isPassed = id !== 0;
    this.#opens.set(node, { count: 1, isWritten: writes && isPassed, backing: isPassed ? backing : null, id });
    this.#handles.set(handle, node);
    return isPassed ? { kind: 'passthrough', id } : ordinary;
  }

  /** Handles a RELEASE. Mappings may remain: they belong to the backing file, and the kernel does not report their end. */
  released(handle: HandleId): void {
    const node = this.#handles.get(handle);
    const opens = node === undefined ? undefined : this.#opens.get(node);
    if (node === undefined || opens === undefined) return;
    this.#handles.delete(handle);
    if (--opens.count > 0) return;
    this.#opens.delete(node);
    if (opens.id > 0) this.#calls.close(opens.id);
  }

  #join(node: number, opens: Opens, { handle, mayPass, writes }: Opening): MaybePromise<OpenMode> {
    const { backing, id } = opens;
    // Count it before the answer, so that the node's state does not end while the open is in flight.
    opens.count++;
    this.#handles.set(handle, node);
    if (backing === null) return ordinary;
    // If the existing opens only read the backing file, the kernel must not write to it for this one.
    const isPassed = mayPass && (!writes || opens.isWritten) && this.#backingOf(handle, backing) !== null;
    if (isPassed) return { kind: 'passthrough', id };
    const mapped = this.#fs.mapBacking?.(handle, backing);
    return isPromise(mapped) ? mapped.then(() => ({ kind: 'served', id })) : { kind: 'served', id };
  }

  #backingOf(handle: HandleId, inUse?: Backing): Backing | null {
    try {
      return this.#fs.backing?.(handle, inUse) ?? null;
    } catch (error) {
      // The file itself is fine: open it without passthrough.
      this.#log.warn({ err: error }, 'a file cannot be passed through to the kernel');
      return null;
    }
  }

  #register(backing: Backing): number {
    const id = this.#calls.open(backing.fd);
    if (id > 0) return id;
    // EPERM: an ordinary user's mount. Other errors (the cache is on a stacked file system) are permanent too.
    if (id !== failed.noDevice) {
      this.#log.debug({ error: errnoName(id) }, 'the kernel does not read cached files by itself');
      this.#isRefused = true;
    }
    return 0;
  }
}
