/** Names and folders: create, rename, move, copy, delete. If an answer is lost, the outcome is looked up in the listings. */
import { randomBytes } from 'node:crypto';
import { type Log, silentLog } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import type { NameLocks, Place } from '../name-locks.js';
import { checkName, foldName } from '../names.js';
import type { RemoteEntry, RemoteFile, RemoteFolder, RemoteRef } from '../provider.js';
import type { AcronisApi } from './api.js';
import { entryOf, type Node, rootUuid } from './entities.js';
import { withoutName } from './error-table.js';
import type { Nodes } from './nodes.js';

/** UTF-16 code units. Not documented: the limit of common file systems. */
export const maxNameLength = 255;

export class Namespace {
  readonly #api: AcronisApi;
  readonly #nodes: Nodes;
  readonly #nameLocks: NameLocks;
  readonly #log: Log;
  /** Whether the server offers deletion. The document has no such call. */
  deletion: 'unknown' | 'offered' | 'absent' = 'unknown';
  /** The method of an action that deletes: the document names none. */
  #actionMethod: 'POST' | 'DELETE' = 'POST';

  constructor(api: AcronisApi, nodes: Nodes, nameLocks: NameLocks, log: Log = silentLog) {
    this.#api = api;
    this.#nodes = nodes;
    this.#nameLocks = nameLocks;
    this.#log = log;
  }

