/**
 * Applies entries of the metadata store to the inodes of a folder that was just listed: those that are later than what an inode shows,
 * and of several machines' the one that counts. Entries without an object at the service become inodes, and go with their removal.
 */
import { codeOf } from '../../base/errors.js';
import { inTurns, Pieces } from '../../base/event-loop-turns.js';
import type { TimedEntry } from '../../metadata/entry.js';
import { compareTimes, type LogicalTime } from '../../metadata/logical-time.js';
import type { MetadataStore } from '../../metadata/store.js';
import type { Provider } from '../../providers/provider.js';
import { type Ino, type Inode, isSpecial } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import { isLocalName } from '../../tree/local-names.js';
import { appliedTo, inodeKindOf, rootEntryName, specialOf } from './entry-of-inode.js';
import type { RowStates } from './row-states.js';

/** Entries that are read from the database at once. */
const PAGE = 500;

/** What the kernel must forget. */
export interface AppliedChanges {
  readonly names: readonly string[];
  readonly attributes: readonly Ino[];
}

export interface ApplyEntriesOptions {
  readonly table: InodeTable;
  readonly store: MetadataStore;
  readonly states: RowStates;
  readonly provider: Pick<Provider, 'capabilities' | 'createFolder' | 'remove'>;
}

/** Where entries are applied, and what that changed. */
interface Work {
  readonly directory: Ino;
  readonly folder: string;
  readonly names: string[];
  readonly attributes: Ino[];
  /** Directories of a service that has none but by their files: made and removed after the rest. */
  readonly toMake: TimedEntry[];
  readonly toRemove: Inode[];
}

export class ApplyEntries {
  /** The changes that are being made come from an entry. */
  isApplying = false;
  readonly #o: ApplyEntriesOptions;
  /** Folders to which this machine's own entries were applied since the mount: they tell of nothing but rows that were lost. */
  readonly #ownDone = new Set<string>();

  constructor(options: ApplyEntriesOptions) {
    this.#o = options;
  }

  async to(directory: Ino): Promise<AppliedChanges> {
    const { table, store } = this.#o;
    const folder = table.get(directory)?.remote?.id;
    if (folder === undefined) return { names: [], attributes: [] };
    const machines: (string | null)[] = store.machinesOf(folder);
    if (!this.#ownDone.has(folder)) machines.push(null);
    this.#ownDone.add(folder);
    const work: Work = { directory, folder, names: [], attributes: [], toMake: [], toRemove: [] };
    await inTurns(this.#applying(work, machines), (piece) => table.transaction(() => this.#quietly(piece)));
    for (const timed of work.toMake) await this.#makeDirectory(work, timed);
    for (const inode of work.toRemove) await this.#removeDirectory(work, inode);
    return work;
  }

  /** Changes of the table that become no entries. */
  #quietly<T>(act: () => T): T {
    this.isApplying = true;
    try {
      return act();
    } finally {
      this.isApplying = false;
    }
  }

  *#applying(work: Work, machines: readonly (string | null)[]): Generator<void, void> {
    const { store, states } = this.#o;
    const pieces = new Pieces();
    for (const machine of machines) {
      for (let page = store.timesAfter(machine, work.folder, '', PAGE); page.length > 0; ) {
        for (const { name, id, ...time } of page) {
          if (pieces.isFull()) yield;
          const row = this.#rowOf(work, name, id);
          if (row !== undefined && isShown(states.get(row.ino)?.time, time)) continue;
          const timed = store.entryOf(work.folder, name);
          // Another machine's entry of the name counts: it has its turn, or had it.
          if (timed !== undefined && compareTimes(timed.time, time) === 0) this.#apply(work, timed, row);
        }
        page = store.timesAfter(machine, work.folder, page.at(-1)?.name ?? '', PAGE);
      }
    }
  }

