/**
 * A trash for servers that offer no deletion: one folder in the account's root, to which removed objects are moved. People find it
 * under its name at the website, and empty it there.
 *
 * An account has this trash if it has the folder. Each listing of the root tells that, so every machine knows it without a request. The
 * service does not remember where an object came from.
 */
import { randomBytes } from 'node:crypto';
import { mapInTurns } from '../../base/event-loop-turns.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import type { Place } from '../name-locks.js';
import { foldName } from '../names.js';
import type { PlacedEntry, RemoteEntry } from '../provider.js';
import { withoutMark } from '../temporary-names.js';
import { entryOf, type Node, rootUuid } from './entities.js';
import type { Namespace } from './namespace.js';
import type { Nodes } from './nodes.js';

export const removedFilesName = 'Removed files (syncmount)';

/** UTF-16 code units: leaves room for a mark within the service's 255. */
const LONGEST_STEM = 200;
const PLACE_TRIES = 3;

export class RemovedFiles {
  readonly #nodes: Nodes;
  readonly #namespace: Namespace;
  #uuid: string | undefined;

  constructor(nodes: Nodes, namespace: Namespace) {
    this.#nodes = nodes;
    this.#namespace = namespace;
  }

  get isKnown(): boolean {
    return this.#uuid !== undefined;
  }

  /** Learns from a listing of the root whether the folder exists. Returns the listing without it, because no mount shows it. */
  learn(root: readonly Node[]): Node[] {
    const isIt = (node: Node): boolean =>
      node.is_directory === true && foldName(node.name) === foldName(removedFilesName);
    this.#uuid = root.find(isIt)?.uuid;
    return root.filter((node) => !isIt(node));
  }

  /** Adds this folder to an entry without a folder, as `list` returns them. */
  locate(entry: RemoteEntry): RemoteEntry {
    return this.#uuid === undefined || entry.parentId ? entry : { ...entry, parentId: this.#uuid };
  }

  /**
   * Moves an object here: one request, or three if its name is taken. In its old folder the object keeps its name, so that a mount that
   * is killed meanwhile finds it there unchanged.
   */
  async trash(entry: RemoteEntry, options: CallOptions): Promise<RemoteEntry> {
    await this.#inFolder(options, async (parentId) => {
      const here = await this.#place(entry, { parentId, name: entry.name }, options);
      const plain = withoutMark(entry.name);
      if (plain !== entry.name) await this.#place(here, { parentId, name: plain }, options);
    });
    return entry;
  }

  /** Moves an object to a name here. An older object of that name gets a mark. */
  async #place(entry: RemoteEntry, to: Place, options: CallOptions): Promise<RemoteEntry> {
    for (let tries = 1; ; tries++) {
      await this.#markOlder(entry, to, options);
      try {
        return await this.#namespace.move(entry, to, options);
      } catch (error) {
        // Another removal took the name meanwhile.
        const isTaken = error instanceof ProviderError && error.code === 'exists';
        if (!isTaken || tries >= PLACE_TRIES) throw error;
      }
    }
  }

  async #markOlder(entry: RemoteEntry, { parentId, name }: Place, options: CallOptions): Promise<void> {
    const holder = await this.#nodes.holder(parentId, name, options);
    if (holder === undefined || holder === entry.id) return;
    const older = (await this.#nodes.list(parentId, options)).find(({ uuid }) => uuid === holder);
    if (older === undefined) return;
    await this.#namespace.move(entryOf(older, parentId), { parentId, name: marked(name) }, options);
  }

  /** Moves an object back to the folder that it was in, or to the root if that folder is gone. */
  async untrash(entry: RemoteEntry, name: string | undefined, options: CallOptions): Promise<RemoteEntry> {
    const here = await this.#find(entry, options);
    if (here === undefined) return await this.#alreadyBack(entry, options);
    const to = { parentId: entry.parentId || rootUuid, name: name ?? entry.name };
    try {
      return await this.#namespace.move(here, to, options);
    } catch (error) {
      if (to.parentId === rootUuid || !isNotFound(error)) throw error;
      const still = await this.#find(entry, options);
      if (still === undefined) throw error;
      return await this.#namespace.move(still, { ...to, parentId: rootUuid }, options);
    }
  }

  /** Everything here. The former places are unknown: only the machine that removed an object knows its place. */
  async list(options: CallOptions): Promise<PlacedEntry[]> {
    if (this.#uuid === undefined) return [];
    const nodes = await this.#nodes.list(this.#uuid, options);
    return await mapInTurns(nodes, (node) => ({ entry: withoutPlace(entryOf(node, this.#uuid ?? '')), path: null }));
  }

  async #find({ id, kind }: RemoteEntry, options: CallOptions): Promise<RemoteEntry | undefined> {
    const parentId = this.#uuid;
    if (parentId === undefined) return undefined;
    const node = (await this.#nodes.list(parentId, options)).find(({ uuid }) => uuid === id);
    const entry = node === undefined ? undefined : entryOf(node, parentId);
    return entry?.kind === kind ? entry : undefined;
  }

  async #alreadyBack(entry: RemoteEntry, options: CallOptions): Promise<RemoteEntry> {
    const found = await this.#nodes.find(entry, options);
    if (found === undefined) throw new ProviderError('not-found', 'it is not among the removed files', { data: {} });
    return found;
  }

  /** Runs `act` with the folder. Makes the folder if it does not exist, or no longer exists. */
  async #inFolder<T>(options: CallOptions, act: (uuid: string) => Promise<T>): Promise<T> {
    const known = this.#uuid;
    if (known === undefined) return await act(await this.#make(options));
    try {
      return await act(known);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.learn(await this.#nodes.list(rootUuid, options));
      if (this.#uuid === known) throw error;
      return await act(this.#uuid ?? (await this.#make(options)));
    }
  }

  async #make(options: CallOptions): Promise<string> {
    const made = await this.#namespace.createFolder(rootUuid, removedFilesName, options).catch((error: unknown) => {
      if (!(error instanceof ProviderError) || error.code !== 'exists') throw error;
      return undefined;
    });
    this.#uuid = made?.id;
    // Another machine has made it meanwhile.
    if (made === undefined) this.learn(await this.#nodes.list(rootUuid, options));
    if (this.#uuid === undefined)
      throw new ProviderError('exists', `a file has the name '${removedFilesName}', which removed files need`, {
        data: { name: foldName(removedFilesName) },
      });
    return this.#uuid;
  }
}

function withoutPlace(entry: RemoteEntry): RemoteEntry {
  return entry.kind === 'file' ? { ...entry, parentId: '' } : { ...entry, parentId: null };
}

/** `report (removed 3f2a91c4).txt` */
function marked(name: string): string {
  const dot = name.lastIndexOf('.');
  const [stem, extension] = dot > 0 && name.length - dot <= 16 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  return `${stem.slice(0, LONGEST_STEM)} (removed ${randomBytes(4).toString('hex')})${extension}`;
}

function isNotFound(error: unknown): boolean {
  return error instanceof ProviderError && error.code === 'not-found';
}