  createFolder(parentId: string, name: string, options: CallOptions): Promise<RemoteFolder> {
    return this.#nameLocks.during({ parentId, name }, options.signal, () =>
      this.#createFolder(parentId, name, options),
    );
  }

  async #createFolder(parentId: string, name: string, options: CallOptions): Promise<RemoteFolder> {
    checkName(name, maxNameLength);
    this.#nodes.require(parentId, 'can_create_folders_into');
    // If the name exists in another letter case, the server would rename the existing folder.
    await this.#requireFree({ parentId, name }, undefined, options);
    const lookup = async (lookupOptions: CallOptions): Promise<Node | undefined> => {
      const found = (await this.#nodes.list(parentId, lookupOptions)).find((node) => node.name === name);
      return found?.is_directory === true ? found : undefined;
    };
    const answer = await this.#clarified(
      this.#api.createFolder(parentId, name, options, lookup),
      { kind: 'folder', id: parentId },
      options,
    );
    const before = this.#nodes.nameOf(answer.uuid);
    if (before !== undefined && before !== name) {
      // Another client has created the folder since we looked, in another letter case, and our request renamed it.
      await this.#api.rename(answer.uuid, before, options, async () => false).catch(() => undefined);
      throw taken(name);
    }
    this.#nodes.remember({ ...answer, is_directory: true }, parentId);
    return entryOf({ ...answer, is_directory: true, parent_uuid: parentId }, parentId) as RemoteFolder;
  }

  /**
   * Renames and moves in two calls. If the new name is free in the old folder, the rename comes first. Else, if the old name
   * is free in the new folder, the move comes first. Else the entry gets a temporary name in between. When a call fails, the
   * calls before it are undone.
   */
  async move(entry: RemoteEntry, to: Place, options: CallOptions): Promise<RemoteEntry> {
    const from: Place = { parentId: entry.parentId ?? rootUuid, name: entry.name };
    const renames = to.name !== from.name;
    const moves = to.parentId !== from.parentId;
    if (renames) checkName(to.name, maxNameLength);
    if (!renames && !moves) return (await this.#nodes.find(entry, options)) ?? notFound();
    if (renames) this.#nodes.require(entry.id, 'can_be_renamed');
    if (moves) {
      this.#nodes.require(entry.id, 'can_be_moved');
      const into = entry.kind === 'file' ? 'can_create_files_into' : 'can_create_folders_into';
      this.#nodes.require(to.parentId, into);
    }
    return this.#nameLocks.during(to, options.signal, () => this.#moveTo(entry, from, to, options));
  }

  async #moveTo(entry: RemoteEntry, from: Place, to: Place, options: CallOptions): Promise<RemoteEntry> {
    await this.#requireFree(to, entry.id, options);
    const done: Place[] = [from];
    const way = await this.#way(entry.id, from, to, options);
    try {
      for (const step of [...way.between, to]) {
        await this.#step(entry, done.at(-1) ?? from, step, options);
        done.push(step);
      }
    } catch (error) {
      await this.#rollBack(entry, done);
      throw error;
    } finally {
      way.release();
    }
    return { ...entry, ...to };
  }

  /** Plans the intermediate places, and locks their names until `release`. */
  async #way(
    id: string,
    from: Place,
    to: Place,
    options: CallOptions,
  ): Promise<{ readonly between: readonly Place[]; readonly release: () => void }> {
    if (from.parentId === to.parentId || from.name === to.name) return { between: [], release: () => undefined };
    const candidates = [
      { parentId: from.parentId, name: to.name },
      { parentId: to.parentId, name: from.name },
    ];
    for (const place of candidates) {
      const release = this.#nameLocks.tryAcquire(place);
      if (release === undefined) continue;
      const holder = await this.#nodes.holder(place.parentId, place.name, options).catch((error: unknown) => {
        release();
        throw error;
      });
      if (holder === undefined || holder === id) return { between: [place], release };
      release();
    }
    const name = `.syncmount-${randomBytes(6).toString('hex')}-${from.name}`.slice(0, 200);
    const between = [
      { parentId: from.parentId, name },
      { parentId: to.parentId, name },
    ];
    return { between, release: () => undefined };
  }

  /** One call: another name or another folder. */
  async #step(entry: RemoteEntry, from: Place, to: Place, options: CallOptions): Promise<void> {
    const isDone = async (lookup: CallOptions): Promise<boolean> =>
      (await this.#nodes.list(to.parentId, lookup)).some((node) => node.uuid === entry.id && node.name === to.name);
    const call =
      from.parentId === to.parentId
        ? this.#api.rename(entry.id, to.name, options, isDone)
        : this.#api.place('move', entry.id, to.parentId, options, isDone);
    await this.#clarified(call, { ...entry, parentId: from.parentId }, options).catch((error: unknown) => {
      this.#nodes.forgetFolder(from.parentId);
      this.#nodes.forgetFolder(to.parentId);
      // A move does not change the name, so "Object Invalid" is not about the name.
      if (from.parentId !== to.parentId && isCode(error, 'invalid-name'))
        throw new ProviderError('permission', (error as ProviderError).message, { cause: error, data: {} });
      throw error;
    });
    this.#nodes.relocate({ ...entry, ...from }, to.parentId, to.name);
  }

  /** Undoes steps. It ignores the caller's signal, which may have ended the failed step. */
  async #rollBack(entry: RemoteEntry, done: readonly Place[]): Promise<void> {
    for (let i = done.length - 1; i > 0; i--) {
      const at = done[i] as Place;
      const back = done[i - 1] as Place;
      try {
        await this.#step(entry, at, back, {});
      } catch (error) {
        this.#log.error({ id: entry.id, code: codeOf(error) }, `half a move could not be undone: it is now ${at.name}`);
        return;
      }
    }
  }

  /** Copies a file. The service keeps the name and does not return the copy, so we find it in the listing. */
  async copy(file: RemoteFile, to: Place, options: CallOptions): Promise<RemoteFile> {
    checkName(to.name, maxNameLength);
    if (to.parentId === file.parentId)
      throw new ProviderError('unsupported', 'Acronis cannot copy a file within its folder', { data: {} });
    this.#nodes.require(file.id, 'can_be_copied');
    this.#nodes.require(to.parentId, 'can_create_files_into');
    await this.#requireFree(to, undefined, options);
    if (to.name !== file.name && (await this.#nodes.holder(to.parentId, file.name, options)) !== undefined)
      throw new ProviderError('unsupported', 'the name of the original is taken in the other folder', { data: {} });
    const before = new Set((await this.#nodes.list(to.parentId, options)).map((node) => node.uuid));
    const copied = async (lookup: CallOptions): Promise<Node | undefined> =>
      (await this.#nodes.list(to.parentId, lookup)).find(
        (node) => !before.has(node.uuid) && foldName(node.name) === foldName(file.name),
      );
    const isDone = async (lookup: CallOptions): Promise<boolean> => (await copied(lookup)) !== undefined;
    const placed = this.#api.place('copy', file.id, to.parentId, options, isDone).catch((error: unknown) => {
      throw withoutName(error);
    });
    await this.#clarified(placed, file, options);
    const node = await copied(options);
    if (node === undefined) throw new ProviderError('protocol', 'the copy is not in its folder', { data: {} });
    const entry = entryOf(node, to.parentId) as RemoteFile;
    if (entry.name === to.name) return entry;
    try {
      return (await this.move(entry, to, options)) as RemoteFile;
    } catch (error) {
      await this.remove(entry, {}).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Deletes a node. The document has no call for it. If the node's actions contain one, it is used. Else `DELETE` on the node
   * is tried, once per account, because a server without it says so.
   */
  async remove(entry: RemoteEntry, options: CallOptions): Promise<void> {
    if (this.deletion === 'absent') throw cannotDelete();
    this.#nodes.require(entry.id, 'can_be_deleted');
    const action = await this.#nodes.action(entry, ['delete', 'remove', 'trash'], options);
    const isGone = async (lookup: CallOptions): Promise<boolean> =>
      (await this.#nodes.find(entry, lookup)) === undefined;
    const template = '/sync_and_share_nodes/{uuid}';
    const url = action ?? this.#api.nodeUrl(entry.id);
    try {
      // If the action's URL is the node itself, the method is DELETE, as the document shows it for devices.
      const method = action === undefined || action.endsWith(entry.id) ? 'DELETE' : this.#actionMethod;
      const call = this.#api.actionCall(method, action === undefined ? template : `${template} (action)`, url, {
        idempotent: true,
      });
      await this.#api.act(call, options, isGone).catch(async (error: unknown) => {
        if (method === 'DELETE' || !isRefusal(error)) throw error;
        // The server refused POST, or the deletion: try DELETE, as the document shows it for devices.
        await this.#api.act({ ...call, method: 'DELETE', route: `DELETE ${template} (action)` }, options, isGone);
        this.#actionMethod = 'DELETE';
      });
    } catch (error) {
      if (!isRefusal(error) && !isCode(error, 'protocol')) throw withoutName(error);
      if (await isGone(options)) {
        this.#nodes.forget(entry);
        throw new ProviderError('not-found', 'it is gone already', { cause: error, data: {} });
      }
      // If the server has deleted other nodes, or refuses only this one, its error stands. But if the node, as just listed, may be deleted
      // and has no action for that, the server does not offer the call at all.
      this.#nodes.require(entry.id, 'can_be_deleted');
      const isOfNode = isCode(error, 'permission') && action !== undefined;
      if (this.deletion === 'offered' || isOfNode) throw error;
      this.deletion = 'absent';
      throw cannotDelete(error);
    }
    if (this.deletion === 'unknown') {
      // The first time, check that the server has really deleted the node.
      if (!(await isGone(options))) {
        this.deletion = 'absent';
        throw cannotDelete();
      }
      this.deletion = 'offered';
    }
    this.#nodes.forget(entry);
  }

  async #requireFree(place: Place, except: string | undefined, options: CallOptions): Promise<void> {
    const isTaken = async (): Promise<boolean> => {
      const holder = await this.#nodes.holder(place.parentId, place.name, options);
      return holder !== undefined && holder !== except;
    };
    if (!(await isTaken())) return;
    // Another client may have taken the name away since the folder was listed: refuse only after a new listing.
    this.#nodes.forgetFolder(place.parentId);
    if (await isTaken()) throw taken(place.name);
  }

  /** Passes on the result of a request about one node. A 403 becomes `not-found` or `permission`, see `Nodes.clarified`. */
  async #clarified<T>(work: Promise<T>, ref: RemoteRef, options: CallOptions): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw await this.#nodes.clarified(error, ref, options);
    }
  }
}

function taken(name: string): ProviderError {
  return new ProviderError('exists', `'${name}' is taken, perhaps in another letter case`, { data: {} });
}

function cannotDelete(cause?: unknown): ProviderError {
  return new ProviderError('unsupported', 'this Acronis server offers no way to delete through its API', {
    cause,
    data: {},
  });
}

function notFound(): never {
  throw new ProviderError('not-found', 'it is not in its folder any more', { data: {} });
}

function isCode(error: unknown, code: ProviderError['code']): boolean {
  return error instanceof ProviderError && error.code === code;
}

/** What a server may answer to a method that it does not offer. */
function isRefusal(error: unknown): boolean {
  return isCode(error, 'unsupported') || isCode(error, 'not-found') || isCode(error, 'permission');
}

function codeOf(error: unknown): string {
  return error instanceof ProviderError ? error.code : 'protocol';
}
