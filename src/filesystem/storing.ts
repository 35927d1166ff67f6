/**
 * Brings changed content to the provider: at close (the default), from the queue (write-back), after a crash.
 *
 * The journal row is written before each act, and goes in the same transaction in which the inode gets its new remote
 * side. What cannot be stored stays in its spool file, readable through the mount, with the reason in the journal.
 */
import pLimit from 'p-limit';
import { codeOf } from '../base/errors.js';
import { BLOCK_BYTES } from '../cache/blocks.js';
import { ProviderError } from '../providers/errors.js';
import { type RemoteFile, revisionKey, type UploadTarget } from '../providers/provider.js';
import type { UploadRow, UploadState } from '../spool/journal.js';
import type { Digest, SpoolFile } from '../spool/spool-file.js';
import { type Ino, type Inode, remoteFileOf } from '../tree/inode.js';
import { conflictName } from './conflict-name.js';
import type { Contents } from './contents.js';
import { type Core, pathOf } from './core.js';
import { toFsError } from './errno.js';
import { FsError } from './fs-error.js';
import type { FileState, Storing as Upload } from './open-files.js';

/** Uploads from the queue at a time. Most are small files that wait for a round trip, not for bandwidth. */
const QUEUE_WIDTH = 16;
/** A remote revision confirmed this recently needs no request of its own before it is replaced, ms. */
const CONFIRMED_WITHIN = 10_000;

export interface PendingUpload {
  readonly path: string;
  readonly size: number;
  readonly sent: number;
  readonly state: UploadState;
  /** Of what failed: the errno that the program was given, and why. */
  readonly code?: string;
  readonly error?: string;
}

export class Storing {
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #queue = pLimit(QUEUE_WIDTH);
  /** Queued and running uploads of the queue. */
  readonly #turns = new Set<Promise<void>>();

  constructor(core: Core, contents: Contents) {
    this.#core = core;
    this.#contents = contents;
  }

  /**
   * close(): stores what changed and answers when it is stored, or (write-back) when it is safe on the local disk.
   *
   * A file that was made or emptied and not written yet waits for its last close: a shell closes a duplicate of the
   * descriptor before the first byte (`echo x > f`), and an upload of nothing would come first.
   */
  async flush(state: FileState): Promise<void> {
    if (state.spool?.size === 0 && !state.written) return;
    await this.settle(state);
  }

  /** As `flush`, whatever was written. */
  async settle(state: FileState): Promise<void> {
    if (state.unlinked || state.spool === null) return;
    if (this.#core.options.writeBack) {
      if (!state.dirty && state.storing === null) return;
      await this.secure(state, 'queued');
      this.enqueue(state);
      return;
    }
    await this.store(state);
  }

  /** fsync(): content and journal on the disk. */
  async secure(state: FileState, as: 'synced' | 'queued'): Promise<void> {
    const { spool, generation } = state;
    if (spool === null || state.unlinked || (state.journaled === generation && as === 'synced')) return;
    await spool.sync();
    // Stored or dropped in the meantime: there is nothing left to promise.
    if (state.spool !== spool) return;
    if (state.storing === null) this.#journal(state, spool, as);
    await this.#core.state.durable();
    state.journaled = generation;
  }

  /** The upload in which the present content is stored, waiting for the one under way where there is one. */
  async store(state: FileState): Promise<void> {
    const upload = state.storing ?? (state.dirty ? this.#begin(state) : null);
    if (upload === null) return;
    upload.waiters++;
    try {
      await upload.done;
    } finally {
      upload.waiters--;
    }
  }

  /** Stores in its turn, in the background; a failure is in the journal and the log. */
  enqueue(state: FileState): void {
    if (state.queued) return;
    state.queued = true;
    const turn = this.#queue(async () => {
      state.queued = false;
      // Opened again for writing: the next close brings it back here.
      if (state.unlinked || !state.dirty || state.storing !== null) return;
      await this.#begin(state).done.catch(() => undefined);
    }).finally(() => this.#turns.delete(turn));
    this.#turns.add(turn);
  }

  /** The last close: what no flush has seen (pages written through mmap after it) is stored in the background. */
  released(state: FileState): void {
    if (state.unlinked || !state.dirty || state.failed === state.generation || state.storing !== null) return;
    this.enqueue(state);
  }

  /** Cancels the upload of a state and waits for its end. */
  async cancel(state: FileState): Promise<void> {
    while (state.storing !== null) {
      state.storing.abort.abort(new ProviderError('aborted', 'not wanted any more'));
      await state.storing.done.catch(() => undefined);
    }
  }