  /** By the object, wherever it is by now; else by the name. */
  #rowOf({ directory }: Work, name: string, id: string | null): Inode | undefined {
    const { table } = this.#o;
    if (name === rootEntryName) return table.get(directory);
    const named = table.child(directory, name);
    if (id === null || named?.remote?.id === id) return named;
    return table.byRemote('file', id) ?? table.byRemote('folder', id) ?? named;
  }

  #apply(work: Work, timed: TimedEntry, row: Inode | undefined): void {
    const { entry, time } = timed;
    const { provider } = this.#o;
    const kind = inodeKindOf(entry.kind);
    if (entry.gone === true) {
      if (row === undefined || row.kind !== kind || row.name !== entry.name) return;
      if (isSpecial(row)) {
        this.#detach(work, row);
      } else if (row.kind === 'directory' && provider.capabilities.folders === 'implied') work.toRemove.push(row);
      return;
    }
    if (row === undefined) {
      if (isSpecial({ kind })) this.#insert(work, timed);
      else if (kind === 'directory' && provider.capabilities.folders === 'implied') work.toMake.push(timed);
      return;
    }
    if (!isSpecial(row)) {
      if (row.kind === kind) this.#show(work, row, timed, time);
    } else if (isSameSpecial(row, specialOf(entry))) this.#show(work, row, timed, time);
    else if (isSpecial({ kind }) && row.name === entry.name) {
      // Another machine has removed the one and made the other: another inode, because the kernel remembers where a link points.
      this.#detach(work, row);
      this.#insert(work, timed);
    }
  }

  #detach({ names }: Work, { ino, name }: Inode): void {
    this.#o.table.update(ino, { parent: null });
    this.#o.states.remove(ino);
    names.push(name);
  }

  #insert(work: Work, { entry, time }: TimedEntry): void {
    const { table } = this.#o;
    if (!isLocalName(entry.name)) return;
    const made = table.insert({ parent: work.directory, name: entry.name, ...specialOf(entry) });
    work.names.push(entry.name);
    this.#show(work, made, { entry, time }, time);
  }

  #show({ attributes }: Work, row: Inode, { entry }: TimedEntry, time: LogicalTime): void {
    const { table, states } = this.#o;
    const { overlay, xattrs } = appliedTo(row, entry);
    table.update(row.ino, { overlay });
    for (const name of table.xattrs.names(row.ino)) if (!xattrs.has(name)) table.xattrs.remove(row.ino, name);
    for (const [name, value] of xattrs) table.xattrs.set(row.ino, name, value);
    states.put(row.ino, { place: states.get(row.ino)?.place ?? null, time });
    attributes.push(row.ino);
  }

  /** No request: the service has no folders but by their files. */
  async #makeDirectory(work: Work, timed: TimedEntry): Promise<void> {
    const { table, provider } = this.#o;
    const { name } = timed.entry;
    let remote = null;
    try {
      remote = await provider.createFolder(work.folder, name, { priority: 'background' });
    } catch (error) {
      // A file has come by that name, or a folder of which the next listing tells.
      if (codeOf(error) === 'exists' || codeOf(error) === 'invalid-name') return;
      throw error;
    }
    const folder = remote;
    table.transaction(() =>
      this.#quietly(() => {
        if (table.child(work.directory, name) !== undefined || table.byRemote('folder', folder.id) !== undefined)
          return;
        const made = table.insert({ parent: work.directory, name, kind: 'directory', remote: folder });
        work.names.push(name);
        this.#show(work, made, timed, timed.time);
      }),
    );
  }

  async #removeDirectory(work: Work, { ino, remote, name }: Inode): Promise<void> {
    const { table, provider, states } = this.#o;
    if (remote === null || table.hasChildren(ino)) return;
    try {
      await provider.remove(remote, { priority: 'background', onlyEmpty: true });
    } catch (error) {
      // Another client has put a file into it meanwhile.
      if (codeOf(error) === 'exists') return;
      throw error;
    }
    table.transaction(() =>
      this.#quietly(() => {
        if (table.hasChildren(ino)) return;
        table.update(ino, { parent: null, remote: null });
        states.remove(ino);
        work.names.push(name);
      }),
    );
  }
}

function isSameSpecial(
  a: Pick<Inode, 'kind' | 'target' | 'rdev'>,
  b: Pick<Inode, 'kind' | 'target' | 'rdev'>,
): boolean {
  return a.kind === b.kind && a.rdev === b.rdev && Buffer.compare(a.target ?? nothing, b.target ?? nothing) === 0;
}

const nothing = new Uint8Array();

function isShown(shown: LogicalTime | undefined, time: LogicalTime): boolean {
  return shown !== undefined && compareTimes(shown, time) >= 0;
}
