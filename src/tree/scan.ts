/** Reads a directory of any size in pieces, while other requests change it. */
import { entriesPerTurn, type Pieces } from '../base/event-loop-turns.js';
import { type FurtherName, positionOf } from './further-names.js';
import type { Ino, Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';

/** A name in a directory, with its inode: the inode's first name or a further one. */
export interface NamedInode {
  readonly name: string;
  readonly inode: Inode;
  /** The position in the listing. */
  readonly position: number;
}

/**
 * The result of `of` for every inode with its first name in a directory, ordered by inode number. Invariant: it shows the directory
 * exactly as it is at the end of the last piece, because inodes that change in between are read again.
 */
export function scanning<T>(
  table: InodeTable,
  directory: Ino,
  of: (child: Inode) => T,
  pieces: Pieces,
): Generator<void, T[]> {
  return scan(table, directory, ({ inode }) => of(inode), pieces, false);
}

/** Like `scanning`, for every name in a directory, in the order of positions. */
export function scanningNames<T>(
  table: InodeTable,
  directory: Ino,
  of: (entry: NamedInode) => T,
  pieces: Pieces,
): Generator<void, T[]> {
  return scan(table, directory, of, pieces, table.further.countIn(directory) > 0);
}

function* scan<T>(
  table: InodeTable,
  directory: Ino,
  of: (entry: NamedInode) => T,
  pieces: Pieces,
  withFurther: boolean,
): Generator<void, T[]> {
  const watch = table.watch(directory);
  try {
    const inos = yield* inosIn(table, directory);
    const found = new Map<number, T>();
    let highest = 0;
    let isOrdered = true;
    const put = (entry: NamedInode): void => {
      const { position } = entry;
      if (!found.has(position)) {
        isOrdered &&= position > highest;
        highest = Math.max(highest, position);
      }
      found.set(position, of(entry));
    };
    /** The positions of further names that were found, by inode. */
    const further = new Map<Ino, number[]>();
    const readFurther = (ino: Ino, inode: Inode | undefined): void => {
      for (const position of further.get(ino) ?? []) found.delete(position);
      further.delete(ino);
      if (inode === undefined || inode.furtherNames === 0 || !table.isShown(inode)) return;
      const names = table.further.of(ino, directory);
      for (const link of names) put({ name: link.name, inode, position: positionOf(link) });
      further.set(ino, names.map(positionOf));
    };
    const read = (ino: Ino): void => {
      const inode = table.peek(ino);
      if (inode?.parent === directory) put({ name: inode.name, inode, position: ino });
      else found.delete(ino);
      if (withFurther) readFurther(ino, inode);
    };
    for (const ino of inos) {
      read(ino);
      if (pieces.isFull()) yield;
    }
    for (const { ino } of withFurther ? yield* furtherNamesIn(table, directory) : []) {
      if (!further.has(ino)) readFurther(ino, table.peek(ino));
      if (pieces.isFull()) yield;
    }
    // The loop also visits inodes that are added to the set meanwhile.
    for (const ino of watch.inos) {
      watch.inos.delete(ino);
      read(ino);
      if (pieces.isFull()) yield;
    }
    if (isOrdered) return [...found.values()];
    return [...found].sort(([a], [b]) => a - b).map(([, value]) => value);
  } finally {
    table.unwatch(directory, watch);
  }
}

/** The further names in a directory, in sight or not. A name that is added meanwhile may be missing. */
export function* furtherNamesIn(table: InodeTable, directory: Ino): Generator<void, FurtherName[]> {
  const found: FurtherName[] = [];
  for (let after = ''; ; yield) {
    const part = table.further.after(directory, after, entriesPerTurn);
    found.push(...part);
    const last = part.at(-1);
    if (last === undefined || part.length < entriesPerTurn) return found;
    after = last.name;
  }
}

/** The inode numbers of the children, ordered. A child that is renamed meanwhile may be missing. */
function* inosIn(table: InodeTable, directory: Ino): Generator<void, Float64Array> {
  const inos: Ino[] = [];
  for (let after = ''; ; ) {
    const part = table.namesAfter(directory, after, entriesPerTurn);
    for (const [, ino] of part) inos.push(ino);
    const last = part.at(-1);
    // A typed array sorts by number, and is ten times as fast.
    if (last === undefined || part.length < entriesPerTurn) return Float64Array.from(inos).sort();
    [after] = last;
    yield;
  }
}
