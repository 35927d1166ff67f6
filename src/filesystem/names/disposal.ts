/**
 * Objects that lose their name: they go to the trash, are deleted for ever, or step aside for the handles that still read them.
 * Invariant: nothing here changes a row of the table.
 */
import { steadyTimeOf } from '../../base/clock.js';
import { codeOf, messageOf } from '../../base/errors.js';
import type { RemoteEntry, RemoteFile } from '../../providers/provider.js';
import type { Ino } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import type { Contents } from '../content/contents.js';
import type { Core } from '../core/core.js';
import { extendDeadline } from '../core/deadlines.js';
import { disposeRemote } from '../core/dispose-remote.js';
import { FsError } from '../core/fs-error.js';
import type { AsideFile, FileState } from '../core/open-files.js';
import type { AsideFiles } from './removed-while-open.js';

export class Disposal {
  /** Called with the bytes removed at the provider, and whether they went to the trash. */
  onRemoved: (bytes: number, toTrash: boolean) => void = () => {};
  /** Called with an object that went to the trash of the service. */
  onTrashed: (remote: RemoteEntry) => void = () => {};
  readonly #core: Core;
  readonly #contents: Contents;
  readonly #asideFiles: AsideFiles;

  constructor(core: Core, contents: Contents, asideFiles: AsideFiles) {
    this.#core = core;
    this.#contents = contents;
    this.#asideFiles = asideFiles;
  }

  /**
   * Removes an object, to the trash or permanently as the mount options say. An object that is already gone is no
   * error.
   */
  async dispose(remote: RemoteEntry, caller?: Caller): Promise<RemoteEntry | null> {
    const { provider } = this.#core;
    if (remote.kind === 'file' && this.#asideFiles.leaveToReaders(remote)) return null;
    try {
      this.requireDeletes();
      // Every directory that is removed was seen to be empty.
      const { signal, deadline } = caller ?? {};
      const gone = await disposeRemote(this.#core, remote, { signal, deadline, onlyEmpty: remote.kind === 'folder' });
      if (gone !== null) this.onTrashed(remote);
      this.onRemoved(bytesOf(remote), gone !== null);
      return gone;
    } catch (error) {
      const isImplied = remote.kind === 'folder' && provider.capabilities.folders === 'implied';
      if (isImplied && codeOf(error) === 'exists') throw new FsError('ENOTEMPTY', messageOf(error), { cause: error });
      if (codeOf(error) === 'unsupported') throw new FsError('EPERM', messageOf(error), { cause: error });
      if (codeOf(error) !== 'not-found') throw error;
    }
    return null;
  }

  /** EPERM if the provider has no way to remove anything. */
  requireDeletes(): void {
    const { name, capabilities } = this.#core.provider;
    if (!capabilities.permanentDelete && !capabilities.trash) {
      throw new FsError('EPERM', `${name} offers no way to delete`);
    }
  }

  /**
   * Moves a file aside if open handles still need it at the provider. Null if they do not, if their bytes were fetched instead, or if the
   * file is gone already.
   */
  async stepAside(state: FileState | undefined, remote: RemoteFile, caller?: Caller): Promise<AsideFile | null> {
    if (!this.#asideFiles.isNeeded(state)) return null;
    this.requireDeletes();
    try {
      const aside = await this.#asideFiles.stepAside(remote, caller);
      if (aside === null) await this.fetchForReaders(state, caller);
      return aside;
    } catch (error) {
      // It is gone already: there is nothing to read.
      if (codeOf(error) !== 'not-found') throw error;
      return null;
    }
  }

  /**
   * The next upload will replace the content of a file that other handles have open. They continue with a copy at the
   * provider, or with bytes that are fetched here.
   */
  async copyAside(ino: Ino, old: RemoteFile, caller: Caller | undefined): Promise<AsideFile | null> {
    const state = this.#core.files.state(ino);
    if (!this.#asideFiles.isNeeded(state)) return null;
    const aside = await this.#asideFiles.copyAside(old, caller).catch((error: unknown) => {
      if (codeOf(error) !== 'not-found') throw error;
      return null;
    });
    if (aside === null) await this.fetchForReaders(state, caller);
    return aside;
  }

  /**
   * Fetches the bytes that open handles may need after the removal. The time for that does not count against the
   * deadline.
   */
  async fetchForReaders(state: FileState, caller: Caller | undefined): Promise<void> {
    const since = steadyTimeOf(this.#core.clock).now();
    await this.#contents.fetchForReaders(state, caller?.signal);
    extendDeadline(this.#core, caller, since);
  }
}

function bytesOf(remote: RemoteEntry): number {
  return remote.kind === 'file' ? remote.size : 0;
}
