/**
 * Lists folders and caches, for each node, its folder, its action URLs and its permissions. The document has no call that
 * returns a single node: everything about a node comes from the listing of its folder.
 */
import { forEachInTurns } from '../../base/event-loop-turns.js';
import { lruOf } from '../../base/lru.js';
import { ProviderError } from '../errors.js';
import { BadEntry, maxEntries } from '../http/answers/entries.js';
import type { CallOptions } from '../http/client/call.js';
import { collisionKey, foldName } from '../names.js';
import type { RemoteEntry, RemoteRef } from '../provider.js';
import type { AcronisApi } from './api.js';
import { allows, entryOf, type Node, type Permission, rootFolder, rootUuid } from './entities.js';

/** Nodes in the cache; some 200 bytes each. */
const remembered = 100_000;
/** Folders whose names are in the cache. */
const rememberedFolders = 2000;
/** How long a cached listing may prove a name free, ms. After that, our upload could become a revision of another client's file. */
const believedFreeMs = 10_000;
/** How many folders a search of the whole account lists at most. */
const searchedFolders = 10_000;

/** The cached facts of a node. Nodes share URL templates to save memory. */
interface Memory {
  readonly parentId: string;
  readonly name: string;
  readonly actions: Readonly<Record<string, string>>;
  readonly denied: readonly Permission[];
}

/** The names in a folder: by `collisionKey`, the uuids and true names of the nodes that have it. */
interface Names {
  readonly holders: Map<string, Map<string, string>>;
  /** When the folder was listed, by the clock. */
  readonly at: number;
}

const permissions: readonly Permission[] = [
  'can_be_renamed',
  'can_be_moved',
  'can_be_copied',
  'can_be_deleted',
  'can_be_downloaded',
  'can_create_files_into',
  'can_create_folders_into',
];

export class Nodes {
  readonly #api: AcronisApi;
  readonly #memory = lruOf<string, Memory>(remembered);
  readonly #names = lruOf<string, Names>(rememberedFolders);
  /** Names from listings that are not complete yet, with their folders. */
  readonly #unfinished = new Map<Names, string>();
  /** Equal lists of permissions and actions are stored once. */
  readonly #shared = new Map<string, Pick<Memory, 'actions' | 'denied'>>();
  /** Our own uuid: the owner of nodes that are not shared. */
  ownUuid: string | undefined;

  constructor(api: AcronisApi) {
    this.#api = api;
  }

  /** Everything in a folder, each node once. */
  async list(uuid: string, options: CallOptions): Promise<Node[]> {
    const nodes = new Map<string, Node>();
    const bad: BadEntry[] = [];
    const at = this.#api.http.clock.now();
    let perPage: number | undefined;
    for (let page = 1; ; page++) {
      const part = await this.#api.contents(uuid, page, perPage, options);
      const before = nodes.size + bad.length;
      await forEachInTurns(part.nodes, (node) => {
        if (node instanceof BadEntry) bad.push(node);
        else nodes.set(node.uuid, node);
      });
      if (nodes.size + bad.length > maxEntries)
        throw new ProviderError('protocol', 'the server lists more than a folder can hold', { data: {} });
      // If the server returns smaller pages than requested, it also counts pages by that size.
      const granted = page === 1 ? part.nodes.length : (perPage ?? part.nodes.length);
      perPage ??= granted > 0 ? granted : undefined;
      if (!part.isPart || part.nodes.length < granted || nodes.size + bad.length === before) break;
    }
    await this.#api.bad.filter(bad, 'GET /sync_and_share_nodes/{uuid}/contents');
    const present = [...nodes.values()].filter((node) => node.is_deleted !== true && node.uuid !== uuid);
    const names: Names = { holders: new Map(), at };
    this.#unfinished.set(names, uuid);
    try {
      await forEachInTurns(present, (node) => {
        this.remember(node, uuid);
        this.#noteName(uuid, node.name, node.uuid);
      });
      // Only now that the listing is complete: a name that is missing from an incomplete listing is not free.
      this.#names.set(uuid, names);
    } finally {
      this.#unfinished.delete(names);
    }
    return present;
  }

