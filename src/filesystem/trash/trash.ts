/**
 * The service's trash, as one list of named objects: those that this machine removed, and those that were removed elsewhere.
 *
 * Each object has one name here, unique in the list, while it is in the trash. `trash-directory.ts` shows it to desktops.
 */
import pLimit from 'p-limit';
import { SteadyTime } from '../../base/clock.js';
import { messageOf, SyncmountError } from '../../base/errors.js';
import { forEachInTurns } from '../../base/event-loop-turns.js';
import { nameBytes } from '../../base/raw-names.js';
import { isEntryOnly } from '../../metadata/held/entry-only.js';
import type { PlacedEntry, RemoteEntry } from '../../providers/provider.js';
import { withoutMark } from '../../providers/temporary-names.js';
import type { Ino } from '../../tree/inode.js';
import { candidate, MAX_NAME_BYTES, withMark } from '../../tree/local-names.js';
import type { Caller } from '../api.js';
import type { SpaceAccounting } from '../attributes/statfs.js';
import { orAborted } from '../core/abortable.js';
import type { Core } from '../core/core.js';
import { FsError } from '../core/fs-error.js';
import type { Namespace, NamespaceParts } from '../names/namespace.js';
import { MovingIn } from './moving-in.js';
import { accountRootOf, Restoring } from './restoring.js';
import { infoNameOf, itemNameOf } from './trash-info.js';
import { type TrashItem, TrashRecords } from './trash-records.js';

/** Age at which an info file without an object is garbage, ms: a younger one may be of a program that has just written it. */
const LONELY_NOTE_MS = 60 * 60_000;
/** Removals at once, when the whole trash is emptied. */
const REMOVALS_AT_ONCE = 8;
/** Bytes that `infoNameOf` adds. */
const INFO_BYTES = nameBytes(infoNameOf(''));

export interface TrashParts extends NamespaceParts {
  readonly namespace: Namespace;
  readonly space: SpaceAccounting;
}

/** An object in the trash, for people and programs. */
export interface TrashListing {
  readonly name: string;
  /** From the mounted directory, such as `/docs/a.txt`; null if it was outside of that, or nobody knows. */
  readonly path: string | null;
  readonly kind: 'file' | 'folder';
  /** Bytes; null for a folder, whose size no service tells. */
  readonly size: number | null;
  /** When it was removed here, or otherwise when it was first seen in the trash; ms since the epoch. */
  readonly deleted: number;
  readonly id: string;
}

/** The result for one of the objects that a command named. */
export interface TrashResult {
  readonly name: string;
  readonly path: string | null;
  readonly error?: string;
}

export class Trash {
  readonly records: TrashRecords;
  readonly #core: Core;
  readonly #root: Ino;
  readonly #accountRoot: Ino;
  readonly #movingIn: MovingIn;
  readonly #restoring: Restoring;
  readonly #space: SpaceAccounting;
  readonly #time: SteadyTime;
  /** By `#time`; null: not yet in this mount. */
  #listedAt: number | null = null;
  #listing: Promise<void> | null = null;
  /** Objects that this mount is putting in or taking out. */
  readonly #busy = new Set<string>();
  /** Objects that this mount has put in or taken out during a listing: the listing may be older than that. */
  readonly #touched = new Set<string>();

  /** `root`: the mounted directory. */
  constructor(core: Core, parts: TrashParts, root: Ino) {
    this.#core = core;
    this.#root = root;
    this.#accountRoot = accountRootOf(core, root);
    this.records = new TrashRecords(core.state.sql);
    this.#movingIn = new MovingIn(core, parts, this.records);
    this.#restoring = new Restoring(core, parts, this.records, root);
    this.#space = parts.space;
    this.#time = new SteadyTime(core.clock);
    // No program continues what it began in an earlier mount.
    this.#removeLonelyNotes(Number.POSITIVE_INFINITY);
  }

  /** Does the service have a trash that can be listed? */
  get isThere(): boolean {
    const { provider } = this.#core;
    return provider.capabilities.trash && provider.listTrash !== undefined;
  }

  /** Asks the service what is in the trash, unless it was asked within the ttl of listings. Callers share a request. */
  async ensureListed(caller?: Caller): Promise<void> {
    const age = this.#listedAt === null ? Number.POSITIVE_INFINITY : this.#time.now() - this.#listedAt;
    if (age < this.#core.options.ttl) return;
    this.#listing ??= this.#list().finally(() => {
      this.#listing = null;
      this.#touched.clear();
    });
    await orAborted(this.#listing, caller?.signal);
  }

  /** Asks the service again, even if it was asked a moment ago. */
  async refresh(caller?: Caller): Promise<void> {
    this.#listedAt = null;
    await this.ensureListed(caller);
  }

