/** The store's tables in the state database (tree/state-schema.ts has them all): each statement is part of the caller's transaction. */
import type { Sql, Statement } from '../base/sqlite.js';
import type { RemoteFile } from '../providers/provider.js';
import { lineOf, type MetadataEntry, parseEntry, type TimedEntry, timeOf } from './entry.js';
import type { LogicalTime } from './logical-time.js';
import { indexPack, type PackLoad } from './placement.js';

export interface Sent {
  readonly size: number;
  readonly md5: string;
}

/** So many failed attempts are remembered: an older one has been overwritten, or never came. */
const REMEMBERED_ATTEMPTS = 16;

export interface OwnPack {
  readonly pack: number;
  /** Changes that are not at the service yet. */
  readonly changes: number;
  /** As it was last stored; null: it is not at the service. */
  readonly file: RemoteFile | null;
  /** Contents whose upload was begun and not seen to end: the service may have one of them. */
  readonly sent: readonly Sent[];
}

/** When an entry was written, and of what. */
export interface NamedTime extends LogicalTime {
  readonly name: string;
  readonly id: string | null;
}

interface Body {
  readonly machine?: string;
  readonly body: string;
}

export class MetadataTables {
  readonly #sql: Sql;
  readonly #statements = new Map<string, Statement>();
  /** This machine's id in the store. */
  machine = '';

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** A statement, prepared at its first use: a mount that keeps its metadata to itself prepares none. */
  #s(text: string): Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#sql.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  #all<T>(text: string, ...values: unknown[]): T[] {
    return this.#s(text).all(...values) as T[];
  }

  #get<T>(text: string, ...values: unknown[]): T | undefined {
    return this.#s(text).get(...values) as T | undefined;
  }

  remember(name: string, value: unknown): void {
    this.#s('INSERT OR REPLACE INTO memory (name, value) VALUES (?, ?)').run(`metadata ${name}`, JSON.stringify(value));
  }

  recall<T>(name: string): T | null {
    const row = this.#get<{ value: string }>('SELECT value FROM memory WHERE name = ?', `metadata ${name}`);
    return row === undefined ? null : (JSON.parse(row.value) as T);
  }

  own(folder: string, name: string): TimedEntry | undefined {
    const row = this.#get<Body>('SELECT body FROM metadata_own WHERE folder = ? AND name = ?', folder, name);
    return row === undefined ? undefined : this.#timed(row);
  }

  putOwn(entry: MetadataEntry): void {
    const { folder, name, id, clock } = entry;
    const body = lineOf(entry);
    const old = this.#placeOf(folder, name);
    this.#s(
      `INSERT OR REPLACE INTO metadata_own (folder, name, id, pack, wall, counter, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ).run(folder, name, id ?? null, old?.pack ?? null, ...clock, body);
    if (old?.pack != null) this.#change(old.pack, 0, body.length - old.bytes);
  }

  removeOwn(folder: string, name: string): void {
    const old = this.#placeOf(folder, name);
    this.#s('DELETE FROM metadata_own WHERE folder = ? AND name = ?').run(folder, name);
    if (old?.pack == null) return;
    this.#change(old.pack, -1, -old.bytes);
    const left = 'SELECT 1 FROM metadata_own WHERE pack = ? AND folder = ? LIMIT 1';
    if (this.#get(left, old.pack, folder) === undefined) {
      this.#s('DELETE FROM metadata_own_folder WHERE folder = ? AND pack = ?').run(folder, old.pack);
      if (old.pack !== indexPack) this.noteChange(indexPack);
    }
  }

  #placeOf(folder: string, name: string): { readonly pack: number | null; readonly bytes: number } | undefined {
    return this.#get(
      'SELECT pack, length(body) AS bytes FROM metadata_own WHERE folder = ? AND name = ?',
      folder,
      name,
    );
  }

  noteChange(pack: number): void {
    this.#change(pack, 0, 0);
  }

  #change(pack: number, entries: number, bytes: number): void {
    this.#s(
      `INSERT INTO metadata_own_pack (pack, changes, entries, bytes) VALUES (?, 1, ?, ?) ON CONFLICT (pack) DO UPDATE
       SET changes = changes + 1, entries = entries + excluded.entries, bytes = bytes + excluded.bytes`,
    ).run(pack, entries, bytes);
  }

  /** Changes that the account does not have yet. */
  unwritten(): number {
    const waiting = this.#get<{ n: number }>('SELECT COUNT(*) AS n FROM metadata_own WHERE pack IS NULL')?.n ?? 0;
    return waiting + (this.#get<{ n: number | null }>('SELECT SUM(changes) AS n FROM metadata_own_pack')?.n ?? 0);
  }

  hasOwn(): boolean {
    return this.#get('SELECT 1 FROM metadata_own LIMIT 1') !== undefined;
  }

  hasAny(): boolean {
    return this.hasOwn() || this.#get('SELECT 1 FROM metadata_other LIMIT 1') !== undefined;
  }

  /** Entries that wait to be planned, by folder and name. */
  unplaced(): { readonly folder: string; readonly name: string; readonly bytes: number }[] {
    return this.#all(
      'SELECT folder, name, length(body) AS bytes FROM metadata_own WHERE pack IS NULL ORDER BY wall, counter, folder, name',
    );
  }

  place(folder: string, name: string, bytes: number, pack: number): void {
    this.#s('UPDATE metadata_own SET pack = ? WHERE folder = ? AND name = ?').run(pack, folder, name);
    this.#change(pack, 1, bytes);
    const isNew = this.#s('INSERT OR IGNORE INTO metadata_own_folder (folder, pack) VALUES (?, ?)').run(folder, pack);
    if (isNew.changes > 0 && pack !== indexPack) this.noteChange(indexPack);
  }

  packsOfOwn(folder: string): number[] {
    const rows = this.#all<{ pack: number }>(
      'SELECT pack FROM metadata_own_folder WHERE folder = ? ORDER BY pack',
      folder,
    );
    return rows.map(({ pack }) => pack);
  }

  ownLoads(): PackLoad[] {
    return this.#all('SELECT pack, entries, bytes FROM metadata_own_pack');
  }

  /** The folders of each pack but the index. */
  ownFolders(): Record<string, string[]> {
    const packs: Record<string, string[]> = {};
    const rows = this.#all<{ pack: number; folder: string }>(
      'SELECT pack, folder FROM metadata_own_folder WHERE pack > 0 ORDER BY pack, folder',
    );
    for (const { pack, folder } of rows) {
      const folders = packs[pack];
      if (folders === undefined) packs[pack] = [folder];
      else folders.push(folder);
    }
    return packs;
  }

  ownLines(pack: number): string[] {
    return this.#all<Body>('SELECT body FROM metadata_own WHERE pack = ? ORDER BY folder, name', pack).map(
      ({ body }) => body,
    );
  }

  ownPacks(): OwnPack[] {
    const rows = this.#all<{ pack: number; changes: number; file: string | null; sent: string | null }>(
      'SELECT pack, changes, file, sent FROM metadata_own_pack ORDER BY pack',
    );
    return rows.map(({ pack, changes, file, sent }) => ({
      pack,
      changes,
      file: file === null ? null : (JSON.parse(file) as RemoteFile),
      sent: sent === null ? [] : (JSON.parse(sent) as Sent[]),
    }));
  }

  ownPack(pack: number): OwnPack {
    return this.ownPacks().find((known) => known.pack === pack) ?? { pack, changes: 0, file: null, sent: [] };
  }

  /** The content is about to be sent. */
  sending(pack: number, content: Sent): void {
    const sent = [...this.ownPack(pack).sent, content].slice(-REMEMBERED_ATTEMPTS);
    this.#s('UPDATE metadata_own_pack SET sent = ? WHERE pack = ?').run(JSON.stringify(sent), pack);
  }

  /** The pack is at the service with the first `changes` of its changes. */
  stored(pack: number, changes: number, file: RemoteFile): void {
    this.#s('UPDATE metadata_own_pack SET changes = changes - ?, file = ?, sent = NULL WHERE pack = ?').run(
      changes,
      JSON.stringify(file),
      pack,
    );
  }

  /** What the service has of the pack is known now; null: nothing. */
  setFile(pack: number, file: RemoteFile | null): void {
    this.#s('UPDATE metadata_own_pack SET file = ?, sent = NULL WHERE pack = ?').run(
      file === null ? null : JSON.stringify(file),
      pack,
    );
  }

  /** All of this machine's entries are to be written anew. */
  forgetOwnFiles(): void {
    this.#s('DELETE FROM metadata_own_pack').run();
    this.#s('DELETE FROM metadata_own_folder').run();
    this.#s('UPDATE metadata_own SET pack = NULL').run();
  }

  /** Entries of a folder, of all machines. */
  entriesOf(folder: string): TimedEntry[] {
    return this.#parsed(
      `SELECT NULL AS machine, body FROM metadata_own WHERE folder = ?
       UNION ALL SELECT machine, body FROM metadata_other WHERE folder = ?`,
      folder,
      folder,
    );
  }

  /** Machines with entries of a folder. */
  machinesOf(folder: string): string[] {
    const rows = this.#all<{ machine: string }>('SELECT DISTINCT machine FROM metadata_other WHERE folder = ?', folder);
    return rows.map(({ machine }) => machine);
  }

  /** At most `limit` entries of a folder after a name, of this machine (null) or another one, without what they say. */
  timesAfter(machine: string | null, folder: string, name: string, limit: number): NamedTime[] {
    const columns = 'name, id, wall, counter';
    const rows =
      machine === null
        ? this.#all<Omit<NamedTime, 'machine'>>(
            `SELECT ${columns} FROM metadata_own WHERE folder = ? AND name > ? ORDER BY name LIMIT ?`,
            folder,
            name,
            limit,
          )
        : this.#all<Omit<NamedTime, 'machine'>>(
            `SELECT ${columns} FROM metadata_other WHERE machine = ? AND folder = ? AND name > ? ORDER BY name LIMIT ?`,
            machine,
            folder,
            name,
            limit,
          );
    return rows.map((row) => ({ ...row, machine: machine ?? this.machine }));
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

  entriesOfObject(id: string): TimedEntry[] {
    return this.#parsed(
      `SELECT NULL AS machine, body FROM metadata_own WHERE id = ?
       UNION ALL SELECT machine, body FROM metadata_other WHERE id = ?`,
      id,
      id,
    );
  }

  isKnownToOthers(folder: string, name: string): boolean {
    return this.#get('SELECT 1 FROM metadata_other WHERE folder = ? AND name = ? LIMIT 1', folder, name) !== undefined;
  }

  otherPacks(): { machine: string; pack: number; file: RemoteFile; loaded: string | null }[] {
    const rows = this.#all<{ machine: string; pack: number; file: string; loaded: string | null }>(
      'SELECT machine, pack, file, loaded FROM metadata_other_pack',
    );
    return rows.map((row) => ({ ...row, file: JSON.parse(row.file) as RemoteFile }));
  }

  putOtherPack(machine: string, pack: number, file: RemoteFile): void {
    this.#s(
      `INSERT INTO metadata_other_pack (machine, pack, file) VALUES (?, ?, ?)
       ON CONFLICT (machine, pack) DO UPDATE SET file = excluded.file`,
    ).run(machine, pack, JSON.stringify(file));
  }

  removeOtherPack(machine: string, pack: number): void {
    this.#s('DELETE FROM metadata_other WHERE machine = ? AND pack = ?').run(machine, pack);
    this.#s('DELETE FROM metadata_other_pack WHERE machine = ? AND pack = ?').run(machine, pack);
    if (pack === indexPack) this.#s('DELETE FROM metadata_other_folder WHERE machine = ?').run(machine);
  }

  /** Null: the entries of the pack are about to be replaced. */
  setLoaded(machine: string, pack: number, revision: string | null): void {
    this.#s('UPDATE metadata_other_pack SET loaded = ? WHERE machine = ? AND pack = ?').run(revision, machine, pack);
  }

  clearOther(machine: string, pack: number): void {
    this.#s('DELETE FROM metadata_other WHERE machine = ? AND pack = ?').run(machine, pack);
  }

  putOther(machine: string, pack: number, entry: MetadataEntry): void {
    const { folder, name, id, clock } = entry;
    // A crash may have left an older one in another pack of that machine.
    this.#s(
      `INSERT INTO metadata_other (machine, folder, name, id, pack, wall, counter, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (machine, folder, name) DO UPDATE
       SET id = excluded.id, pack = excluded.pack, wall = excluded.wall, counter = excluded.counter, body = excluded.body
       WHERE (excluded.wall, excluded.counter) >= (wall, counter)`,
    ).run(machine, folder, name, id ?? null, pack, ...clock, lineOf(entry));
  }

  replaceOtherFolders(machine: string, packs: Readonly<Record<string, readonly string[]>>): void {
    this.#s('DELETE FROM metadata_other_folder WHERE machine = ?').run(machine);
    const insert = this.#s('INSERT OR IGNORE INTO metadata_other_folder (folder, machine, pack) VALUES (?, ?, ?)');
    for (const [pack, folders] of Object.entries(packs))
      for (const folder of folders) insert.run(folder, machine, Number(pack));
  }

  /** Packs of other machines that hold a folder, and are not loaded as they are at the service now. */
  otherPacksOf(folder: string): { machine: string; pack: number; file: RemoteFile; loaded: string | null }[] {
    const rows = this.#all<{ machine: string; pack: number; file: string; loaded: string | null }>(
      `SELECT p.machine, p.pack, p.file, p.loaded FROM metadata_other_folder f
       JOIN metadata_other_pack p ON p.machine = f.machine AND p.pack = f.pack WHERE f.folder = ?`,
      folder,
    );
    return rows.map((row) => ({ ...row, file: JSON.parse(row.file) as RemoteFile }));
  }

  #parsed(text: string, ...values: unknown[]): TimedEntry[] {
    return this.#all<Body>(text, ...values).flatMap((row) => this.#timed(row) ?? []);
  }

  #timed({ machine, body }: Body): TimedEntry | undefined {
    const entry = parseEntry(body);
    return entry === null ? undefined : { entry, time: timeOf(entry, machine ?? this.machine) };
  }
}