  remember(node: Node, parentId: string): void {
    const actions: Record<string, string> = {};
    for (const [action, url] of Object.entries(node.actions ?? {}))
      if (typeof url === 'string' && url !== '') actions[action] = url.replace(node.uuid, '{uuid}');
    const denied = permissions.filter((permission) => !allows(node, permission));
    const key = JSON.stringify([actions, denied]);
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      // If URLs share no template (one token per node), the table must not grow without limit.
      if (this.#shared.size >= 1000) this.#shared.clear();
      shared = { actions, denied };
      this.#shared.set(key, shared);
    }
    const { name } = node;
    const where = node.parent_uuid ?? parentId;
    this.#memory.set(node.uuid, { parentId: where, name, ...shared });
    this.#noteName(where, name, node.uuid);
    if (node.is_shared !== true && node.read_only !== true) this.ownUuid ??= node.owner?.uuid ?? undefined;
  }

  /** Updates the cache after we renamed or moved a node. */
  relocate(entry: RemoteEntry, parentId: string, name: string): void {
    const known = this.#memory.get(entry.id);
    this.forgetName(entry.parentId ?? rootUuid, entry.name, entry.id);
    if (known !== undefined) this.#memory.set(entry.id, { ...known, parentId, name });
    this.#noteName(parentId, name, entry.id);
  }

  forget(entry: RemoteEntry): void {
    this.#memory.delete(entry.id);
    this.#names.delete(entry.id);
    this.forgetName(entry.parentId ?? rootUuid, entry.name, entry.id);
  }

  /** Drops the cached names of a folder, because they turned out to be wrong. */
  forgetFolder(uuid: string): void {
    this.#names.delete(uuid);
  }

  private forgetName(parentId: string, name: string, uuid: string): void {
    for (const { holders } of this.#namesOf(parentId)) holders.get(collisionKey(name))?.delete(uuid);
  }

  #noteName(parentId: string, name: string, uuid: string): void {
    for (const { holders } of this.#namesOf(parentId)) {
      const same = holders.get(collisionKey(name));
      if (same === undefined) holders.set(collisionKey(name), new Map([[uuid, name]]));
      else same.set(uuid, name);
    }
  }

  /** The cached names of a folder, and those of a listing in flight. */
  #namesOf(parentId: string): Names[] {
    const known = this.#names.get(parentId);
    const coming = [...this.#unfinished].flatMap(([names, folder]) => (folder === parentId ? [names] : []));
    return known === undefined ? coming : [known, ...coming];
  }

  /**
   * The uuid of the node with this name, or else with a name that the service may take to be the same: one that differs in letter case,
   * or (`mayCollide`) in what services change. Lists the folder if it is not cached; with `now`, also if the cache says that the name is
   * free but may be out of date.
   */
  async holder(
    parentId: string,
    name: string,
    options: CallOptions,
    when: 'known' | 'now' = 'known',
    isOne: SameName = isFolded,
  ): Promise<string | undefined> {
    const known = this.#names.get(parentId);
    const found = known === undefined ? undefined : holderIn(known, name, isOne);
    const age = this.#api.http.clock.now() - (known?.at ?? Number.NEGATIVE_INFINITY);
    const isBelieved =
      known !== undefined && (found !== undefined || when === 'known' || (age >= 0 && age < believedFreeMs));
    if (isBelieved) return found;
    await this.list(parentId, options).catch(async (error: unknown) => {
      throw await this.clarified(error, { kind: 'folder', id: parentId }, options);
    });
    const names = this.#names.get(parentId);
    return names === undefined ? undefined : holderIn(names, name, isOne);
  }

  /** True if several nodes have exactly this name: an upload cannot choose between them. */
  isAmbiguous(parentId: string, name: string): boolean {
    const same = this.#names.get(parentId)?.holders.get(collisionKey(name))?.values() ?? [];
    return [...same].filter((other) => other === name).length > 1;
  }

  /** The cached name of a node. */
  nameOf(uuid: string): string | undefined {
    return this.#memory.get(uuid)?.name;
  }

