/** Reads a directory of any size in pieces, while other requests change it. */
import { entriesPerTurn, type Pieces } from '../base/event-loop-turns.js';
import type { Ino, Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';

/**
 * The result of `of` for every child of a directory, ordered by inode number. Invariant: it shows the directory exactly as it is
 * when the last piece ends, because children that changed in between are read again.
 */
export function* scanning<T>(
  table: InodeTable,
  directory: Ino,
  of: (child: Inode) => T,
  pieces: Pieces,
): Generator<void, T[]> {
  const watch = table.watch(directory);
  try {
    const inos = yield* inosIn(table, directory);
    const found = new Map<Ino, T>();
    let highest = 0;
    let isOrdered = true;
    const read = (ino: Ino): void => {
      const child = table.peek(ino);
      if (child?.parent !== directory) {
        found.delete(ino);
        return;
      }
      if (!found.has(ino)) {
        isOrdered &&= ino > highest;
        highest = Math.max(highest, ino);
      }
      found.set(ino, of(child));
    };
    for (const ino of inos) {
      read(ino);
      if (pieces.isFull()) yield;
    }
    // The loop also reaches children that are added to the set while it runs.
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

/** Inode numbers of the children, ordered. A child that is renamed meanwhile may be missing. */
function* inosIn(table: InodeTable, directory: Ino): Generator<void, Float64Array> {
  const inos: Ino[] = [];
  for (let after = ''; ; ) {
    const part = table.namesAfter(directory, after, entriesPerTurn);
    for (const [, ino] of part) inos.push(ino);
    const last = part.at(-1);
    // A typed array sorts by number, and ten times as fast.
    if (last === undefined || part.length < entriesPerTurn) return Float64Array.from(inos).sort();
    [after] = last;
    yield;
  }
}
