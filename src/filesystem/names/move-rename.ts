/**
 * rename(2) at a provider that can move. It takes one request, or three over a stored file, so that neither version is ever missing: the
 * old file steps aside, the new one takes its name, and the old one goes last.
 */
import { codeOf, messageOf } from '../../base/errors.js';
import type { RemoteEntry, RemoteFile } from '../../providers/provider.js';
import type { Inode } from '../../tree/inode.js';
import type { Caller } from '../api.js';
import type { Core } from '../core/core.js';
import { isPastDeadline, isUnavailable } from '../core/deadlines.js';
import type { Intent } from '../core/replace-intent.js';
import type { Intents } from '../recovery/intents.js';
import { asideName } from '../recovery/retained-versions.js';
import { isUndeletable } from '../uploads/orphans.js';
import { followCopy } from './copied-folder.js';
import type { ApplyMove, NewPlace } from './copy-rename.js';
import type { Disposal } from './disposal.js';
import { type Namespace, type NamespaceParts, remoteIdOf } from './namespace.js';
import type { AsideFiles } from './removed-while-open.js';

export class MoveRename {
  readonly #core: Core;
  readonly #namespace: Namespace;
  readonly #intents: Intents;
  readonly #asideFiles: AsideFiles;
  readonly #disposal: Disposal;
  readonly #applyMove: ApplyMove;

  constructor(
    core: Core,
    namespace: Namespace,
    { intents, asideFiles, disposal }: NamespaceParts,
    applyMove: ApplyMove,
  ) {
    this.#core = core;
    this.#namespace = namespace;
    this.#intents = intents;
    this.#asideFiles = asideFiles;
    this.#disposal = disposal;
    this.#applyMove = applyMove;
  }

  async move(source: Inode, remote: RemoteEntry, to: NewPlace, caller?: Caller): Promise<void> {
    const { directory } = to;
    const place = { parentId: remoteIdOf(directory), name: remoteName(source, to.name) };
    const touched = [source.parent, directory.ino];
    const moved = await this.#namespace.expiringOnError(touched, () => this.#core.provider.move(remote, place, caller));
    await this.#applyMove(source, moved, to);
    if (moved.kind === 'folder' && moved.id !== remote.id) await followCopy(this.#core, source.ino);
  }

  /** Moves the old file aside, gives its name to ours, and disposes of the old one. */
  async replace(
    source: Inode,
    remote: RemoteFile,
    to: NewPlace & { readonly target: Inode },
    old: RemoteFile,
    caller: Caller | undefined,
    isRefused = false,
  ): Promise<void> {
    const { provider, log } = this.#core;
    const { directory, target } = to;
    const parentId = remoteIdOf(directory);
    const name = remoteName(source, to.name);
    const replaced = this.#core.files.state(target.ino);
    const stepsAside = !isRefused && this.#asideFiles.isNeeded(replaced);
    const place = stepsAside
      ? this.#asideFiles.placeOf(old.name)
      : { parentId, name: asideName(old.name, provider.capabilities.maxNameLength) };
    const intent = this.#intents.begin({
      ...{ old, parentId, name: old.name, successor: remote },
      ...{ aside: place.name, asideIn: place.parentId },
    });
    try {
      await this.#core.state.durable();
    } catch (error) {
      await this.#undo(intent, source, directory, error, caller);
      throw error;
    }
    let stepped: RemoteEntry;
    try {
      stepped = await provider.move(old, place, { deadline: caller?.deadline });
    } catch (error) {
      if (stepsAside && this.#asideFiles.isRefusal(error)) {
        this.#intents.end(intent);
        await this.#disposal.fetchForReaders(replaced, caller);
        return this.replace(source, remote, to, old, caller, true);
      }
      if (codeOf(error) !== 'not-found') {
        await this.#undo(intent, source, directory, error, caller);
        throw error;
      }
      this.#intents.end(intent);
      return this.move(source, remote, to, { deadline: caller?.deadline });
    }
    const aside = stepsAside && stepped.kind === 'file' ? { intent, file: stepped } : undefined;
    try {
      const moved = await provider.move(remote, { parentId, name }, { deadline: caller?.deadline });
      await this.#applyMove(source, moved, to, aside);
    } catch (error) {
      // If the service has done both moves and only this disk is full, `#undo` finishes the rename.
      await this.#undo(intent, source, directory, error, caller);
      throw error;
    }
    if (aside !== undefined) return;
    try {
      await this.#disposal.dispose(stepped);
      this.#intents.end(intent);
    } catch (error) {
      // The rename itself is done; only the old file is left over.
      if (isUndeletable(error)) return this.#intents.retain(intent);
      log.warn({ ino: target.ino }, `the replaced version stays as ${place.name} for now: ${messageOf(error)}`);
      this.#intents.retryLater(intent);
    }
  }

  async #undo(
    intent: Intent,
    source: Inode,
    directory: Inode,
    error: unknown,
    caller: Caller | undefined,
  ): Promise<void> {
    for (const ino of [source.parent, directory.ino]) if (ino !== null) this.#core.directories.expire(ino);
    // The caller's time is over and the provider is unavailable: the undo runs later, in the background.
    if (isUnavailable(error) && isPastDeadline(this.#core, caller)) this.#intents.retryLater(intent);
    else await this.#intents.undo(intent);
  }
}

/** A name that is escaped here keeps its true form at the provider until a rename changes it. */
export function remoteName(source: Inode, newName: string): string {
  return newName === source.name && source.remote !== null ? source.remote.name : newName;
}