  async #list(): Promise<void> {
    const { provider } = this.#core;
    if (!this.isThere || provider.listTrash === undefined)
      throw new SyncmountError('unsupported', `${provider.name} has no trash`);
    const listed = await provider.listTrash();
    await this.#reconcile(listed);
    this.#listedAt = this.#time.now();
  }

  /** Gives turns to the event loop in between: changes that this mount makes meanwhile win. */
  async #reconcile(listed: readonly PlacedEntry[]): Promise<void> {
    const { clock, table } = this.#core;
    const present = new Set(listed.map(({ entry }) => keyOf(entry)));
    await forEachInTurns(this.records.all(), ({ entry, name }) => {
      if (present.has(keyOf(entry)) || this.#isOurs(entry)) return;
      this.records.remove(entry);
      this.records.removeNote('info', infoNameOf(name));
    });
    await forEachInTurns(listed, ({ entry, path }) => {
      if (this.#isOurs(entry)) return;
      const known = this.records.of(entry);
      const ino = table.byRemote(entry.kind, entry.id)?.ino ?? null;
      if (known === undefined) {
        const name = this.freeName(entry);
        this.records.put({ entry, name, path: this.#placeOf(entry) ?? path, since: clock.now(), ino });
      } else if (known.ino !== ino) this.records.put({ ...known, ino });
    });
    this.#removeLonelyNotes(clock.now() - LONELY_NOTE_MS);
  }

  /** Removes info files without an object that were last written before that moment, ms since the epoch. */
  #removeLonelyNotes(before: number): void {
    for (const { name, since } of this.records.notes('info')) {
      const item = itemNameOf(name);
      const isLonely = item === undefined || this.records.named(item) === undefined;
      if (isLonely && since < before) this.records.removeNote('info', name);
    }
  }

  /** The names down to the object's old place; null if this machine does not know the folder. */
  #placeOf({ parentId, name }: RemoteEntry): readonly string[] | null {
    const { table } = this.#core;
    const folder = parentId === null || parentId === '' ? undefined : table.byRemote('folder', parentId);
    if (folder === undefined || (folder.parent === null && !table.isRoot(folder))) return null;
    const above = [...table.upwards(folder.ino)].flatMap((at) => (at.parent === null ? [] : [at.name]));
    return [...above.reverse(), name];
  }

  /** Resolves when the known quota includes removals from the trash, or cannot for now. */
  spaceSettled(): Promise<void> | undefined {
    return this.#space.settled();
  }

  /** A name for an object that no other object has, and that no program has reserved by an info file. */
  freeName(entry: Pick<RemoteEntry, 'id' | 'name'>): string {
    for (let round = 0; ; round++) {
      const name = candidate(entry, round);
      const fitting = nameBytes(name) + INFO_BYTES <= MAX_NAME_BYTES ? name : shortened(name, `${entry.id}.${round}`);
      const isTaken =
        this.records.named(fitting) !== undefined || this.records.note('info', infoNameOf(fitting)) !== undefined;
      if (!isTaken) return fitting;
    }
  }

  /** The objects that were below the mounted directory. */
  items(): TrashItem[] {
    return this.records.all().filter((item) => this.pathOf(item) !== null);
  }

  /** The names from the mounted directory to the object's old place; null if it was elsewhere. */
  pathOf(item: TrashItem): readonly string[] | null {
    const root = this.#names(this.#root);
    const path = item.path ?? [item.entry.name];
    return root.every((name, at) => path[at] === name) && path.length > root.length ? path.slice(root.length) : null;
  }

  #names(directory: Ino): string[] {
    return [...this.#core.table.upwards(directory)].flatMap((at) => (at.parent === null ? [] : [at.name])).reverse();
  }

  /** Moves an object here. EEXIST if the list has the name; the errors of `MovingIn.move`. */
  async moveIn(parent: Ino, name: string, as: string, caller?: Caller): Promise<void> {
    if (this.records.named(as) !== undefined) throw new FsError('EEXIST', `the trash has another ${as}`);
    if (nameBytes(as) > MAX_NAME_BYTES) throw new FsError('ENAMETOOLONG', 'the name is over 255 bytes');
    const { remote } = this.#core.table.child(parent, name) ?? {};
    const move = (): Promise<void> => this.#movingIn.move(parent, name, as, caller);
    await (remote == null ? move() : this.#during(remote, move));
  }

  /**
   * Call this when an object that a program has removed is in the trash. Records it if the service does not remember its place; otherwise
   * the next listing shows it.
   */
  noteRemoved(remote: RemoteEntry): void {
    const { provider, clock } = this.#core;
    if (provider.capabilities.trashForgetsPlaces !== true || isEntryOnly(remote)) return;
    const entry = { ...remote, name: withoutMark(remote.name) };
    const path = this.#placeOf(entry);
    this.records.put({ entry, name: this.freeName(entry), path, since: clock.now(), ino: null });
    if (this.#listing !== null) this.#touched.add(keyOf(entry));
  }

  /** Gives an object another name in the list. */
  rename(item: TrashItem, name: string): void {
    if (this.records.named(name) !== undefined) throw new FsError('EEXIST', `the trash has another ${name}`);
    this.records.put({ ...item, name });
  }

  async restoreTo(item: TrashItem, parent: Ino, name: string, caller?: Caller): Promise<void> {
    await this.#during(item.entry, () => this.#restoring.restoreTo(item, parent, name, caller));
  }

  async remove(item: TrashItem, caller?: Caller): Promise<void> {
    await this.#during(item.entry, () => this.#restoring.remove(item, caller));
    this.records.removeNote('info', infoNameOf(item.name));
  }

  /** Runs `act`. Only listings that are requested afterwards count for the object. */
  async #during<T>(entry: RemoteEntry, act: () => Promise<T>): Promise<T> {
    const key = keyOf(entry);
    this.#busy.add(key);
    try {
      return await act();
    } finally {
      this.#busy.delete(key);
      if (this.#listing !== null) this.#touched.add(key);
    }
  }

  #isOurs(entry: RemoteEntry): boolean {
    return this.#busy.has(keyOf(entry)) || this.#touched.has(keyOf(entry));
  }

  /** The list that `syncmount trash list` shows, the latest removed last. */
  async list(signal: AbortSignal): Promise<TrashListing[]> {
    const { provider, directories } = this.#core;
    // Another machine may have made the folder for removed files since: a listing of the account's root tells.
    if (!this.isThere && provider.listTrash !== undefined) await directories.refresh(this.#accountRoot);
    await this.refresh({ signal });
    return this.records.all().map((item) => {
      const { kind, id } = item.entry;
      const size = item.entry.kind === 'file' ? item.entry.size : null;
      return { name: item.name, path: this.#shownPath(item), kind, size, deleted: item.since, id };
    });
  }

  #shownPath(item: TrashItem): string | null {
    const path = this.pathOf(item);
    return path === null ? null : `/${path.join('/')}`;
  }

  /** Restores the objects with these names in the list to their old places, until the signal aborts. Returns the result for each. */
  async restoreNamed(
    names: readonly string[],
    progress: (done: number) => void,
    signal: AbortSignal,
  ): Promise<TrashResult[]> {
    const results: TrashResult[] = [];
    // One after the other, parents first: an object may come back into a folder that is another one of them.
    const items = this.#named(names).sort((a, b) => depthOf(a) - depthOf(b));
    for (const item of items) {
      results.push(await this.#tried(item, signal, () => this.#restoreOne(item, signal)));
      progress(results.length);
    }
    return results;
  }

  async #restoreOne(item: TrashItem, signal: AbortSignal): Promise<void> {
    await this.#during(item.entry, () => this.#restoring.restore(item, { signal }));
    this.records.removeNote('info', infoNameOf(item.name));
  }

  /** Removes the objects with these names in the list for ever, until the signal aborts. Returns the result for each. */
  async removeNamed(
    names: readonly string[],
    progress: (done: number) => void,
    signal: AbortSignal,
  ): Promise<TrashResult[]> {
    const limit = pLimit(REMOVALS_AT_ONCE);
    let done = 0;
    const removeOne = async (item: TrashItem): Promise<TrashResult> => {
      const result = await this.#tried(item, signal, () => this.remove(item, { signal }));
      progress(++done);
      return result;
    };
    return await Promise.all(this.#named(names).map((item) => limit(() => removeOne(item))));
  }

  #named(names: readonly string[]): TrashItem[] {
    return names.flatMap((name) => this.records.named(name) ?? []);
  }

  async #tried(item: TrashItem, signal: AbortSignal, act: () => Promise<void>): Promise<TrashResult> {
    signal.throwIfAborted();
    const { name } = item;
    const path = this.#shownPath(item);
    try {
      await act();
      return { name, path };
    } catch (error) {
      return { name, path, error: messageOf(error) };
    }
  }
}

/** The number of names in the old path. */
function depthOf({ path }: TrashItem): number {
  return path?.length ?? 0;
}

function keyOf({ kind, id }: Pick<RemoteEntry, 'kind' | 'id'>): string {
  return `${kind}:${id}`;
}

/** The name with a mark, cut so that the name of its info file fits too. */
function shortened(name: string, id: string): string {
  const mark = ` (~${id.slice(-32).replaceAll('/', '_')})`;
  const suffix = infoNameOf('');
  return withMark(name, mark + suffix).replace(mark + suffix, mark);
}
