/**
 * Does the upkeep of this machine's files in the background: merges small packs, and drops removals that have done their work (upkeep.ts
 * decides both).
 */
import type { Clock } from '../base/clock.js';
import type { Provider } from '../providers/provider.js';
import type { TransferOptions } from './pack-transfer.js';
import { indexPack } from './placement.js';
import type { MetadataReader } from './reader.js';
import type { MetadataTables } from './tables.js';
import { isRemovalDone, planMerge, upkeepTime } from './upkeep.js';
import type { MetadataWriter } from './writer.js';

/** The number of removals that one upkeep checks. */
const REMOVALS = 500;
/** The number of folders whose packs one upkeep reads to check their removals. Each pack costs a request. */
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
  /** The last removal that was checked: the next upkeep goes on there. */
  #after = { folder: '', name: '' };

  constructor(options: StoreUpkeepOptions) {
    this.#o = options;
  }

  /** Merges packs and drops removals if upkeep is due. The caller writes the changes. Throws the provider's error. */
  async run(options: TransferOptions): Promise<void> {
    const { tables, provider, clock, transaction } = this.#o;
    const now = clock.now();
    const last = tables.recall<number>('upkeep');
    // A time in the future comes from a clock that was wrong.
    const isDue = last === null || last > now || now >= upkeepTime(last, provider.metrics().rateLimit);
    if (!isDue) return;
    const dropped = await this.#dropRemovals(now, options);
    const merged = transaction(() => this.#merge());
    if (dropped || merged) tables.remember('upkeep', now);
  }

  /** Part of a transaction: so a process after a crash finds the entries in the other pack, too. */
  #merge(): boolean {
    const { tables, writer } = this.#o;
    // If a file cannot be removed, its entries would still count.
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
    // One list shows all machines' files.
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