  /** Everything not stored yet, oldest first; paths as seen from the directory `root`. */
  pending(root: Ino): PendingUpload[] {
    return this.#core.journal.all().map((row) => {
      const state = this.#core.files.state(row.ino);
      return {
        path: pathOf(this.#core, row.ino, root),
        size: state?.spool?.size ?? row.content.size,
        sent: state?.storing ? state.sent : 0,
        state: row.state,
        ...(row.state === 'failed' ? { code: row.code ?? 'EIO', error: row.message ?? '' } : {}),
      };
    });
  }

  /** Takes up what an earlier mount left: shown at once, uploaded in the background. */
  recover(): void {
    const { journal, files, spool, table, log } = this.#core;
    for (const row of journal.all()) {
      if (table.get(row.ino) === undefined) {
        log.error({ ino: row.ino, spool: row.spool }, 'a content without a name: its spool file is set aside');
        journal.remove(row.ino);
        continue;
      }
      const state = files.ensureState(row.ino);
      state.spool = spool.open(row);
      state.spoolName = row.spool;
      state.dirty = true;
      if (row.state === 'open') {
        state.failed = state.generation;
        this.#interrupted(row);
      } else {
        this.enqueue(state);
      }
    }
    const rescued = spool.sweep(new Set(journal.all().map((row) => row.spool)));
    if (rescued.length > 0) log.error({ rescued }, `contents without a journal row are in ${spool.directory}/rescued`);
  }

  /** Tries everything that failed again; answers how many. */
  retryFailed(): number {
    const failed = this.#core.journal.all().filter((row) => row.state === 'failed');
    for (const row of failed) {
      const state = this.#core.files.state(row.ino);
      if (state === undefined || state.spool === null) continue;
      state.dirty = true;
      this.#core.journal.setState(row.ino, 'queued');
      this.enqueue(state);
    }
    return failed.length;
  }

  /** Ends all uploads; what they were about waits in the journal for the next mount. */
  async interrupt(): Promise<void> {
    this.#queue.clearQueue();
    this.#turns.clear();
    for (const state of this.#core.files.states()) {
      await this.cancel(state);
      if (state.spool === null || state.unlinked) continue;
      // A file that is still being written was promised nothing.
      const as = state.hasWriters() ? 'open' : 'queued';
      if (state.dirty && state.failed !== state.generation) this.#journal(state, state.spool, as);
      await state.spool.sync();
    }
    await this.#core.state.durable();
  }

  /** Resolves when no upload is queued or under way. */
  async drained(): Promise<void> {
    for (;;) {
      const uploads = [...this.#core.files.states()].flatMap((state) => state.storing?.done ?? []);
      if (uploads.length + this.#turns.size === 0) return;
      await Promise.allSettled([...uploads, ...this.#turns]);
    }
  }

  #begin(state: FileState): Upload {
    const abort = new AbortController();
    state.sent = 0;
    const upload: Upload = {
      abort,
      waiters: 0,
      done: this.#store(state, abort.signal).finally(() => {
        state.storing = null;
        this.#core.files.settle(state);
      }),
    };
    upload.done.catch(() => undefined);
    state.storing = upload;
    return upload;
  }

  async #store(state: FileState, signal: AbortSignal): Promise<void> {
    const { table, journal, log } = this.#core;
    const { spool } = state;
    const inode = table.get(state.ino);
    if (spool === null || inode === undefined || state.unlinked) return;
    this.#journal(state, spool, 'uploading');
    try {
      await spool.fill(this.#contents.readBase(state, spool));
      let hashing: Promise<Digest> | null = null;
      const digest = (): Promise<Digest> => {
        hashing ??= spool.digest(BLOCK_BYTES);
        return hashing;
      };
      const { remote, name } = await this.#upload(state, inode, spool, digest, signal);
      await this.#stored(state, spool, remote, name, await digest());
    } catch (error) {
      if (signal.aborted) {
        if (!state.unlinked) this.#journal(state, spool, 'open');
        throw new FsError('EINTR', 'the upload was cancelled', { cause: error });
      }
      const failure = toFsError(error);
      log.error(
        { ino: state.ino, errno: failure.code, code: codeOf(error), ...failure.data },
        `${pathOf(this.#core, state.ino)} is not stored: ${failure.message}`,
      );
      state.failed = state.generation;
      journal.setState(state.ino, 'failed', { code: failure.code, message: failure.message });
      table.update(state.ino, { localSize: spool.size });
      throw failure;
    }
  }

  async #upload(
    state: FileState,
    inode: Inode,
    spool: SpoolFile,
    digest: () => Promise<Digest>,
    signal: AbortSignal,
  ): Promise<{ remote: RemoteFile; name: string | null }> {
    const { table, provider, journal } = this.#core;
    const parent = inode.parent === null ? undefined : table.get(inode.parent);
    if (parent?.remote == null) throw new FsError('ENOENT', 'the folder is not at the provider any more');
    const parentId = parent.remote.id;
    const name = inode.remote !== null && inode.remote.name !== inode.name ? inode.remote.name : inode.name;
    const resume = journal.get(state.ino)?.checkpoint ?? undefined;
    const send = (target: UploadTarget): Promise<RemoteFile> =>
      provider.upload(target, spool.source(digest), {
        signal,
        resume,
        onProgress: (sent) => {
          state.sent = sent;
        },
        onCheckpoint: (checkpoint) => {
          // The row of a file that was unlinked meanwhile is gone, and stays so.
          if (!state.unlinked) journal.setCheckpoint(state.ino, checkpoint);
        },
      });
    const current = await this.#current(inode, signal);
    const isConflict = current !== null && (spool.base === null || revisionKey(current) !== revisionKey(spool.base));
    if (!isConflict) {
      try {
        return {
          remote: await send({ parentId, name, ...(current === null ? {} : { replaces: current }) }),
          name: null,
        };
      } catch (error) {
        // The name was taken meanwhile by somebody else: as good as a change of the file itself.
        if (current !== null || codeOf(error) !== 'exists') throw error;
      }
    }
    const beside = conflictName(name, new Date(this.#core.clock.now()), this.#core.options.host);
    this.#core.log.warn(
      { ino: state.ino },
      `${pathOf(this.#core, state.ino)} was changed at the provider; ours is stored as ${beside}`,
    );
    return { remote: await send({ parentId, name: beside }), name: beside };
  }

  /** The remote file that is about to be replaced, as it is now; null where there is none (any more). */
  async #current(inode: Inode, signal: AbortSignal): Promise<RemoteFile | null> {
    const { table, provider, directories, clock } = this.#core;
    const known = remoteFileOf(inode);
    if (known === null) return null;
    const age = clock.now() - (inode.confirmedAt ?? Number.NEGATIVE_INFINITY);
    const within = Math.min(CONFIRMED_WITHIN, this.#core.options.ttl);
    if (age < within || (inode.parent !== null && directories.isFresh(inode.parent, within))) return known;
    try {
      const now = await provider.stat({ kind: 'file', id: known.id }, { signal });
      if (now.kind !== 'file') return null;
      directories.changes.note('file', now.id);
      table.update(inode.ino, { remote: now, confirmedAt: clock.now() });
      return now;
    } catch (error) {
      if (codeOf(error) !== 'not-found') throw error;
      table.update(inode.ino, { remote: null });
      return null;
    }
  }

  /** The provider has it: the inode gets its remote side, the handles their new revision, the cache the bytes. */
  async #stored(
    state: FileState,
    spool: SpoolFile,
    remote: RemoteFile,
    newName: string | null,
    digest: Digest,
  ): Promise<void> {
    const { table, journal, readers, directories, clock } = this.#core;
    const before = table.get(state.ino);
    // Unlinked while it was being stored: the caller of unlink() waits for us and removes what is there now.
    if (before === undefined) return;
    table.transaction(() => {
      const namesake = table.byRemote('file', remote.id);
      if (namesake !== undefined && namesake.ino !== state.ino) {
        table.update(namesake.ino, { parent: null, remote: null });
      }
      table.update(state.ino, {
        remote,
        localSize: null,
        confirmedAt: clock.now(),
        overlay: { ...before.overlay, mtime: state.mtime ?? before.overlay.mtime },
        ...(newName === null ? {} : { name: newName }),
      });
      journal.remove(state.ino);
    });
    directories.changes.note('file', remote.id);
    if (newName !== null) this.#renamedByConflict(before, newName);
    state.mtime = null;
    this.#contents.dropSpool(state);
    for (const handle of state.handles) this.#contents.pin(handle, remote);
    await spool.close();
    if (!readers.cache.adopt(revisionKey(remote), spool.size, spool.path, digest.crcs)) await spool.remove();
  }

  #renamedByConflict(before: Inode, newName: string): void {
    const { parent } = before;
    if (parent === null) return;
    const { invalidate, directories } = this.#core;
    setImmediate(() => {
      for (const name of [before.name, newName]) invalidate({ kind: 'entry', parent, name });
      // Shows the other client's file under the name that ours had.
      directories.refresh(parent).catch(() => undefined);
    });
  }

  #interrupted(row: UploadRow): void {
    this.#core.journal.setState(row.ino, 'failed', {
      code: 'EINTR',
      message: 'the mount ended while the file was being written; its content up to then is kept',
    });
    this.#core.table.update(row.ino, { localSize: row.content.size });
  }

  #journal(state: FileState, spool: SpoolFile, as: UploadState): void {
    const { journal, table, clock } = this.#core;
    const before = journal.get(state.ino);
    // An upload id belongs to the very bytes it was begun with.
    const isSame = as === 'uploading' && before?.state !== 'open' && state.journaled === state.generation;
    table.transaction(() => {
      journal.put({
        ino: state.ino,
        spool: state.spoolName,
        state: as,
        content: spool.state(),
        base: spool.base,
        checkpoint: isSame ? (before?.checkpoint ?? null) : null,
        code: null,
        message: null,
        since: before?.since ?? clock.now(),
      });
      const inode = table.get(state.ino);
      if (inode === undefined) return;
      table.update(state.ino, {
        localSize: spool.size,
        overlay: { ...inode.overlay, mtime: state.mtime ?? inode.overlay.mtime },
      });
    });
    state.journaled = state.generation;
  }
}
