/**
 * Writes this machine's entries to the account.
 *
 * Each file has a fixed name and is replaced as a whole (`Provider.upload` keeps the old version until the new one is stored). This takes
 * one request a file; generations that the index names would take three (store, name, remove). The order keeps the store readable at every
 * moment: first the packs, then the index, which names the folders of the packs, then the removal of packs without entries. An entry
 * changes its pack only when packs are merged, and stays in both until the index names the new one. So a reader between two requests misses
 * no entry; it only sees some changes earlier than others.
 */
import { codeOf } from '../base/errors.js';
import type { Provider } from '../providers/provider.js';
import type { HiddenFolder } from './hidden-folder.js';
import type { OwnPack } from './own-tables.js';
import { encodePack, packName } from './pack-file.js';
import { md5Of, storeWhole, type TransferOptions } from './pack-transfer.js';
import { type Arrival, indexPack, placeEntries } from './placement.js';
import type { MetadataReader } from './reader.js';
import type { MetadataTables } from './tables.js';

export interface WriterOptions {
  readonly tables: MetadataTables;
  readonly provider: Provider;
  readonly folder: HiddenFolder;
  readonly reader: Pick<MetadataReader, 'expire' | 'refresh'>;
  readonly transaction: <T>(act: () => T) => T;
  /** The folders above a folder, nearest first. */
  readonly near: (folder: string) => readonly string[];
}

/** The number of attempts of one write, if the account differs from what this machine knew. */
const ATTEMPTS = 3;

export class MetadataWriter {
  readonly #o: WriterOptions;

  constructor(options: WriterOptions) {
    this.#o = options;
  }

  /** Writes all changes until now. Throws the provider's error; unwritten changes then stay pending. */
  async write(options: TransferOptions): Promise<void> {
    const { tables, folder, reader, transaction } = this.#o;
    for (let attempt = 1; ; attempt++) {
      try {
        transaction(() => this.#placeNew());
        await this.#writeChanged(options);
        return;
      } catch (error) {
        const code = codeOf(error);
        if (attempt === ATTEMPTS || (code !== 'not-found' && code !== 'exists' && code !== 'revision-changed'))
          throw error;
        if (code === 'not-found') {
          // Another client has removed the folder or a file: the list of files shows which.
          folder.learn(null);
          await folder.require(options);
        }
        reader.expire();
        await reader.refresh(options);
        if (code === 'not-found')
          for (const { pack, file } of tables.ownPacks()) if (file === null) tables.noteChange(pack);
      }
    }
  }

  async #writeChanged(options: TransferOptions): Promise<void> {
    const { tables, folder, transaction } = this.#o;
    const changed = tables.ownPacks().filter(({ changes }) => changes > 0);
    if (changed.length === 0) return;
    const isEmpty = !tables.hasOwn() && tables.ownPacks().every(({ file }) => file === null);
    if (isEmpty) return transaction(() => tables.forgetOwnFiles());
    const { id } = await folder.require(options);
    const packs = changed.filter(({ pack }) => pack !== indexPack);
    const emptied = packs.filter((pack) => this.#isToGo(pack));
    for (const known of packs) if (!emptied.includes(known)) await this.#writePack(id, known.pack, options);
    if (tables.ownPack(indexPack).changes > 0) await this.#writePack(id, indexPack, options);
    // The index no longer names them.
    for (const { pack } of emptied) await this.#removePack(pack, options);
  }

  /** True if a pack's file can go: it has no entries. After an unconfirmed upload there may be an unknown file, which is replaced first. */
  #isToGo({ entries, file, sent }: OwnPack): boolean {
    return entries === 0 && this.canRemove && (file !== null || sent.length === 0);
  }

  /** True if the service removes files for good: packs must not fill the user's trash. */
  get canRemove(): boolean {
    return this.#o.provider.capabilities.permanentDelete;
  }

  async #removePack(pack: number, options: TransferOptions): Promise<void> {
    const { tables, provider } = this.#o;
    const { changes, entries, file } = tables.ownPack(pack);
    // New entries have arrived meanwhile: the next write includes them.
    if (entries > 0) return;
    if (file !== null)
      try {
        await provider.remove(file, options);
      } catch (error) {
        if (codeOf(error) !== 'not-found') throw error;
      }
    tables.removed(pack, changes, file);
  }

  async #writePack(parentId: string, pack: number, options: TransferOptions): Promise<void> {
    const { tables, provider } = this.#o;
    const { changes, file } = tables.ownPack(pack);
    const { machine } = tables;
    const header = pack === indexPack ? { machine, pack, packs: tables.ownFolders() } : { machine, pack };
    const bytes = await encodePack(header, tables.ownLines(pack));
    const md5 = md5Of(bytes);
    // The changes since the last write have cancelled out.
    if (file !== null && file.md5?.toLowerCase() === md5) return tables.stored(pack, changes, file);
    tables.sending(pack, { size: bytes.length, md5 });
    const target = { parentId, name: packName(machine, pack), ...(file === null ? {} : { replaces: file }) };
    const stored = await storeWhole(provider, target, bytes, options);
    tables.stored(pack, changes, stored);
  }

  /** Assigns new entries to packs, and notes that. */
  #placeNew(): void {
    const { tables, near } = this.#o;
    const arrivals = new Map<string, { names: string[]; sizes: number[] }>();
    for (const { folder, name, bytes } of tables.unplaced()) {
      const arrival = arrivals.get(folder);
      if (arrival === undefined) arrivals.set(folder, { names: [name], sizes: [bytes] });
      else {
        arrival.names.push(name);
        arrival.sizes.push(bytes);
      }
    }
    const planned = [...arrivals].map(([folder, { sizes }]): Arrival => ({ folder, sizes, near: near(folder) }));
    const places = placeEntries({ packs: tables.ownLoads(), packsOf: (folder) => tables.packsOfOwn(folder) }, planned);
    for (const [at, [folder, { names, sizes }]] of [...arrivals].entries())
      for (const [n, name] of names.entries()) tables.place(folder, name, sizes[n] ?? 0, places[at]?.[n] ?? indexPack);
  }
}
