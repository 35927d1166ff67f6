/** copy_file_range(2) of a whole file: the provider copies it, without any transfer to this machine. */
import { codeOf, messageOf } from '../../base/errors.js';
import { fromMs } from '../../base/timespec.js';
import type { RemoteFile } from '../../providers/provider.js';
import type { Caller, HandleId } from '../api.js';
import type { Contents } from '../content/contents.js';
import { pin } from '../content/revisions.js';
import { orAborted } from '../core/abortable.js';
import { type Core, inodeOf, pathOf } from '../core/core.js';
import { isUnavailable } from '../core/deadlines.js';
import { dropDuplicate } from '../core/drop-duplicate.js';
import { FsError } from '../core/fs-error.js';
import type { FileState, Handle } from '../core/open-files.js';
import type { Exclusion } from '../uploads/exclusion.js';
import type { Disposal } from './disposal.js';
import type { Namespace, NamespaceParts } from './namespace.js';

/** Tells the caller to read and write the bytes itself. */
const byBytes = new FsError('ENOTSUP', 'only whole stored files are copied by the provider, to new files');

export interface CopyRange {
  readonly from: HandleId;
  readonly fromOffset: number;
  readonly to: HandleId;
  readonly toOffset: number;
  /** Bytes. */
  readonly length: number;
}

export class Copying {
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #namespace: Namespace;
  readonly #disposal: Disposal;
  readonly #exclusion: Exclusion;
  readonly #onSpace: (bytes: number) => void;

  /** `onSpace` is called with the bytes of each copy. */
  constructor(
    core: Core,
    { contents, disposal }: NamespaceParts,
    namespace: Namespace,
    exclusion: Exclusion,
    onSpace: (bytes: number) => void,
  ) {
    this.#exclusion = exclusion;
    this.#onSpace = onSpace;
    this.#core = core;
    this.#contents = contents;
    this.#namespace = namespace;
    this.#disposal = disposal;
  }

  /**
   * Returns the bytes copied, always all of them; the file is stored then. ENOTSUP if the range is not a whole stored file, if its target
   * is not new and empty, or if the provider refuses.
   */
  async copyRange(range: CopyRange, caller: Caller | undefined): Promise<number> {
    const { files, provider, options } = this.#core;
    const source = files.handle(range.from);
    const target = files.handle(range.to);
    if (!source.flags.read || !target.flags.write) throw new FsError('EBADF', 'not open for that');
    const original = originalOf(source, range);
    if (original === null || options.readOnly || !provider.capabilities.copyFile) throw byBytes;
    if (!isNew(target.state) || source.state === target.state) throw byBytes;
    if (this.#exclusion.has(target.state.ino)) throw byBytes;
    await orAborted(
      this.#contents.withNameLocks([target.state.ino], () => this.#copy(original, source, target, caller)),
      caller?.signal,
    );
    this.#onSpace(original.size);
    return original.size;
  }

  async #copy(original: RemoteFile, source: Handle, target: Handle, caller: Caller | undefined): Promise<void> {
    const { state } = target;
    // Either file may have been written meanwhile.
    if (!isNew(state) || source.state.spool !== null) throw byBytes;
    const { parent, name, remote } = inodeOf(this.#core, state.ino);
    const directory = parent === null ? null : inodeOf(this.#core, parent).remote;
    // The provider copies to a new file only; a new version of an existing file is uploaded.
    if (remote !== null || directory === null) throw byBytes;
    const { generation } = state;
    // If the answer is lost, the file of that name is ours.
    state.attempts.add(original.md5 ?? '');
    let copy: RemoteFile;
    try {
      copy = await this.#namespace.expiringOnError([parent], () =>
        this.#core.provider.copy(original, { parentId: directory.id, name }, caller),
      );
    } catch (error) {
      if (codeOf(error) === 'aborted' || isUnavailable(error)) throw error;
      this.#core.log.info({ code: codeOf(error) }, `${name} is copied by its bytes: ${messageOf(error)}`);
      throw byBytes;
    }
    // The answer describes the original, so the copy is unknown. The upload of the bytes finds the copy under its name.
    if (copy.id === original.id) throw byBytes;
    const isRight = copy.size === original.size && copy.md5 === original.md5;
    if (isRight && isNew(state) && state.generation === generation) return this.#adopt(state, copy);
    // The provider copied another client's change, or a program has written meanwhile. The stored file must be what the program sees.
    this.#core.log.info(
      { ino: state.ino },
      `the provider's copy of ${pathOf(this.#core, source.state.ino)} is not wanted`,
    );
    await this.#disposal.dispose(copy);
    throw byBytes;
  }

  /** The new file is stored: drops its local content. */
  async #adopt(state: FileState, copy: RemoteFile): Promise<void> {
    const { table, journal, clock, directories, invalidate } = this.#core;
    const { spool } = state;
    const now = fromMs(clock.now());
    table.transaction(() => {
      dropDuplicate(this.#core, state.ino, copy);
      const { overlay } = inodeOf(this.#core, state.ino);
      table.update(state.ino, {
        remote: copy,
        localSize: null,
        confirmedAt: clock.now(),
        overlay: { ...overlay, mtime: now, ctime: now },
      });
      journal.stored(state.ino);
    });
    directories.changes.note('file', copy.id);
    this.#contents.dropSpool(state);
    state.mtime = null;
    for (const handle of state.handles) pin(this.#core, handle, copy);
    if (spool !== null) await this.#contents.removeSpool(spool);
    setImmediate(() => invalidate({ kind: 'inode', ino: state.ino, content: true }));
  }
}

/** The revision, if the range covers all of it. Null if the range is only a part, or the content differs from the provider's. */
function originalOf(
  { state, pinned, isOnOldRevision }: Handle,
  { fromOffset, toOffset, length }: CopyRange,
): RemoteFile | null {
  if (pinned === null || pinned.md5 === null || pinned.size === 0) return null;
  if (state.spool !== null || state.spoolCreation !== null || state.activeUpload !== null || isOnOldRevision)
    return null;
  return fromOffset === 0 && toOffset === 0 && length >= pinned.size ? pinned : null;
}

/** Was it created or emptied, and not written since? */
function isNew({ spool, backing, written, activeUpload, unlinked, promised, pendingChanges }: FileState): boolean {
  if (spool?.size !== 0 || written || promised || unlinked) return false;
  // Programs that read the spool file directly would keep reading it.
  return backing === null && activeUpload === null && !pendingChanges.isBusy;
}
