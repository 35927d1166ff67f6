/**
 * Shared mappings of files that the kernel reads by itself (passthrough). The kernel writes through a mapping without
 * telling us, so the mapped backing file must be the spool file of the content, and is watched (passthrough-writes.ts).
 *
 * A mapping outlives its descriptor, and the kernel does not report its end. After the last close the file is watched
 * until no process has it open for writing.
 */
import { messageOf } from '../../base/errors.js';
import { BackingFile } from '../../spool/backing-file.js';
import type { Backing } from '../api.js';
import { type Core, pathOf } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import { type FileState, type Handle, mayMapToWrite } from '../core/open-files.js';
import type { Contents } from './contents.js';
import type { Passthrough } from './passthrough.js';
import { notePassthroughWrites } from './passthrough-writes.js';

/**
 * Pause between checks of a mapping, ms, doubling from the first to the last: most mappings end with their descriptor,
 * or shortly after when the kernel has cleaned up.
 */
const FIRST_LOOK_MS = 20;
const LAST_LOOK_MS = 1000;

export class Mappings {
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #passthrough: Passthrough;
  readonly #ended = new AbortController();
  /** Called when nothing can write to a file's backing file any longer. */
  readonly #onWritersGone: (state: FileState) => void;

  constructor(core: Core, contents: Contents, passthrough: Passthrough, onWritersGone: (state: FileState) => void) {
    this.#core = core;
    this.#contents = contents;
    this.#passthrough = passthrough;
    this.#onWritersGone = onWritersGone;
  }

  /** See `Filesystem.mapBacking`. */
  async map(handle: Handle, inUse: Backing): Promise<void> {
    if (!(inUse instanceof BackingFile)) throw new FsError('EIO', 'not a backing file of this mount');
    const { state, flags } = handle;
    // Keeps the file, even if all other users release it meanwhile.
    this.#passthrough.retain(inUse);
    try {
      // A read-only mapping changes nothing.
      if (flags.read && flags.write) await this.#becomeContent(handle, inUse);
      this.#passthrough.map(handle, inUse);
    } finally {
      this.#passthrough.release(state, inUse);
    }
  }

  /** Makes the backing file the spool file of the content: writes through the mapping are writes to the content. */
  async #becomeContent(handle: Handle, inUse: BackingFile): Promise<void> {
    const { state } = handle;
    await this.#contents.makeChangeable(state, handle);
    if (state.backing !== inUse) {
      this.#core.log.info({ ino: state.ino }, `${pathOf(this.#core, state.ino)}: others read an older version`);
      throw new FsError('EBUSY', 'others have an older version of it open, which would be mapped');
    }
    if (state.journaledGeneration === state.generation && !state.unlinked) {
      this.#core.journal.changing(state.ino, state.promised ? 'synced' : 'open');
    }
  }

  /** Call this before a handle releases its mapped file: a remaining mapping keeps the file. */
  watchAfterClose(handle: Handle): void {
    const { state, mapped } = handle;
    // Another descriptor or an earlier mapping keeps the watch going.
    if (mapped === null || !mayMapToWrite(handle) || state.hasMappings()) return;
    handle.mapped = null;
    state.lingeringMappings++;
    this.#watchUntilUnmapped(state, mapped).catch((error) => {
      this.#core.log.error({ ino: state.ino }, `a mapping is looked at no more: ${messageOf(error)}`);
    });
  }

  /** The mount ends. A program may write through a remaining mapping for ever: the next mount stores that. */
  close(): void {
    this.#ended.abort();
  }

  async #watchUntilUnmapped(state: FileState, mapped: BackingFile): Promise<void> {
    const { spool: directory, clock } = this.#core;
    try {
      for (let wait = FIRST_LOOK_MS; ; wait = Math.min(2 * wait, LAST_LOOK_MS)) {
        const { spool } = state;
        if (spool === null || !(await directory.isWrittenElsewhere(spool))) break;
        await clock.sleep(wait, this.#ended.signal).catch(() => undefined);
        notePassthroughWrites(this.#core, state);
        if (this.#ended.signal.aborted) {
          state.isLeftToNextMount = true;
          break;
        }
      }
    } finally {
      state.lingeringMappings--;
      this.#passthrough.release(state, mapped);
      this.#onWritersGone(state);
    }
  }
}
