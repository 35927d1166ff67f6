/** Carries out the upkeep of this machine's part of the store, in the background and within its share of the requests. */
import type { Clock } from '../base/clock.js';
import type { Provider } from '../providers/provider.js';
import type { TransferOptions } from './pack-transfer.js';
import { indexPack } from './placement.js';
import type { MetadataReader } from './reader.js';
import type { MetadataTables } from './tables.js';
import { isRemovalDone, planMerge, upkeepTime } from './upkeep.js';
import type { MetadataWriter } from './writer.js';

/** Removals that one upkeep looks at. */
const REMOVALS = 500;
/** Folders whose packs one upkeep reads, to learn whether their removals are done: a request for each at most. */
const FOLDERS = 4;

export interface StoreUpkeepOptions {
  readonly tables: MetadataTables;
  readonly provider: Pick<Provider, 'metrics'>;
  readonly reader: Pick<MetadataReader, 'prepare' | 'refresh'>;
  readonly writer: Pick<MetadataWriter, 'canRemove'>;
  readonly clock: Clock;
  readonly transaction: <T>(act: () => T) => T;
}

export class StoreUpkeep {
  readonly #o: StoreUpkeepOptions;
  /** The last removal that was looked at: the next upkeep goes on there. */
  #after = { folder: '', name: '' };

  constructor(options: StoreUpkeepOptions) {
    this.#o = options;
  }

  /** Merges packs and drops removals where that is due. The changes wait to be written. Throws the provider's error. */
  async run(options: TransferOptions): Promise<void> {
    const { tables, provider, clock, transaction } = this.#o;
    const now = clock.now();
    const last = tables.recall<number>('upkeep');
    // A time to come was written by a clock that was wrong.
    const isDue = last === null || last > now || now >= upkeepTime(last, provider.metrics().rateLimit);
    if (!isDue) return;
    const dropped = await this.#dropRemovals(now, options);
    const merged = transaction(() => this.#merge());
    if (dropped || merged) tables.remember('upkeep', now);
  }

  /** Part of a transaction: from then on the entries lie in the other pack, also for a process that comes after a crash. */
  #merge(): boolean {
    const { tables, writer } = this.#o;
    // A file that cannot be removed would go on saying what it says.
    if (!writer.canRemove) return false;
    const empty = tables
      .ownPacks()
      .filter(
        ({ pack, entries, changes, file }) => pack !== indexPack && entries === 0 && changes === 0 && file !== null,
      );
    for (const { pack } of empty) tables.noteChange(pack);
    const merge = planMerge(tables.ownLoads());
    for (const pack of merge?.from ?? []) tables.mergeOwn(pack, merge?.into ?? pack);
    return merge !== null || empty.length > 0;
  }

  async #dropRemovals(now: number, options: TransferOptions): Promise<boolean> {
    const { tables, reader, transaction } = this.#o;
    const { folder, name } = this.#after;
    const removals = tables.removalsAfter(folder, name, REMOVALS);
    const old = removals.filter(({ wall }) =>
      isRemovalDone({ writtenAt: wall, now, isFolderKnown: true, isOlderElsewhere: false }),
    );
    this.#after = removals.length < REMOVALS ? { folder: '', name: '' } : (removals.at(-1) ?? this.#after);
    const folders = [...new Set(old.map((removal) => removal.folder))];
    const unknown = folders.filter((each) => !tables.isFolderKnown(each)).slice(0, FOLDERS);
    // One list tells of all machines' files.
    if (old.length > 0) await reader.refresh(options);
    for (const each of unknown) await reader.prepare(each, options);
    return transaction(() => {
      const known = new Set(folders.filter((each) => tables.isFolderKnown(each)));
      let isChanged = false;
      for (const removal of old) {
        const isDone = isRemovalDone({
          writtenAt: removal.wall,
          now,
          isFolderKnown: known.has(removal.folder),
          isOlderElsewhere: tables.isOlderElsewhere(removal.folder, removal.name),
        });
        if (!isDone) continue;
        tables.removeOwn(removal.folder, removal.name);
        isChanged = true;
      }
      return isChanged;
    });
  }
}
