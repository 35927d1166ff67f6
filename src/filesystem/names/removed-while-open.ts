/**
 * Files that lose their name while programs have them open and whose content is not all on this machine. They are moved
 * aside at the provider (NFS: silly rename), where reads continue by ranges, and are disposed of after the last close.
 * So a removal never waits for a transfer.
 *
 * They are moved to the account's root: any other folder may be removed meanwhile, and they with it.
 */
import { randomBytes } from 'node:crypto';
import { codeOf, messageOf } from '../../base/errors.js';
import { WHOLE_FILE_BYTES } from '../../cache/read-ahead.js';
import type { ProviderErrorCode } from '../../providers/errors.js';
import type { RemoteEntry, RemoteFile } from '../../providers/provider.js';
import { openFileMark } from '../../providers/temporary-names.js';
import { withMark } from '../../tree/local-names.js';
import type { Caller } from '../api.js';
import type { Contents } from '../content/contents.js';
import type { Core } from '../core/core.js';
import { isPastDeadline, isUnavailable } from '../core/deadlines.js';
import type { AsideFile, FileState } from '../core/open-files.js';
import type { Intent } from '../core/replace-intent.js';
import type { Intents } from '../recovery/intents.js';
import { LONGEST_NAME } from '../recovery/retained-versions.js';
import { isUndeletable } from '../uploads/orphans.js';

/** Errors by which the account refuses the move aside: another try changes nothing. */
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
    return state !== undefined && this.#core.provider.capabilities.moveFile && needsProvider(this.#core, state);
  }

  /** The place where a file of that name waits for its last close. */
  placeOf(name: string): { readonly parentId: string; readonly name: string } {
    const longest = Math.min(this.#core.provider.capabilities.maxNameLength, LONGEST_NAME);
    return { parentId: this.#folder, name: withMark(name, openFileMark(randomBytes(6).toString('hex')), longest) };
  }

  /**
   * Moves the file aside. If the process dies before `commit`, or this fails, it gets its name back. Null: the account
   * refuses the move. Throws `not-found` if the file is gone.
   */
  async stepAside(file: RemoteFile, caller: Caller | undefined): Promise<AsideFile | null> {
    const place = this.placeOf(file.name);
    const intent = await this.#begin(file, place, null);
    return this.#attempt(intent, caller, () => this.#core.provider.move(file, place, caller));
  }

  /** Copies the file aside for its readers: the file keeps its name, and its content will be replaced. */
  async copyAside(file: RemoteFile, caller: Caller | undefined): Promise<AsideFile | null> {
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
  ): Promise<AsideFile | null> {
    try {
      const file = await act();
      if (file.kind === 'file') return { intent, file };
    } catch (error) {
      if (this.isRefusal(error)) {
        this.#intents.end(intent);
        return null;
      }
      if (codeOf(error) === 'not-found') this.#intents.end(intent);
      // The caller has gone, or its time is over and the provider is unavailable: undoing waits for the background.
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

  /**
   * The removal of the name is final: from now on the file is to be disposed of. Run in the transaction that removes
   * the name.
   */
  commit({ intent, file }: AsideFile): void {
    this.#intents.markAside(intent, file);
  }

  /** Switches the open handles to the file that was moved aside. */
  attach(state: FileState, aside: AsideFile): void {
    state.aside = aside;
    state.lastRevision = aside.file;
    this.#contents.noteMoved(state, aside.file);
    this.#contents.abandon(state);
  }

  /** The last handle is closed: disposes of the file. */
  release(state: FileState): void {
    const { aside } = state;
    if (aside === null || this.#isClosed) return;
    state.aside = null;
    const disposal = this.#release(aside)
      .catch((error) => this.#core.log.error({ error }, 'the end of a removed file'))
      .finally(() => this.#disposals.delete(disposal));
    this.#disposals.add(disposal);
  }

  async #release({ intent, file }: AsideFile): Promise<void> {
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

  /** No request goes to the provider any more. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * The kernel has no references any more: disposes of all files without an open handle. Resolves when they are gone,
   * or cannot go now.
   */
  async disposeUnopened(): Promise<void> {
    for (const state of this.#core.files.states()) if (state.handles.size === 0) this.release(state);
    await Promise.all(this.#disposals);
  }
}

/**
 * Can open handles still need more bytes from the provider than one request brings? (A small content is fetched instead:
 * then the provider's answer to the removal itself is the result of the call.)
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
