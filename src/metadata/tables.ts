/** The store's tables in the state database (tree/state-schema.ts has all tables). Each statement is part of the caller's transaction. */
import { type RemoteFile, revisionKey } from '../providers/provider.js';
import { type EntryLine, isSoughtByObject, type TimedEntry } from './entry.js';
import { isEntryOnly } from './held/entry-only.js';
import { type Body, OwnTables } from './own-tables.js';
import { indexPack } from './placement.js';
import { Retractions } from './retractions.js';

/** Adds the other machines' entries to those of this machine. */
export class MetadataTables extends OwnTables {
  #retractions: Retractions | null = null;

  get retractions(): Retractions {
    this.#retractions ??= new Retractions(this.sql);
    return this.#retractions;
  }

  /** All machines' entries of a folder. */
  entriesOf(folder: string): TimedEntry[] {
    return this.#parsed(
      `SELECT NULL AS machine, body FROM metadata_own WHERE folder = ?
       UNION ALL SELECT machine, body FROM metadata_other WHERE folder = ?`,
      folder,
      folder,
    );
  }

  /** The other machines with entries of a folder. */
  machinesOf(folder: string): string[] {
    const rows = this.all<{ machine: string }>('SELECT DISTINCT machine FROM metadata_other WHERE folder = ?', folder);
    return rows.map(({ machine }) => machine);
  }

  /** All machines' entries of some names of a folder: one query. */
  entriesOfNames(folder: string, names: readonly string[]): TimedEntry[] {
    // The names come first: the folder may have many more entries.
    return this.#parsed(
      `SELECT NULL AS machine, own.body FROM json_each(@names) AS n
         CROSS JOIN metadata_own AS own ON own.folder = @folder AND own.name = n.value
       UNION ALL
       SELECT x.machine, x.body FROM json_each(@names) AS n
         CROSS JOIN metadata_other AS x ON x.folder = @folder AND x.name = n.value`,
      { folder, names: JSON.stringify(names) },
    );
  }

  /** True if any machine has an entry of the folder. */
  hasEntriesOf(folder: string): boolean {
    const row = this.get(
      'SELECT 1 FROM metadata_own WHERE folder = ? UNION ALL SELECT 1 FROM metadata_other WHERE folder = ? LIMIT 1',
      folder,
      folder,
    );
    return row !== undefined;
  }

  entriesOfName(folder: string, name: string): TimedEntry[] {
    return this.#parsed(
      `SELECT NULL AS machine, body FROM metadata_own WHERE folder = ? AND name = ?
       UNION ALL SELECT machine, body FROM metadata_other WHERE folder = ? AND name = ?`,
      folder,
      name,
      folder,
      name,
    );
  }

  /** All entries that are bound to an object. Costs a look-up in each pack of other machines, unless the object is an entry only. */
  entriesOfObject(id: string): TimedEntry[] {
    if (isEntryOnly({ id })) return this.soughtByObject(id);
    return this.#parsed(
      `SELECT NULL AS machine, body FROM metadata_own WHERE id = ?
       UNION ALL
       SELECT x.machine, x.body FROM metadata_other_pack AS p
       CROSS JOIN metadata_other AS x ON x.machine = p.machine AND x.pack = p.pack AND x.id = ?`,
      id,
      id,
    );
  }

  /** This machine's entries that are bound to an object, and those of other machines for which `isSoughtByObject` holds. */
  soughtByObject(id: string): TimedEntry[] {
    return this.#parsed(
      `SELECT NULL AS machine, body FROM metadata_own WHERE id = ?
       UNION ALL SELECT machine, body FROM metadata_other WHERE id = ? AND by_object = 1`,
      id,
      id,
    );
  }

  isKnownToOthers(folder: string, name: string): boolean {
    return this.get('SELECT 1 FROM metadata_other WHERE folder = ? AND name = ? LIMIT 1', folder, name) !== undefined;
  }

  /** The names of a folder for which another machine's removal is later than this machine's entry. */
  supersededIn(folder: string): string[] {
    const rows = this.all<{ name: string }>(
      `SELECT DISTINCT own.name FROM metadata_other AS x
       JOIN metadata_own AS own ON own.folder = x.folder AND own.name = x.name
       WHERE x.folder = ? AND x.gone = 1 AND (x.wall, x.counter) > (own.wall, own.counter)`,
      folder,
    );
    return rows.map(({ name }) => name);
  }

  /** True if another machine has an entry of the name that is not later than this machine's. */
  isOlderElsewhere(folder: string, name: string): boolean {
    const row = this.get(
      `SELECT 1 FROM metadata_other AS x JOIN metadata_own AS own ON own.folder = x.folder AND own.name = x.name
       WHERE x.folder = ? AND x.name = ? AND (x.wall, x.counter) <= (own.wall, own.counter) LIMIT 1`,
      folder,
      name,
    );
    return row !== undefined;
  }

  /** True if all other machines' files that hold entries of a folder were read as they are now. */
  isFolderKnown(folder: string): boolean {
    const machines = this.all<{ machine: string }>('SELECT DISTINCT machine FROM metadata_other_pack');
    return machines.every(({ machine }) => this.isFolderKnownOf(machine, folder));
  }

  /** The same for one machine. False if its index is missing, because only the index names the packs of a folder. */
  isFolderKnownOf(machine: string, folder: string): boolean {
    const rows = this.all<{ file: string | null; loaded: string | null }>(
      `SELECT p.file, p.loaded FROM (SELECT 0 AS pack UNION SELECT pack FROM metadata_other_folder WHERE machine = ? AND folder = ?) AS f
       LEFT JOIN metadata_other_pack p ON p.machine = ? AND p.pack = f.pack`,
      machine,
      folder,
      machine,
    );
    return rows.every(({ file, loaded }) => file !== null && loaded === revisionKey(JSON.parse(file) as RemoteFile));
  }

  otherPacks(): { machine: string; pack: number; file: RemoteFile; loaded: string | null }[] {
    const rows = this.all<{ machine: string; pack: number; file: string; loaded: string | null }>(
      'SELECT machine, pack, file, loaded FROM metadata_other_pack',
    );
    return rows.map((row) => ({ ...row, file: JSON.parse(row.file) as RemoteFile }));
  }

  putOtherPack(machine: string, pack: number, file: RemoteFile): void {
    this.s(
      `INSERT INTO metadata_other_pack (machine, pack, file) VALUES (?, ?, ?)
       ON CONFLICT (machine, pack) DO UPDATE SET file = excluded.file`,
    ).run(machine, pack, JSON.stringify(file));
  }

  removeOtherPack(machine: string, pack: number): void {
    this.changes++;
    this.retractions.noteAll(machine, pack);
    this.s('DELETE FROM metadata_other WHERE machine = ? AND pack = ?').run(machine, pack);
    this.s('DELETE FROM metadata_other_pack WHERE machine = ? AND pack = ?').run(machine, pack);
    if (pack === indexPack) this.s('DELETE FROM metadata_other_folder WHERE machine = ?').run(machine);
  }

  /** Notes the revision of a pack whose entries are in the tables; null while they are being replaced. */
  setLoaded(machine: string, pack: number, revision: string | null): void {
    this.s('UPDATE metadata_other_pack SET loaded = ? WHERE machine = ? AND pack = ?').run(revision, machine, pack);
  }

  hasOtherPack(machine: string, pack: number): boolean {
    return this.get('SELECT 1 FROM metadata_other WHERE machine = ? AND pack = ? LIMIT 1', machine, pack) !== undefined;
  }

  /** The names in a pack as it was last read. */
  otherNames(machine: string, pack: number): { folder: string; name: string; wall: number; counter: number }[] {
    return this.all(
      'SELECT folder, name, wall, counter FROM metadata_other WHERE machine = ? AND pack = ?',
      machine,
      pack,
    );
  }

  /** Withdraws entries of a folder in packs that, by the indexes, no longer hold it: nobody would read those packs for it again. */
  retractUnlisted(folder: string): void {
    const rows = this.all<{ machine: string; name: string; wall: number; counter: number }>(
      `SELECT machine, name, wall, counter FROM metadata_other AS x WHERE folder = ? AND pack > 0 AND NOT EXISTS
         (SELECT 1 FROM metadata_other_folder f WHERE f.folder = x.folder AND f.machine = x.machine AND f.pack = x.pack)`,
      folder,
    );
    for (const { machine, ...row } of rows)
      if (this.isFolderKnownOf(machine, folder)) this.retract(machine, { folder, ...row });
  }

  /** Drops an entry that its machine has withdrawn, and notes the retraction. */
  retract(machine: string, row: { folder: string; name: string; wall: number; counter: number }): void {
    this.changes++;
    this.retractions.note({ machine, ...row });
    this.s('DELETE FROM metadata_other WHERE machine = ? AND folder = ? AND name = ?').run(
      machine,
      row.folder,
      row.name,
    );
  }

  /** Stores entries that a pack of another machine holds. */
  putOthers(machine: string, pack: number, entries: readonly EntryLine[]): void {
    this.changes++;
    const { retractions } = this;
    if (!retractions.isEmpty) for (const { entry } of entries) retractions.revoke(machine, entry.folder, entry.name);
    const values = entries.flatMap(({ entry, line }) => {
      const { folder, name, id, clock, gone } = entry;
      const flags = [gone === true ? 1 : 0, isSoughtByObject(entry) ? 1 : 0];
      return [folder, name, machine, id ?? null, pack, ...clock, ...flags, line];
    });
    const row = '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';
    // Another pack of that machine may hold an older entry of the name, or the same one from before a merge into a pack with a higher
    // number.
    this.s(
      `INSERT INTO metadata_other (folder, name, machine, id, pack, wall, counter, gone, by_object, body)
       VALUES ${entries.map(() => row).join(', ')}
       ON CONFLICT (folder, name, machine) DO UPDATE SET id = excluded.id, pack = excluded.pack, wall = excluded.wall,
         counter = excluded.counter, gone = excluded.gone, by_object = excluded.by_object, body = excluded.body
       WHERE excluded.pack = pack OR (excluded.wall, excluded.counter, excluded.pack) > (wall, counter, pack)`,
    ).run(values);
  }

  addOtherFolder({ machine, pack, folder }: FolderPlace): void {
    this.s('INSERT OR IGNORE INTO metadata_other_folder (folder, machine, pack) VALUES (?, ?, ?)').run(
      folder,
      machine,
      pack,
    );
  }

  removeOtherFolder({ machine, pack, folder }: FolderPlace): void {
    this.s('DELETE FROM metadata_other_folder WHERE folder = ? AND machine = ? AND pack = ?').run(
      folder,
      machine,
      pack,
    );
  }

  /** The next folders in all machines' indexes, in the order of the table. */
  otherFoldersAfter({ folder, machine, pack }: FolderPlace, limit: number): FolderPlace[] {
    return this.all(
      `SELECT folder, machine, pack FROM metadata_other_folder WHERE (folder, machine, pack) > (?, ?, ?)
       ORDER BY folder, machine, pack LIMIT ?`,
      folder,
      machine,
      pack,
      limit,
    );
  }

  /** Packs of other machines that hold a folder, each with its current file and the revision whose entries are loaded. */
  otherPacksOf(folder: string): { machine: string; pack: number; file: RemoteFile; loaded: string | null }[] {
    const rows = this.all<{ machine: string; pack: number; file: string; loaded: string | null }>(
      `SELECT p.machine, p.pack, p.file, p.loaded FROM metadata_other_folder f
       JOIN metadata_other_pack p ON p.machine = f.machine AND p.pack = f.pack WHERE f.folder = ?`,
      folder,
    );
    return rows.map((row) => ({ ...row, file: JSON.parse(row.file) as RemoteFile }));
  }

  #parsed(text: string, ...values: unknown[]): TimedEntry[] {
    return this.all<Body>(text, ...values).map((row) => this.timed(row));
  }
}

/** A folder with a pack that holds entries of it, as the machine's index names them. */
export interface FolderPlace {
  readonly machine: string;
  readonly pack: number;
  readonly folder: string;
}
