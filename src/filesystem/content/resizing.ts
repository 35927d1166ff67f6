/** A file's length and its holes: truncate(2), ftruncate(2), O_TRUNC, fallocate(2), SEEK_HOLE. */
import { type Ino, sizeOf } from '../../tree/inode.js';
import type { Allocation, AttributeChange } from '../api.js';
import { touch } from '../attributes/attributes.js';
import { dropCapability } from '../attributes/capabilities.js';
import { orAborted } from '../core/abortable.js';
import { type Core, inodeOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { FileState, Handle } from '../core/open-files.js';
import type { Contents } from './contents.js';
import { notePassthroughWrites } from './passthrough-writes.js';
import { baseOf } from './revisions.js';

/** The part of `Uploader` that resizing needs. */
interface PendingUploads {
  /** Resolves when a content without writers is stored, or (write-back) is queued. */
  settle(state: FileState): Promise<unknown>;
  /** Queues a content that no close will queue. */
  released(state: FileState): void;
}

export class Resizing {
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #uploads: PendingUploads;

  constructor(core: Core, contents: Contents, uploads: PendingUploads) {
    this.#core = core;
    this.#contents = contents;
    this.#uploads = uploads;
  }

  /** truncate(2). Through an open file, the file's close stores the result. By name there is no close, so the result is stored now. */
  async resize(ino: Ino, size: number, change: AttributeChange, signal?: AbortSignal): Promise<void> {
    const { files } = this.#core;
    await files.byName(ino, async (state) => {
      await this.truncate(state, change.handle === undefined ? null : files.handle(change.handle), size, signal);
      if (change.mtime !== undefined) state.mtime = null;
      if (state.hasWriters()) return;
      const settling = this.#uploads.settle(state).catch((error: unknown) => {
        // The file is truncated, whatever the caller is told, and no close will store it.
        this.#uploads.released(state);
        throw error;
      });
      await orAborted(settling, signal);
    });
  }

  /** A file that has this size already keeps its content, and needs no upload; its times move. */
  async truncate(state: FileState, handle: Handle | null, size: number, signal?: AbortSignal): Promise<void> {
    dropCapability(this.#core, state.ino);
    const remote = baseOf(this.#core, state, handle);
    if (state.spool === null && state.spoolCreation === null && remote?.size === size) {
      touch(this.#core, state.ino);
    } else {
      await this.#contents.truncate(state, handle, size, signal);
    }
  }

  /** fallocate(2): makes a range read as zeros, extends the file to the end of the range, or both. */
  async fallocate(handle: Handle, { offset, length, keepSize, zeroes }: Allocation): Promise<void> {
    const { state, flags, backing } = handle;
    if (!flags.write) throw new FsError('EBADF', 'not open for writing');
    // Passthrough writers may extend the file at any moment, and this call would cut it. (If the handle is one of them, the kernel holds
    // the lock.)
    if (state.hasPassthroughWriters() && backing === null)
      throw new FsError('ENOTSUP', 'other handles write to its backing file directly');
    dropCapability(this.#core, state.ino);
    notePassthroughWrites(this.#core, state);
    const size = state.spool?.size ?? sizeOf(inodeOf(this.#core, state.ino));
    if (zeroes && offset < size)
      await this.#contents.change(
        state,
        () => baseOf(this.#core, state, handle),
        undefined,
        (spool) => spool.zero(offset, length),
      );
    if (!keepSize && offset + length > size) await this.truncate(state, handle, offset + length);
  }

  /**
   * SEEK_DATA and SEEK_HOLE in a file that `handle` sees as `size` bytes. Content that is not stored yet has the holes of its spool file.
   * Stored content counts as all data, which is always right (lseek(2)). ENXIO if nothing is found.
   */
  seek({ state, isOnOldRevision }: Handle, size: number, offset: number, whence: 'data' | 'hole'): number {
    if (offset < 0 || offset >= size) throw new FsError('ENXIO', 'beyond the end of the file');
    const { spool } = state;
    if (spool === null || isOnOldRevision) return whence === 'data' ? offset : size;
    const found = spool.seek(offset, whence);
    if (found === null) throw new FsError('ENXIO', 'only a hole follows');
    return found;
  }
}
