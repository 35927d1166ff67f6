/**
 * Decides what of this machine's part of the store is merged or dropped, and how often anybody looks. Pure.
 *
 * Without upkeep a store only grows: packs of which most entries are gone stay files of their own, which readers fetch one by one,
 * and a removal outlives every entry that it supersedes.
 */
import type { RateLimit } from '../providers/request-metrics.js';
import { indexPack, maxBytes, maxEntries, type PackLoad } from './placement.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A pack with at most this share of what it may hold has shrunken. */
const shrunkenShare = 1 / 4;
/** Merged packs take this share at most: their folders grow on without a second pack. */
const mergedShare = 3 / 4;
/** Packs that one upkeep merges. With the index it is so many requests at most, and one to remove each but the last. */
const mergedAtOnce = 4;
/** Requests of one upkeep: the merged pack, the index, the removals, the list and packs of other machines. */
const REQUESTS = 10;
/** The share of an hour's requests that upkeep may use: its work is never urgent. */
const SHARE = 0.02;

export interface Merge {
  /** These packs give all their entries away. */
  readonly from: readonly number[];
  /**
   * The pack that takes them: the one with the highest number of all. So of two packs that hold the same entry, which a reader sees
   * between two requests, the higher one is right about where it lies.
   */
  readonly into: number;
}

/** The packs to be merged next; null: none. */
export function planMerge(packs: readonly PackLoad[]): Merge | null {
  const shrunken = packs
    .filter(({ pack, entries, bytes }) => {
      const isSmall = entries <= maxEntries * shrunkenShare && bytes <= maxBytes * shrunkenShare;
      return pack !== indexPack && entries > 0 && isSmall;
    })
    .sort((a, b) => a.pack - b.pack);
  // Neighbours by number were filled one after the other, so they are of folders that lie together.
  for (let at = 0; at + 1 < shrunken.length; at++) {
    const group: PackLoad[] = [];
    let [entries, bytes] = [0, 0];
    for (const load of shrunken.slice(at, at + mergedAtOnce)) {
      entries += load.entries;
      bytes += load.bytes;
      if (entries > maxEntries * mergedShare || bytes > maxBytes * mergedShare) break;
      group.push(load);
    }
    const into = group.pop();
    if (into !== undefined && group.length > 0) return { from: group.map(({ pack }) => pack), into: into.pack };
  }
  return null;
}

export interface RemovalState {
  /** When the removal was written, by its logical clock, and now; ms since the epoch. */
  readonly writtenAt: number;
  readonly now: number;
  /** All that other machines have stored about its folder was read, as it is at the service now. */
  readonly isFolderKnown: boolean;
  /** Some other machine's file holds an older entry of the name. */
  readonly isOlderElsewhere: boolean;
}

/**
 * Has the removal done its work? It has once no file of any machine holds an entry that it supersedes. A machine drops such an entry
 * when it has applied the removal, so then each of them has seen it. It counts for a day in any case: a machine that made the same
 * name meanwhile, without knowing of the removal, is told that it lost, whatever the clocks say.
 */
export function isRemovalDone({ writtenAt, now, isFolderKnown, isOlderElsewhere }: RemovalState): boolean {
  return isFolderKnown && !isOlderElsewhere && now - writtenAt >= DAY_MS;
}

/** When upkeep may be done again, after it was done at `last`; ms since the epoch. `last` is null where it never was. */
export function upkeepTime(last: number | null, limit: RateLimit | null): number {
  if (last === null) return 0;
  const hours = limit === null || limit.limit <= 0 ? 1 : REQUESTS / (limit.limit * SHARE);
  return last + HOUR_MS * Math.max(1, hours);
}
