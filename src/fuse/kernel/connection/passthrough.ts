/**
 * Passthrough (FUSE_PASSTHROUGH, Linux 6.9, Documentation/filesystems/fuse-passthrough): a file that lies complete on the
 * local disk is read by the kernel itself, and one that is being made there is written by it; no request comes to us.
 *
 * The kernel's rule (fs/fuse/iomode.c): while an inode is open passthrough, every open of it must be passthrough with the
 * same backing file, or it fails with EIO; while it is open in the ordinary way, none may be. So an open joins what is
 * there. Where it cannot read or write that file (it writes, or its content is another by now), it joins all the same and is
 * *served*: with FOPEN_DIRECT_IO beside FOPEN_PASSTHROUGH the kernel sends its reads and writes here, and takes only its
 * mappings from the backing file (fs/fuse/file.c). `Filesystem.mapBacking` makes those right.
 *
 * So a file has one inode in the kernel, whatever is done with it: locks, pages and watches are kept by inode.
 */
import type { Log } from '../../../base/log.js';
import { isPromise, type MaybePromise } from '../../../base/maybe-promise.js';
import type { Backing, Filesystem, HandleId } from '../../../filesystem/api.js';
import { errnoName, failed } from '../addon.js';

/** How the kernel is to treat an open file. `id` is its number of the backing file; 0 where there is none. */
export interface OpenMode {
  readonly kind: 'ordinary' | 'passthrough' | 'served';
  readonly id: number;
}

const ordinary: OpenMode = { kind: 'ordinary', id: 0 };

/** How the opens of one node go: all with one backing file, or none. */
interface Opens {
  count: number;
  /** Some write to the backing file by themselves. */
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

/** What is to be opened. */
export interface Opening {
  readonly handle: HandleId;
  /** It may read or write the backing file by itself. */
  readonly mayPass: boolean;
  readonly writes: boolean;
}

export class Passthrough {
  /** Both sides speak of it. Set once, before the first open. */
  isOn = false;
  /** The kernel will have no more files: what is open goes on as it is. */
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
   * A file was opened or created under a node: how the kernel is to treat it. Pair with `released`, also where this throws
   * or rejects.
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

  #join(node: number, opens: Opens, { handle, mayPass, writes }: Opening): MaybePromise<OpenMode> {
    const { backing, id } = opens;
    // Counted at once: until it is answered, the kernel's opens must not end under its hands.
    opens.count++;
    this.#handles.set(handle, node);
    if (backing === null) return ordinary;
    // Beside those who read a file that is not theirs to write, nobody writes to it by himself.
    const isPassed = mayPass && (!writes || opens.isWritten) && this.#backingOf(handle, backing) !== null;
    if (isPassed) return { kind: 'passthrough', id };
    const joined = this.#fs.mapBacking?.(handle, backing);
    return isPromise(joined) ? joined.then(() => ({ kind: 'served', id })) : { kind: 'served', id };
  }

  #backingOf(handle: HandleId, inUse?: Backing): Backing | null {
    try {
      return this.#fs.backing?.(handle, inUse) ?? null;
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
}
