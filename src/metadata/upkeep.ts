/**
 * Decides which of this machine's packs are merged, which removals are dropped, and how often upkeep runs. Pure.
 *
 * Upkeep is compaction of packs, and garbage collection of tombstones. Without it a store only grows: packs that have lost most of their
 * entries stay separate files, which readers fetch one by one, and a removal outlives all entries that it supersedes.
 */
import type { RateLimit } from '../providers/request-metrics.js';
import { indexPack, maxBytes, maxEntries, type PackLoad } from './placement.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A pack with at most this share of its limits has shrunk. */
const shrunkenShare = 1 / 4;
/** A merged pack is filled up to this share at most, so that its folders can grow without a second pack. */
const mergedShare = 3 / 4;
/** The number of packs that one upkeep merges. This writes one pack and the index, and removes the files of the others. */
const mergedAtOnce = 4;
/** The number of requests of one upkeep: the merged pack, the index, the files to remove, the list, and packs of other machines. */
const REQUESTS = 10;
/** The share of an hour's requests that upkeep may use: its work is never urgent. */
const SHARE = 0.02;

export interface Merge {
  /** The packs that give all their entries away. */
  readonly from: readonly number[];
  /**
   * The pack that takes them: it has the highest number of the group. Between two requests a reader may see the same entry in both packs;
   * then the pack with the higher number is the right one.
   */
  readonly into: number;
}

/** The next merge; null if no packs need one. */
export function planMerge(packs: readonly PackLoad[]): Merge | null {
  const shrunken = packs
    .filter(({ pack, entries, bytes }) => {
      const isSmall = entries <= maxEntries * shrunkenShare && bytes <= maxBytes * shrunkenShare;
      return pack !== indexPack && entries > 0 && isSmall;
    })
    .sort((a, b) => a.pack - b.pack);
  // Packs with neighbouring numbers were filled one after the other, so they hold neighbouring folders.
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
  /** The time of the removal, by its logical clock, and the current time; ms since the epoch. */
  readonly writtenAt: number;
  readonly now: number;
  /** All files of other machines that hold the folder were read as they are at the service now. */
  readonly isFolderKnown: boolean;
  /** Another machine's file holds an older entry of the name. */
  readonly isOlderElsewhere: boolean;
}

/**
 * True if the removal has done its work: no file of any machine holds an entry that it supersedes. A machine drops such an entry when it
 * has applied the removal, so then all of them have seen the removal. It stays for a day in any case: a machine that made the same name
 * without knowing of the removal must learn that its entry lost, whatever the clocks say.
 */
export function isRemovalDone({ writtenAt, now, isFolderKnown, isOlderElsewhere }: RemovalState): boolean {
  return isFolderKnown && !isOlderElsewhere && now - writtenAt >= DAY_MS;
}

/** The time at which upkeep may run again, ms since the epoch. `last`: the time of the last one; null if there was none. */
export function upkeepTime(last: number | null, limit: RateLimit | null): number {
  if (last === null) return 0;
  const hours = limit === null || limit.limit <= 0 ? 1 : REQUESTS / (limit.limit * SHARE);
  return last + HOUR_MS * Math.max(1, hours);
}
