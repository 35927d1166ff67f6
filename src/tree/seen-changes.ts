/** What of a listing's changes a cache of names and attributes must forget. */
import { forEachInTurns } from '../base/event-loop-turns.js';
import type { Ino } from './inode.js';
import type { ListingChanges } from './listing.js';

/** The changes that a cache of a directory (the kernel's) must forget. */
export type SeenChanges = Pick<ListingChanges, 'names' | 'attributes' | 'contents' | 'lost'>;

export function onlyNames(names: ReadonlySet<string>): SeenChanges {
  return { names, attributes: [], contents: [], lost: [] };
}

/** Names that were moved to other places of the tree, by the directories that they were in. */
export async function byParent(places: ListingChanges['elsewhere']): Promise<Map<Ino, Set<string>>> {
  const parents = new Map<Ino, Set<string>>();
  await forEachInTurns(places, ({ parent, name }) => {
    const names = parents.get(parent);
    if (names === undefined) parents.set(parent, new Set([name]));
    else names.add(name);
  });
  return parents;
}
