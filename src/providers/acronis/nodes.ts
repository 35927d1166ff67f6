/**
 * Listing, and what is remembered of it: where a node is, by which URL it is downloaded, what may be done with it. No
 * call of the document gets one node; all that can be known of one is in its folder's list.
 */
import { LRUCache } from 'lru-cache';
import { forEachInTurns } from '../../base/turns.js';
import { ProviderError } from '../errors.js';
import { BadEntry, maxEntries } from '../http/answers/entries.js';
import type { CallOptions } from '../http/client/client.js';
import type { RemoteEntry, RemoteRef } from '../provider.js';
import type { AcronisApi } from './api.js';
import { allows, entryOf, foldName, type Node, type Permission, rootFolder, rootUuid } from './entities.js';

/** Nodes remembered; some 200 bytes each. */
const remembered = 100_000;
/** Folders whose names are remembered. */
const rememberedFolders = 2000;
/** So long a listing is believed when it says that a name is free: another client's new file would get a revision, ms. */
const believedFreeMs = 10_000;
/** The searched-for node of a whole account: folders that are looked into at most. */
const searchedFolders = 10_000;

/** What is kept of a node. The URL is kept as a template that nodes share. */
interface Memory {
  readonly parentId: string;
  readonly name: string;
  readonly actions: Readonly<Record<string, string>>;
  readonly denied: readonly Permission[];
}

/** What a folder holds by name: folded names, and who has them, by uuid under their true names. */
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
  readonly #memory = new LRUCache<string, Memory>({ max: remembered });
  readonly #names = new LRUCache<string, Names>({ max: rememberedFolders });
  /** Names of listings that are being taken in, and their folders. */
  readonly #unfinished = new Map<Names, string>();
  /** Equal lists of permissions and actions are kept once. */
  readonly #shared = new Map<string, Pick<Memory, 'actions' | 'denied'>>();
  /** Who owns what is not shared: ourselves. */
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
      // A server that grants less than was asked for counts its pages by what it grants.
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
      // Only now: a name that half a list lacks is not free.
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
      // URLs that have nothing in common (one token per node) are not worth a table.
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

  /** The node was renamed or moved by us. */
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

  /** What was known of a folder turned out to be wrong. */
  forgetFolder(uuid: string): void {
    this.#names.delete(uuid);
  }

  private forgetName(parentId: string, name: string, uuid: string): void {
    for (const { holders } of this.#namesOf(parentId)) holders.get(foldName(name))?.delete(uuid);
  }

  #noteName(parentId: string, name: string, uuid: string): void {
    for (const { holders } of this.#namesOf(parentId)) {
      const same = holders.get(foldName(name));
      if (same === undefined) holders.set(foldName(name), new Map([[uuid, name]]));
      else same.set(uuid, name);
    }
  }

  /** What is known of a folder, and what is about to be. */
  #namesOf(parentId: string): Names[] {
    const known = this.#names.get(parentId);
    const coming = [...this.#unfinished].flatMap(([names, folder]) => (folder === parentId ? [names] : []));
    return known === undefined ? coming : [known, ...coming];
  }

  /**
   * Who has the name, or else one that differs in letter case only. Listed where nothing is known of the folder; `now`:
   * also where a name that was free may be taken since.
   */
  async holder(
    parentId: string,
    name: string,
    options: CallOptions,
    when: 'known' | 'now' = 'known',
  ): Promise<string | undefined> {
    const known = this.#names.get(parentId);
    const found = known === undefined ? undefined : holderIn(known, name);
    const age = this.#api.http.clock.now() - (known?.at ?? Number.NEGATIVE_INFINITY);
    const isBelieved =
      known !== undefined && (found !== undefined || when === 'known' || (age >= 0 && age < believedFreeMs));
    if (isBelieved) return found;
    await this.list(parentId, options).catch(async (error: unknown) => {
      throw await this.clarified(error, { kind: 'folder', id: parentId }, options);
    });
    const names = this.#names.get(parentId);
    return names === undefined ? undefined : holderIn(names, name);
  }

  /** Do several nodes have this very name? Then no upload can tell them apart. */
  isAmbiguous(parentId: string, name: string): boolean {
    const same = this.#names.get(parentId)?.holders.get(foldName(name))?.values() ?? [];
    return [...same].filter((other) => other === name).length > 1;
  }

  /** The name of a node as last seen. */
  nameOf(uuid: string): string | undefined {
    return this.#memory.get(uuid)?.name;
  }

  /** The URL of an action of the node, listed where nothing is known; undefined where it has none. */
  async action(ref: RemoteRef, names: readonly string[], options: CallOptions): Promise<string | undefined> {
    if (!this.#memory.has(ref.id)) await this.find(ref, options);
    const actions = this.#memory.get(ref.id)?.actions ?? {};
    const url = names.map((name) => actions[name]).find((given) => given !== undefined);
    return url?.replace('{uuid}', ref.id);
  }

  /** Throws `permission` where the node is known not to allow it: before any bytes are spent. */
  require(uuid: string, permission: Permission): void {
    if (this.#memory.get(uuid)?.denied.includes(permission) !== true) return;
    const what = permission.replace(/^can_(be_)?/, '').replaceAll('_', ' ');
    throw new ProviderError('permission', `the service does not allow this account: ${what}`, { data: { permission } });
  }

  /** The node as it is now; undefined when it is not where it was, nor anywhere else. */
  async find(ref: RemoteRef, options: CallOptions): Promise<RemoteEntry | undefined> {
    if (ref.id === rootUuid) return rootFolder;
    const known = this.#memory.get(ref.id)?.parentId;
    const hints = [...new Set([ref.parentId, known])].filter((hint) => typeof hint === 'string');
    for (const hint of hints) {
      const found = await this.#findIn(hint, ref.id, options);
      if (found !== undefined) return found;
    }
    // Listed where it was, and gone from there: moved by somebody else, or removed. Either way it is not there.
    if (hints.length > 0) return undefined;
    return await this.#search(ref.id, options);
  }

  async #findIn(parentId: string, uuid: string, options: CallOptions): Promise<RemoteEntry | undefined> {
    let nodes: Node[];
    try {
      nodes = await this.list(parentId, options);
    } catch (error) {
      // A folder that is gone has taken it along.
      if (error instanceof ProviderError && (error.code === 'not-found' || error.code === 'permission'))
        return undefined;
      throw error;
    }
    const node = nodes.find((candidate) => candidate.uuid === uuid);
    return node === undefined ? undefined : entryOf(node, parentId);
  }

  /** Where nobody knows its folder: the whole account, breadth first. */
  async #search(uuid: string, options: CallOptions): Promise<RemoteEntry | undefined> {
    const queue = [rootUuid];
    // Whatever a server says: each folder once.
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
   * "The requested file or folder does not exist or you do not have permission to access it": asks the folder of the
   * node which of the two.
   */
  async clarified(error: unknown, ref: RemoteRef, options: CallOptions): Promise<unknown> {
    if (!(error instanceof ProviderError) || error.data.status !== 403 || ref.id === rootUuid) return error;
    if (!this.#memory.has(ref.id) && typeof ref.parentId !== 'string') return error;
    const found = await this.find(ref, options).catch(() => rootFolder);
    if (found !== undefined) return error;
    return new ProviderError('not-found', error.message, { cause: error, data: { ...error.data } });
  }
}

function holderIn({ holders }: Names, name: string): string | undefined {
  const same = [...(holders.get(foldName(name)) ?? [])];
  return (same.find(([, other]) => other === name) ?? same[0])?.[0];
}
