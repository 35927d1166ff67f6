/** The changes of a listing that caches of names and attributes must forget. */
import { forEachInTurns } from '../base/event-loop-turns.js';
import type { Ino } from './inode.js';
import type { ListingChanges } from './listing.js';

/** The changes in a directory that its cache (the kernel's) must forget. */
export type SeenChanges = Pick<ListingChanges, 'names' | 'attributes' | 'contents' | 'lost'>;

export function onlyNames(names: ReadonlySet<string>): SeenChanges {
  return { names, attributes: [], contents: [], lost: [] };
}

/** Groups names whose objects have moved by the directories that had them. */
export async function byParent(places: ListingChanges['elsewhere']): Promise<Map<Ino, Set<string>>> {
  const parents = new Map<Ino, Set<string>>();
  await forEachInTurns(places, ({ parent, name }) => {
    const names = parents.get(parent);
    if (names === undefined) parents.set(parent, new Set([name]));
    else names.add(name);
  });
  return parents;
}