  /** The URL of an action of the node. Lists its folder if it is not cached. Undefined if the node has no such action. */
  async action(ref: RemoteRef, names: readonly string[], options: CallOptions): Promise<string | undefined> {
    if (!this.#memory.has(ref.id)) await this.find(ref, options);
    const actions = this.#memory.get(ref.id)?.actions ?? {};
    const url = names.map((name) => actions[name]).find((given) => given !== undefined);
    return url?.replace('{uuid}', ref.id);
  }

  /** Throws `permission` if the cached node does not allow it. Call it before sending bytes. */
  require(uuid: string, permission: Permission): void {
    if (this.#memory.get(uuid)?.denied.includes(permission) !== true) return;
    const what = permission.replace(/^can_(be_)?/, '').replaceAll('_', ' ');
    throw new ProviderError('permission', `the service does not allow this account: ${what}`, { data: { permission } });
  }

  /** The node as it is now; undefined if it is not found. */
  async find(ref: RemoteRef, options: CallOptions): Promise<RemoteEntry | undefined> {
    if (ref.id === rootUuid) return rootFolder;
    const known = this.#memory.get(ref.id)?.parentId;
    const hints = [...new Set([ref.parentId, known])].filter((hint) => typeof hint === 'string');
    for (const hint of hints) {
      const found = await this.#findIn(hint, ref.id, options);
      if (found !== undefined) return found;
    }
    // Its known folder was listed, and the node is not in it: another client has moved or removed it.
    if (hints.length > 0) return undefined;
    return await this.#search(ref.id, options);
  }

  async #findIn(parentId: string, uuid: string, options: CallOptions): Promise<RemoteEntry | undefined> {
    let nodes: Node[];
    try {
      nodes = await this.list(parentId, options);
    } catch (error) {
      // If the folder is gone, the node is gone too.
      if (error instanceof ProviderError && (error.code === 'not-found' || error.code === 'permission'))
        return undefined;
      throw error;
    }
    const node = nodes.find((candidate) => candidate.uuid === uuid);
    return node === undefined ? undefined : entryOf(node, parentId);
  }

  /** Searches the whole account breadth-first for a node whose folder is unknown. */
  async #search(uuid: string, options: CallOptions): Promise<RemoteEntry | undefined> {
    const queue = [rootUuid];
    // Each folder is listed only once, even if the server lists it in several places.
    const queued = new Set(queue);
    for (let looked = 0; looked < searchedFolders; looked++) {
      const folder = queue.shift();
      if (folder === undefined) return undefined;
      const nodes = await this.list(folder, options).catch((error: unknown) => {
        if (error instanceof ProviderError && (error.code === 'not-found' || error.code === 'permission')) return [];
        throw error;
      });
      const found = nodes.find((node) => node.uuid === uuid);
      if (found !== undefined) return entryOf(found, folder);
      for (const node of nodes) {
        if (node.is_directory !== true || queued.has(node.uuid)) continue;
        queued.add(node.uuid);
        queue.push(node.uuid);
      }
    }
    return undefined;
  }

  /**
   * "The requested file or folder does not exist or you do not have permission to access it": finds out which of the two is
   * true by listing the node's folder.
   */
  async clarified(error: unknown, ref: RemoteRef, options: CallOptions): Promise<unknown> {
    if (!(error instanceof ProviderError) || error.data.status !== 403 || ref.id === rootUuid) return error;
    if (!this.#memory.has(ref.id) && typeof ref.parentId !== 'string') return error;
    const found = await this.find(ref, options).catch(() => rootFolder);
    if (found !== undefined) return error;
    return new ProviderError('not-found', error.message, { cause: error, data: { ...error.data } });
  }
}

/** True if the service takes two names to be one. */
export type SameName = (a: string, b: string) => boolean;

const isFolded: SameName = (a, b) => foldName(a) === foldName(b);

function holderIn({ holders }: Names, name: string, isOne: SameName): string | undefined {
  const same = [...(holders.get(collisionKey(name)) ?? [])].filter(([, other]) => isOne(name, other));
  return (same.find(([, other]) => other === name) ?? same[0])?.[0];
}
