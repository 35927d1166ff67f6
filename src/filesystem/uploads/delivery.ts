/**
 * Chooses where a content goes at the provider, and sends it there: in place of the version that it started from, as a
 * new file, or beside another client's content of the same name.
 */
import { codeOf } from '../../base/errors.js';
import type { Digest } from '../../base/running-digest.js';
import type { UploadSource } from '../../providers/content.js';
import { ProviderError } from '../../providers/errors.js';
import type { RemoteFile, UploadCheckpoint, UploadTarget } from '../../providers/provider.js';
import { isSameRevision } from '../../providers/revision.js';
import { storedMd5 } from '../../providers/stored-md5.js';
import { isTemporaryName } from '../../providers/temporary-names.js';
import type { WaitBudget } from '../../providers/wait-budget.js';
import { NOT_SENT } from '../../spool/journal.js';
import type { SpoolFile } from '../../spool/spool-file.js';
import { type Ino, type Inode, remoteFileOf, remoteFolderOf } from '../../tree/inode.js';
import type { Relocation } from '../content/relocation.js';
import { conflictName, otherName } from '../core/conflict-name.js';
import { type Core, inodeOf, pathOf } from '../core/core.js';
import { disposeRemote } from '../core/dispose-remote.js';
import { FsError } from '../core/fs-error.js';
import type { FileState } from '../core/open-files.js';
import { type NameHolder, nameHolder } from './name-holder.js';
import type { Orphans } from './orphans.js';
import { confirmedWithin } from './policy.js';
import { followRemoteMove } from './remote-moves.js';

export interface Content {
  readonly state: FileState;
  readonly spool: SpoolFile;
  /** Computed once, on demand. */
  readonly digest: () => Promise<Digest>;
  readonly signal: AbortSignal;
  /** One deadline for the whole delivery. */
  readonly waitBudget: WaitBudget;
}

export interface Delivered {
  readonly remote: RemoteFile;
  /** Stored under another name: its own name holds another client's content. */
  readonly isConflict: boolean;
}

export class Delivery {
  readonly #core: Core;
  readonly #orphans: Orphans;
  readonly #relocation: Relocation;

  constructor(core: Core, orphans: Orphans, relocation: Relocation) {
    this.#core = core;
    this.#orphans = orphans;
    this.#relocation = relocation;
  }

