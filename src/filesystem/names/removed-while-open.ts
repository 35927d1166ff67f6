/**
 * Files that lose their name while programs have them open, and before all their content is on this machine. They are moved aside at the
 * provider (NFS: silly rename). Reads continue there by ranges, and the last close disposes of the file. So a removal never waits for a
 * transfer.
 *
 * They are moved to the account's root, because any other folder may be removed meanwhile, with the files in it.
 *
 * A provider that cannot move files hides them where they lie. An upload of the same name would overwrite such a file. So `vacate` first
 * fetches its content for the open handles, and the file is removed. If the upload will become the new version of the file (rename over
 * it), the file is neither hidden nor removed.
 */
import { randomBytes } from 'node:crypto';
import { codeOf, messageOf } from '../../base/errors.js';
import { WHOLE_FILE_BYTES } from '../../cache/read-ahead.js';
import type { ProviderErrorCode } from '../../providers/errors.js';
import { mayBecome } from '../../providers/names.js';
import type { RemoteEntry, RemoteFile, UploadTarget } from '../../providers/provider.js';
import { openFileMark } from '../../providers/temporary-names.js';
import { withMark } from '../../tree/local-names.js';
import type { Caller } from '../api.js';
import type { Contents } from '../content/contents.js';
import { noteMoved } from '../content/revisions.js';
import type { Core } from '../core/core.js';
import { isPastDeadline, isUnavailable } from '../core/deadlines.js';
import type { AsideFile, FileState, MovedFile, UnmovedFile } from '../core/open-files.js';
import type { Intent } from '../core/replace-intent.js';
import type { Intents } from '../recovery/intents.js';
import { LONGEST_NAME } from '../recovery/retained-versions.js';
import { isUndeletable } from '../uploads/orphans.js';
import { requireBudgetToFetch } from '../uploads/request-budget.js';

/** Errors by which the account refuses the move aside: a retry changes nothing. */
const refusals: ReadonlySet<string> = new Set<ProviderErrorCode>([
  'exists',
  'permission',
  'invalid-name',
  'limit',
  'quota',
  'too-large',
  'unsupported',
]);

export class AsideFiles {
  /** Removes a file at the provider, to the trash or permanently as the mount options say. */
  dispose: (file: RemoteFile) => Promise<unknown> = () => Promise.resolve();
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #intents: Intents;
  readonly #folder: string;
  readonly #disposals = new Set<Promise<void>>();
  /** The states whose files stay where they are. */
  readonly #unmoved = new Set<FileState>();
  #isClosed = false;

  /** `folder`: the id of the account's root. */
  constructor(core: Core, contents: Contents, intents: Intents, folder: string) {
    this.#core = core;
    this.#contents = contents;
    this.#intents = intents;
    this.#folder = folder;
  }

