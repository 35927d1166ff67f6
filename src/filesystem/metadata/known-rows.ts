/**
 * What is known of some names of a directory before entries are applied to them, read in one query: a folder may have thousands of
 * entries. It is right until the event loop has its next turn.
 */
import type { LogicalTime } from '../../metadata/logical-time.js';
import { type Ino, type Inode, isFirstName } from '../../tree/inode.js';
import type { InodeTable } from '../../tree/inode-table.js';
import type { RowState, RowStates } from './row-states.js';

export interface KnownRowsOptions {
  readonly table: InodeTable;
  readonly states: RowStates;
}

export class KnownRows {
  readonly #o: KnownRowsOptions;
  readonly #directory: Ino;
  readonly #inos = new Map<string, Ino>();
  /** Of the rows that were read; undefined: has none. */
  readonly #states = new Map<Ino, RowState | undefined>();
  readonly #withXattrs = new Set<Ino>();

  /** Reads at most `limit` names of the directory after `name`. Of others it is asked one by one. */
  constructor(options: KnownRowsOptions, directory: Ino, name: string, limit: number) {
    this.#o = options;
    this.#directory = directory;
    for (const found of limit === 0 ? [] : options.states.namesAfter(directory, name, limit)) {
      this.#inos.set(found.name, found.ino);
      this.#states.set(found.ino, found.state);
      if (found.hasXattrs) this.#withXattrs.add(found.ino);
    }
  }

  /** The inode that has the name now. */
  named(name: string): Inode | undefined {
    const { table } = this.#o;
    const ino = this.#inos.get(name);
    const inode = ino === undefined ? undefined : table.get(ino);
    return inode !== undefined && isFirstName(inode, this.#directory, name)
      ? inode
      : table.child(this.#directory, name);
  }

  /** When the entry that the inode shows was written. */
  timeOf(ino: Ino): LogicalTime | undefined {
    return this.#stateOf(ino)?.time;
  }

  hasXattrs(ino: Ino): boolean {
    return !this.#states.has(ino) || this.#withXattrs.has(ino);
  }

  /** The inode shows an entry of this time from now on. */
  shows(ino: Ino, time: LogicalTime, timesSet: boolean): void {
    const before = this.#stateOf(ino);
    const state = { place: before?.place ?? null, time, timesSet: timesSet || before?.timesSet === true };
    this.#o.states.put(ino, state);
    if (this.#states.has(ino)) this.#states.set(ino, state);
    this.#withXattrs.add(ino);
  }

  #stateOf(ino: Ino): RowState | undefined {
    return this.#states.has(ino) ? this.#states.get(ino) : this.#o.states.get(ino);
  }
}