  async deliver(ino: Ino, content: Content, isSecondTry = false): Promise<Delivered> {
    const current = await this.#current(inodeOf(this.#core, ino), content, isSecondTry);
    const { base } = content.spool;
    if (current !== null && base !== null && isSameRevision(current, base)) {
      try {
        return await this.#replace(current, content);
      } catch (error) {
        // Probably removed or replaced since it was confirmed: ask for the current state, once.
        const isOther = ['not-found', 'revision-changed', 'exists'].includes(codeOf(error) ?? '');
        if (!isOther || isSecondTry) throw error;
        if (codeOf(error) === 'exists') await this.#removeRepeats(ino, content.state, content);
        return this.deliver(ino, content, true);
      }
    }
    for (let again = false; ; again = true) {
      this.#relocation.relocate(ino);
      const { parentId, parent } = await this.#folderOf(ino, content.signal);
      // `ensureFolder` may have moved the file: read its name and folder again.
      const inode = inodeOf(this.#core, ino);
      const target = { parentId, name: inode.remote?.name ?? inode.name };
      try {
        if (current === null) return await this.#sendNew(parent, target, inode, content);
        return await this.#storeBeside(current, target, inode, content);
      } catch (error) {
        // The folder is resolved anew, once: it was removed, or has another id because it was moved by a copy.
        const hasOtherId = codeOf(error) === 'not-found' && inodeOf(this.#core, parent.ino).remote?.id !== parentId;
        if (again || !(hasOtherId || (await this.#relocation.isFolderGone(parent.ino, error)))) throw error;
      }
    }
  }

  /** The folder for a new file. It is created again if another client has removed it. */
  async #folderOf(ino: Ino, signal: AbortSignal): Promise<{ parentId: string; parent: Inode }> {
    const { parent } = inodeOf(this.#core, ino);
    if (parent === null) throw new FsError('ENOENT', 'it has no name any more');
    const { id } = await this.#relocation.ensureFolder(parent, signal);
    // The file's directory may have moved, with the file, into another one.
    return { parentId: id, parent: inodeOf(this.#core, inodeOf(this.#core, ino).parent ?? parent) };
  }

  /**
   * Stores a new file. If the provider says that the name is taken but lists no such entry, tries once more: the entry
   * may be gone again.
   */
  async #sendNew(parent: Inode, target: UploadTarget, inode: Inode, content: Content): Promise<Delivered> {
    for (let again = false; ; again = true) {
      try {
        return delivered(await this.#send(target, content));
      } catch (error) {
        if (codeOf(error) !== 'exists') throw error;
      }
      const holder = await this.#holderOf(parent, target.name, inode.ino, content);
      if (holder === undefined && !again) continue;
      const file = holder?.entry?.kind === 'file' ? holder.entry : null;
      return this.#storeBeside(file, target, inode, content, holder?.isOtherName);
    }
  }

  /**
   * If one of our own attempts has stored a file under the name, that file becomes the remote side of the inode. If it lies beside the
   * version that it should have replaced, it is removed instead: that version is still the base, and the content is still here.
   */
  async adoptStoredAttempt(inode: Inode, state: FileState): Promise<void> {
    if (await this.#removeRepeats(inode.ino, state)) return;
    const { attempts } = state;
    const { table, directories } = this.#core;
    const parent = inode.parent === null ? undefined : table.get(inode.parent);
    if (parent?.remote == null) return;
    const holder = (await this.#holderOf(parent, inode.remote?.name ?? inode.name, inode.ino))?.entry;
    if (holder?.kind !== 'file' || holder.id === inode.remote?.id) return;
    if (!attempts.has(await storedMd5(this.#core.provider, holder))) return;
    table.transaction(() => {
      const duplicate = table.byRemote('file', holder.id);
      if (duplicate !== undefined) table.update(duplicate.ino, { parent: null, remote: null });
      table.update(inode.ino, { remote: holder });
    });
    directories.changes.note('file', holder.id);
  }

  /**
   * Removes files that our attempts have stored beside the remote file of an inode, under the same name. False: the remote file is not
   * there.
   */
  async #removeRepeats(
    ino: Ino,
    { attempts }: FileState,
    { signal, waitBudget }: Partial<Content> = {},
  ): Promise<boolean> {
    const { table, provider } = this.#core;
    const inode = inodeOf(this.#core, ino);
    const old = remoteFileOf(inode);
    const folder = inode.parent === null ? null : remoteFolderOf(inodeOf(this.#core, inode.parent));
    if (old === null || folder === null) return false;
    const named = (await provider.list(folder, { signal, waitBudget })).filter(({ name }) => name === old.name);
    if (!named.some(({ id }) => id === old.id)) return false;
    for (const other of named) {
      if (other.kind !== 'file' || other.id === old.id) continue;
      // It was written to: it is a file of its own.
      if ((table.byRemote('file', other.id)?.localSize ?? null) !== null) continue;
      if (!attempts.has(await storedMd5(provider, other, signal))) continue;
      await this.#orphans.remove(other, () => disposeRemote(this.#core, other, { signal }));
    }
    return true;
  }

  /**
   * The name belongs to a file that is not our base. The file may still be ours, from an upload whose answer was lost. Otherwise our
   * content is stored beside it under a conflict name. With `isOtherName` the service only takes our name for another one: then our file
   * gets another name there, and keeps its own here.
   */
  async #storeBeside(
    holder: RemoteFile | null,
    target: UploadTarget,
    inode: Inode,
    content: Content,
    isOtherName = false,
  ): Promise<Delivered> {
    if (holder !== null) {
      const { md5 } = await content.digest();
      const { attempts } = content.state;
      // If the size differs and no attempt of ours can be there, its bytes need not be read.
      const isOther = holder.size !== content.spool.size && attempts.size === 0;
      const held = isOther ? null : await storedMd5(this.#core.provider, holder, content.signal);
      if (held === md5) {
        // The unfinished new upload has no name, and nobody would ever resume it.
        this.#core.journal.abandon(inode.ino);
        return delivered(holder);
      }
      if (held !== null && attempts.has(held)) return this.#replace(holder, content);
    }
    const { clock, options, provider, log } = this.#core;
    const { maxNameLength } = provider.capabilities;
    const beside = isOtherName
      ? otherName(target.name, maxNameLength)
      : conflictName(target.name, new Date(clock.now()), options.host, maxNameLength);
    const why = isOtherName ? 'has a name that the service takes for another one' : 'was changed at the provider';
    log.warn({ ino: inode.ino }, `${pathOf(this.#core, inode.ino)} ${why}; ours is stored as ${beside}`);
    const remote = await this.#send({ parentId: target.parentId, name: beside }, content);
    return { remote, isConflict: !isOtherName };
  }

  /** Replaces the current version under its name at the provider, whatever its name here. */
  async #replace(current: RemoteFile, content: Content): Promise<Delivered> {
    const { parentId, name } = current;
    return delivered(await this.#send({ parentId, name, replaces: current }, content));
  }

  async #send(target: UploadTarget, { state, spool, digest, signal, waitBudget }: Content): Promise<RemoteFile> {
    const { provider, journal, files } = this.#core;
    await this.#orphans.clear(target, signal);
    const attempt = await digest();
    // The attempts are in order: the last one is of this very content.
    const isFirst = !state.attempts.delete(attempt.md5);
    state.attempts.add(attempt.md5);
    let isNoted = false;
    /** May a part of the content have reached the service? Null: no request carried content. */
    let mayBeThere: boolean | null = null;
    // The row of a file that was unlinked meanwhile is gone, and must not come back.
    const noteSending = (checkpoint?: UploadCheckpoint): void => {
      isNoted = true;
      if (!state.unlinked) journal.sending(state.ino, state.attempts, checkpoint);
    };
    // One journal write for attempt and checkpoint, if the provider has a checkpoint before it asks for the first byte.
    const source = {
      ...beforeFirstRead(spool.source(digest), () => {
        if (!isNoted) noteSending();
      }),
      onOutcome: (mayHaveArrived: boolean) => {
        mayBeThere = mayBeThere === true || mayHaveArrived;
      },
    };
    if (source.size === 0) noteSending();
    const uploading = provider.upload(target, source, {
      signal,
      waitBudget,
      resume: journal.get(state.ino)?.checkpoint ?? undefined,
      onProgress: (sent) => {
        // `sent` goes back when a part is sent again.
        files.sentBytes += Math.max(0, sent - state.sent);
        state.sent = sent;
      },
      onCheckpoint: (checkpoint) => {
        if (!isNoted) noteSending(checkpoint);
        else if (!state.unlinked) journal.setCheckpoint(state.ino, checkpoint);
      },
    });
    try {
      return await uploading;
    } catch (error) {
      // Nothing of this content has left this machine, so a change of the name need not ask the service for it.
      if (isFirst && (!isNoted || mayBeThere === false)) {
        state.attempts.delete(attempt.md5);
        if (isNoted && !state.unlinked)
          journal.setAttempts(state.ino, state.attempts.size === 0 ? [] : [...state.attempts, NOT_SENT]);
      }
      // The provider stored a damaged copy: the next attempt will find it there and must know it as our own.
      const damaged = error instanceof ProviderError ? error.data.storedMd5 : undefined;
      if (typeof damaged === 'string') {
        state.attempts.delete(attempt.md5);
        state.attempts.add(damaged).add(attempt.md5);
        if (!state.unlinked) journal.setAttempts(state.ino, state.attempts);
      }
      throw error;
    }
  }

  /**
   * The remote file to be replaced, as it is now; null if there is none, or no longer. If another client renamed or moved it, the inode
   * follows. `isDoubtful`: the known state of the file has just turned out to be outdated.
   */
  async #current(
    inode: Inode,
    { state, spool, signal, waitBudget }: Content,
    isDoubtful: boolean,
  ): Promise<RemoteFile | null> {
    const { table, provider, directories, clock } = this.#core;
    const known = remoteFileOf(inode) ?? this.#movedBase(spool.base);
    if (known === null) return null;
    const age = clock.now() - (inode.confirmedAt ?? Number.NEGATIVE_INFINITY);
    const within = confirmedWithin(this.#core.options.ttl);
    // A negative age says nothing: the clock was set back since.
    const isConfirmed =
      (age >= 0 && age < within) || (inode.parent !== null && directories.isFresh(inode.parent, within));
    // After an upload with an unknown result the known revision may be outdated. A file that its folder no longer lists
    // may be anywhere.
    if (isConfirmed && inode.remote !== null && state.attempts.size === 0 && !isDoubtful) return known;
    try {
      const found = await provider.stat(
        { kind: 'file', id: known.id, parentId: known.parentId },
        { signal, waitBudget },
      );
      if (found.kind !== 'file') return null;
      // It stepped aside for a replacement that never finished: it must get its own name back.
      const now = isTemporaryName(found.name) ? { ...found, name: known.name } : found;
      followRemoteMove(this.#core, inode.ino, remoteFileOf(inode) ?? spool.base, now);
      return now;
    } catch (error) {
      if (codeOf(error) !== 'not-found') throw error;
      table.update(inode.ino, { remote: null });
      return null;
    }
  }

  /**
   * The current place of a base that its folder no longer lists. Another client may have moved it, and the listing of another folder may
   * have shown it there. Null if a program has already written to it there: that is another version.
   */
  #movedBase(base: RemoteFile | null): RemoteFile | null {
    if (base === null) return null;
    const duplicate = this.#core.table.byRemote('file', base.id);
    if (duplicate === undefined) return base;
    return duplicate.localSize === null ? remoteFileOf(duplicate) : null;
  }

  /** The holder of a name that the provider calls taken; undefined if no listed entry has the name. */
  async #holderOf(
    parent: Inode,
    name: string,
    ino: Ino,
    { signal, waitBudget }: Partial<Pick<Content, 'signal' | 'waitBudget'>> = {},
  ): Promise<NameHolder | undefined> {
    const folder = remoteFolderOf(parent);
    const entries = folder === null ? [] : await this.#core.provider.list(folder, { signal, waitBudget });
    return nameHolder(this.#core, ino, name, entries);
  }
}

/** The same content; `note` is called before each read of its bytes. */
function beforeFirstRead({ size, read, whileOpen, md5 }: UploadSource, note: () => void): UploadSource {
  return {
    size,
    read(offset, length) {
      note();
      return read(offset, length);
    },
    ...(whileOpen !== undefined && {
      whileOpen: (act) => {
        note();
        return whileOpen(act);
      },
    }),
    md5,
  };
}

function delivered(remote: RemoteFile): Delivered {
  return { remote, isConflict: false };
}
