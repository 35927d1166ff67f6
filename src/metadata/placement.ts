/**
 * Assigns new entries to packs. Pure.
 *
 * A folder's entries lie in one pack if possible, beside those of its neighbours, because programs look at them together. An entry
 * stays in its pack until packs are merged (upkeep.ts). So a change rewrites one pack, and a crash cannot lose an entry between two.
 */

/** Pack 0 is the index itself: a small store is one file, which one request reads and one request writes. */
export const indexPack = 0;

/** The limit of entries in a pack: about 150 kB when compressed, which one request reads or writes. */
export const maxEntries = 4096;
/** The limit of a pack's bytes before compression. Long extended attributes may reach it first. */
export const maxBytes = 4 * 1024 * 1024;
/** A pack takes new folders up to this share of its limits, and further entries of its folders up to the limits. */
const foldersShare = 3 / 4;
/**
 * The index takes entries up to these shares: some 2,700 of the usual size. So a walk over a small account reads one file of the store; in
 * a larger account a second file costs little beside the listings. The index stays small because every machine reads it, and because it
 * is written whenever a pack gets a new folder.
 */
const indexShare = { entries: 3 / 4, bytes: 1 / 8 };

interface Load {
  readonly entries: number;
  readonly bytes: number;
}

const noLoad: Load = { entries: 0, bytes: 0 };

export interface PackLoad extends Load {
  readonly pack: number;
}

/** The new entries of one folder. */
export interface Arrival {
  readonly folder: string;
  /** The bytes of each new entry. */
  readonly sizes: readonly number[];
  /** The folders above it, nearest first: its parent, the parent's parent. */
  readonly near: readonly string[];
}

export interface PlacementState {
  readonly packs: readonly PackLoad[];
  /** The packs with entries of a folder, oldest first. */
  readonly packsOf: (folder: string) => readonly number[];
}

/** For each arrival, the pack of each of its entries, in order. New packs are numbered after the highest one. */
export function placeEntries(state: PlacementState, arrivals: readonly Arrival[]): number[][] {
  const loads = new Map(state.packs.map(({ pack, entries, bytes }) => [pack, { entries, bytes }]));
  if (!loads.has(indexPack)) loads.set(indexPack, { entries: 0, bytes: 0 });
  const added = new Map<string, number[]>();
  let highest = Math.max(...loads.keys());
  const packsOf = (folder: string): readonly number[] => [...state.packsOf(folder), ...(added.get(folder) ?? [])];
  const loadOf = (pack: number): Load => loads.get(pack) ?? { entries: 0, bytes: 0 };
  const holds = (pack: number, { entries, bytes }: Load, share = 1): boolean => {
    const load = loadOf(pack);
    const shares = pack === indexPack ? indexShare : { entries: share, bytes: share };
    return load.entries + entries <= maxEntries * shares.entries && load.bytes + bytes <= maxBytes * shares.bytes;
  };
  /** True if a new folder fits as a whole. A folder in two packs costs each reader one more request. */
  const takesFolder = (pack: number, load: Load): boolean => holds(pack, noLoad, foldersShare) && holds(pack, load);
  const choose = ({ folder, near }: Arrival, whole: Load, bytes: number): number => {
    const one = { entries: 1, bytes };
    const own = packsOf(folder).findLast((pack) => holds(pack, one));
    if (own !== undefined) return own;
    if (holds(indexPack, whole)) return indexPack;
    for (const neighbour of near) {
      const theirs = packsOf(neighbour).findLast((pack) => pack !== indexPack && takesFolder(pack, whole));
      if (theirs !== undefined) return theirs;
    }
    // Folders that arrive one after the other go together: a copied tree arrives in the order of the tree.
    if (highest !== indexPack && takesFolder(highest, whole)) return highest;
    highest += 1;
    loads.set(highest, noLoad);
    return highest;
  };
  return arrivals.map((arrival) => {
    const whole = { entries: arrival.sizes.length, bytes: arrival.sizes.reduce((sum, bytes) => sum + bytes, 0) };
    return arrival.sizes.map((bytes) => {
      const pack = choose(arrival, whole, bytes);
      const load = loadOf(pack);
      loads.set(pack, { entries: load.entries + 1, bytes: load.bytes + bytes });
      whole.entries -= 1;
      whole.bytes -= bytes;
      if (!packsOf(arrival.folder).includes(pack))
        added.set(arrival.folder, [...(added.get(arrival.folder) ?? []), pack]);
      return pack;
    });
  });
}