  /** Must the file be moved aside rather than removed at once? */
  isNeeded(state: FileState | undefined): state is FileState {
    const { capabilities, hide } = this.#core.provider;
    return state !== undefined && (capabilities.moveFile || hide !== undefined) && needsProvider(this.#core, state);
  }

  /** The place where a file of that name waits for its last close. */
  placeOf(name: string): { readonly parentId: string; readonly name: string } {
    const longest = Math.min(this.#core.provider.capabilities.maxNameLength, LONGEST_NAME);
    return { parentId: this.#folder, name: withMark(name, openFileMark(randomBytes(6).toString('hex')), longest) };
  }

  /**
   * Moves the file aside. If this fails, or the process dies before `commit`, the file gets its name back. Null: the account refuses the
   * move. Throws `not-found` if the file is gone.
   */
  async stepAside(file: RemoteFile, caller: Caller | undefined): Promise<AsideFile | null> {
    if (this.#core.provider.hide !== undefined) return { file, goesAfterwards: true, row: null };
    const place = this.placeOf(file.name);
    const intent = await this.#begin(file, place, null);
    return this.#attempt(intent, caller, () => this.#core.provider.move(file, place, caller));
  }

  /**
   * Copies the file aside for its readers: the file keeps its name, and its content will be replaced. At a provider that hides files,
   * readers use the file itself until that upload. Null: the provider cannot copy, or refuses.
   */
  async copyAside(file: RemoteFile, caller: Caller | undefined): Promise<AsideFile | null> {
    if (this.#core.provider.hide !== undefined) return { file, goesAfterwards: false, row: null };
    if (!this.#core.provider.capabilities.copyFile) return null;
    const place = this.placeOf(file.name);
    const intent = await this.#begin(file, place, file);
    return this.#attempt(intent, caller, () => this.#core.provider.copy(file, place, caller));
  }

  async #begin(
    old: RemoteFile,
    place: { parentId: string; name: string },
    successor: RemoteFile | null,
  ): Promise<Intent> {
    const { parentId, name } = old;
    const intent = this.#intents.begin({
      old,
      parentId,
      name,
      aside: place.name,
      asideIn: place.parentId,
      successor,
    });
    await this.#core.state.durable();
    return intent;
  }

  async #attempt(
    intent: Intent,
    caller: Caller | undefined,
    act: () => Promise<RemoteEntry>,
  ): Promise<MovedFile | null> {
    try {
      const file = await act();
      if (file.kind === 'file') return { intent, file };
    } catch (error) {
      if (this.isRefusal(error)) {
        this.#intents.end(intent);
        return null;
      }
      if (codeOf(error) === 'not-found') this.#intents.end(intent);
      // The caller has gone, or its time is over and the provider is unavailable: the undo runs later, in the background.
      else if (codeOf(error) === 'aborted' || (isUnavailable(error) && isPastDeadline(this.#core, caller)))
        this.#intents.retryLater(intent);
      else await this.#intents.undo(intent);
      throw error;
    }
    await this.#intents.undo(intent);
    return null;
  }

  isRefusal(error: unknown): boolean {
    return refusals.has(codeOf(error) ?? '');
  }

  /** The removal of the name is final: from now on the file must be disposed of. Call this in the transaction that removes the name. */
  commit(aside: AsideFile): void {
    if (isMoved(aside)) this.#intents.markAside(aside.intent, aside.file);
    else if (aside.goesAfterwards) aside.row = this.#intents.markHidden(aside.file);
  }

  /** Switches the open handles to the file that was moved aside. */
  attach(state: FileState, aside: AsideFile): void {
    state.aside = aside;
    state.lastRevision = aside.file;
    if (!isMoved(aside)) {
      this.#unmoved.add(state);
      if (aside.row !== null) this.#core.provider.hide?.(aside.file);
    }
    noteMoved(this.#core, state, aside.file);
    this.#contents.abandon(state);
  }

  /**
   * Called when the file that would have become this object's new version is removed. True: programs still read the old content, so the
   * object is hidden instead, and removed after their last close.
   */
  leaveToReaders({ id }: RemoteFile): boolean {
    for (const { aside } of this.#unmoved) {
      if (aside === null || isMoved(aside) || aside.file.id !== id || aside.row !== null) continue;
      aside.row = this.#intents.markHidden(aside.file);
      this.#core.provider.hide?.(aside.file);
      return true;
    }
    return false;
  }

  /**
   * Call this before something is stored where a hidden file lies. It fetches the content for the open handles, and hands the file to the
   * orphans if it must be removed. Throws if the content cannot be fetched now, but not if the content is lost: then nobody can read it.
   */
  async vacate(target: UploadTarget, signal?: AbortSignal): Promise<void> {
    for (const state of [...this.#unmoved]) {
      const { aside } = state;
      if (aside === null || isMoved(aside) || !isAt(aside.file, target)) continue;
      await state.removal.during(() => this.#vacateOne(state, aside, signal));
    }
  }

  async #vacateOne(state: FileState, aside: UnmovedFile, signal: AbortSignal | undefined): Promise<void> {
    const { file } = aside;
    try {
      requireBudgetToFetch(this.#core, state, file);
      await this.#contents.fetchForReaders(state, signal);
    } catch (error) {
      if (state.handles.size > 0 && !isLost(error)) throw error;
    } finally {
      // The last handle may have been closed meanwhile.
      this.#contents.abandon(state);
    }
    if (state.aside !== aside) return;
    state.aside = null;
    this.#unmoved.delete(state);
    if (aside.row !== null) this.#intents.adoptHidden(aside.row, file);
  }

  /** The last handle is closed: disposes of the file. */
  release(state: FileState): void {
    const { aside } = state;
    if (aside === null || this.#isClosed) return;
    state.aside = null;
    this.#unmoved.delete(state);
    const disposal = this.#release(aside)
      .catch((error) => this.#core.log.error({ error }, 'the end of a removed file'))
      .finally(() => this.#disposals.delete(disposal));
    this.#disposals.add(disposal);
  }

  async #release(aside: AsideFile): Promise<void> {
    if (isMoved(aside)) await this.#disposeMoved(aside);
    else if (aside.row !== null) await this.#intents.disposeHidden(aside.row, aside.file);
  }

  async #disposeMoved({ intent, file }: MovedFile): Promise<void> {
    try {
      await this.dispose(file);
      this.#intents.end(intent);
    } catch (error) {
      // The next mount finds it in the journal.
      if (this.#isClosed) return;
      if (isUndeletable(error) || this.isRefusal(error)) return this.#intents.retain(intent);
      this.#core.log.warn({ id: file.id }, `${file.name} stays for now: ${messageOf(error)}`);
      this.#intents.disposeLater(intent, file);
    }
  }

  /** From now on, no request goes to the provider. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Called when the kernel no longer holds references: disposes of all files without an open handle. Resolves when they are gone, or
   * cannot go now.
   */
  async disposeUnopened(): Promise<void> {
    for (const state of this.#core.files.states()) if (state.handles.size === 0) this.release(state);
    await Promise.all(this.#disposals);
  }
}

function isMoved(aside: AsideFile): aside is MovedFile {
  return 'intent' in aside;
}

/** Would storing to `target` overwrite the file? */
function isAt({ id, parentId, name }: RemoteFile, target: UploadTarget): boolean {
  return target.replaces?.id === id || (target.parentId === parentId && mayBecome(target.name, name));
}

/** Has another client removed or changed the file that had to be fetched? Nobody can read the old content any longer. */
function isLost(error: unknown): boolean {
  return codeOf(error) === 'not-found' || codeOf(error) === 'revision-changed';
}

/**
 * Can open handles still need more bytes from the provider than one request brings? A small content is fetched instead: then the
 * provider's answer to the removal itself is the result of the call.
 */
export function needsProvider({ readers }: Pick<Core, 'readers'>, { handles, spool }: FileState): boolean {
  for (const { pinned, isOnOldRevision } of handles) {
    if (spool !== null && !isOnOldRevision) {
      if (!spool.isComplete() && (spool.base?.size ?? 0) > WHOLE_FILE_BYTES) return true;
      continue;
    }
    if (pinned === null || pinned.size <= WHOLE_FILE_BYTES) continue;
    const reader = readers.acquire(pinned);
    const isWhole = reader.canMoveToSpool();
    readers.release(reader);
    if (!isWhole) return true;
  }
  return false;
}
