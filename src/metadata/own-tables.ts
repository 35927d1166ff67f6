/**
 * This machine's entries and packs in the state database (tree/state-schema.ts has all tables). Each statement is part of the caller's
 * transaction.
 */
import type { Sql, Statement } from '../base/sqlite.js';
import type { RemoteFile } from '../providers/provider.js';
import { lineOf, type MetadataEntry, readEntry, type TimedEntry, timeOf } from './entry.js';
import { indexPack, type PackLoad } from './placement.js';

export interface Sent {
  readonly size: number;
  readonly md5: string;
}

/** How many failed attempts are remembered. An older one was overwritten, or never reached the service. */
const REMEMBERED_ATTEMPTS = 16;

export interface OwnPack {
  readonly pack: number;
  /** The number of changes that the service does not have yet. */
  readonly changes: number;
  readonly entries: number;
  /** The pack's file as it was last stored; null: the service has none. */
  readonly file: RemoteFile | null;
  /** Contents whose upload has begun and was not confirmed: the service may have one of them. */
  readonly sent: readonly Sent[];
}

export interface Body {
  readonly machine?: string;
  readonly body: string;
}

export class OwnTables {
  protected readonly sql: Sql;
  readonly #statements = new Map<string, Statement>();
  /** This machine's id in the store. */
  machine = '';
  /** The number of deferred entries (`DeferredEntries`). */
  deferredCount: () => number = () => 0;
  /** Rises with each change of an entry. */
  changes = 0;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  /** A statement, prepared at its first use. So a mount with `--metadata local` prepares none. */
  protected s(text: string): Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.sql.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  protected all<T>(text: string, ...values: unknown[]): T[] {
    return this.s(text).all(...values) as T[];
  }

  protected get<T>(text: string, ...values: unknown[]): T | undefined {
    return this.s(text).get(...values) as T | undefined;
  }

  remember(name: string, value: unknown): void {
    this.s('INSERT OR REPLACE INTO memory (name, value) VALUES (?, ?)').run(`metadata ${name}`, JSON.stringify(value));
  }

  recall<T>(name: string): T | null {
    const row = this.get<{ value: string }>('SELECT value FROM memory WHERE name = ?', `metadata ${name}`);
    return row === undefined ? null : (JSON.parse(row.value) as T);
  }

  own(folder: string, name: string): TimedEntry | undefined {
    const row = this.get<Body>('SELECT body FROM metadata_own WHERE folder = ? AND name = ?', folder, name);
    return row === undefined ? undefined : this.timed(row);
  }

  putOwn(entry: MetadataEntry): void {
    this.changes++;
    const { folder, name, id, clock } = entry;
    const body = lineOf(entry);
    const old = this.#placeOf(folder, name);
    this.s(
      `INSERT OR REPLACE INTO metadata_own (folder, name, id, pack, wall, counter, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ).run(folder, name, id ?? null, old?.pack ?? null, ...clock, body);
    if (old?.pack != null) this.#change(old.pack, 0, body.length - old.bytes);
  }

  removeOwn(folder: string, name: string): void {
    this.changes++;
    const old = this.#placeOf(folder, name);
    this.s('DELETE FROM metadata_own WHERE folder = ? AND name = ?').run(folder, name);
    if (old?.pack == null) return;
    this.#change(old.pack, -1, -old.bytes);
    const left = 'SELECT 1 FROM metadata_own WHERE pack = ? AND folder = ? LIMIT 1';
    if (this.get(left, old.pack, folder) === undefined) {
      this.s('DELETE FROM metadata_own_folder WHERE folder = ? AND pack = ?').run(folder, old.pack);
      if (old.pack !== indexPack) this.noteChange(indexPack);
    }
  }

  #placeOf(folder: string, name: string): { readonly pack: number | null; readonly bytes: number } | undefined {
    return this.get('SELECT pack, length(body) AS bytes FROM metadata_own WHERE folder = ? AND name = ?', folder, name);
  }

  noteChange(pack: number): void {
    this.#change(pack, 0, 0);
  }

  #change(pack: number, entries: number, bytes: number): void {
    this.s(
      `INSERT INTO metadata_own_pack (pack, changes, entries, bytes) VALUES (?, 1, ?, ?) ON CONFLICT (pack) DO UPDATE
       SET changes = changes + 1, entries = entries + excluded.entries, bytes = bytes + excluded.bytes`,
    ).run(pack, entries, bytes);
  }

  /** The number of changes that the account does not have yet. */
  unwritten(): number {
    const waiting = this.get<{ n: number }>('SELECT COUNT(*) AS n FROM metadata_own WHERE pack IS NULL')?.n ?? 0;
    return (
      this.deferredCount() +
      waiting +
      (this.get<{ n: number | null }>('SELECT SUM(changes) AS n FROM metadata_own_pack')?.n ?? 0)
    );
  }

  hasOwn(): boolean {
    return this.get('SELECT 1 FROM metadata_own LIMIT 1') !== undefined;
  }

  hasAny(): boolean {
    return this.hasOwn() || this.get('SELECT 1 FROM metadata_other LIMIT 1') !== undefined;
  }

  /** Entries that have no pack yet, oldest first. */
  unplaced(): { readonly folder: string; readonly name: string; readonly bytes: number }[] {
    return this.all(
      'SELECT folder, name, length(body) AS bytes FROM metadata_own WHERE pack IS NULL ORDER BY wall, counter, folder, name',
    );
  }

  isUnplaced(folder: string, name: string): boolean {
    return this.#placeOf(folder, name)?.pack === null;
  }

  place(folder: string, name: string, bytes: number, pack: number): void {
    this.s('UPDATE metadata_own SET pack = ? WHERE folder = ? AND name = ?').run(pack, folder, name);
    this.#change(pack, 1, bytes);
    const isNew = this.s('INSERT OR IGNORE INTO metadata_own_folder (folder, pack) VALUES (?, ?)').run(folder, pack);
    if (isNew.changes > 0 && pack !== indexPack) this.noteChange(indexPack);
  }

  packsOfOwn(folder: string): number[] {
    const rows = this.all<{ pack: number }>(
      'SELECT pack FROM metadata_own_folder WHERE folder = ? ORDER BY pack',
      folder,
    );
    return rows.map(({ pack }) => pack);
  }

  ownLoads(): PackLoad[] {
    return this.all('SELECT pack, entries, bytes FROM metadata_own_pack');
  }

  /** The folders of each pack except the index. */
  ownFolders(): Record<string, string[]> {
    const packs: Record<string, string[]> = {};
    const rows = this.all<{ pack: number; folder: string }>(
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
    return this.all<Body>('SELECT body FROM metadata_own WHERE pack = ? ORDER BY folder, name', pack).map(
      ({ body }) => body,
    );
  }

  ownPacks(): OwnPack[] {
    const rows = this.all<{
      pack: number;
      changes: number;
      entries: number;
      file: string | null;
      sent: string | null;
    }>('SELECT pack, changes, entries, file, sent FROM metadata_own_pack ORDER BY pack');
    return rows.map(({ pack, changes, entries, file, sent }) => ({
      pack,
      changes,
      entries,
      file: file === null ? null : (JSON.parse(file) as RemoteFile),
      sent: sent === null ? [] : (JSON.parse(sent) as Sent[]),
    }));
  }

  ownPack(pack: number): OwnPack {
    return (
      this.ownPacks().find((known) => known.pack === pack) ?? { pack, changes: 0, entries: 0, file: null, sent: [] }
    );
  }

  /** Notes a content before its upload begins. */
  sending(pack: number, content: Sent): void {
    const sent = [...this.ownPack(pack).sent, content].slice(-REMEMBERED_ATTEMPTS);
    this.s('UPDATE metadata_own_pack SET sent = ? WHERE pack = ?').run(JSON.stringify(sent), pack);
  }

  /** Notes that the service has the pack, with the first `changes` of its changes. */
  stored(pack: number, changes: number, file: RemoteFile): void {
    this.s('UPDATE metadata_own_pack SET changes = changes - ?, file = ?, sent = NULL WHERE pack = ?').run(
      changes,
      JSON.stringify(file),
      pack,
    );
  }

  /** Notes the pack's file as the service has it; null: it has none. */
  setFile(pack: number, file: RemoteFile | null): void {
    this.s('UPDATE metadata_own_pack SET file = ?, sent = NULL WHERE pack = ?').run(
      file === null ? null : JSON.stringify(file),
      pack,
    );
  }

  /**
   * Notes that the pack has no entries, and that its file was removed. A stale listing may still show that file: `sent` proves that it is
   * ours.
   */
  removed(pack: number, changes: number, file: RemoteFile | null): void {
    const sent = file === null ? null : JSON.stringify([{ size: file.size, md5: file.md5 ?? '' }]);
    this.s('UPDATE metadata_own_pack SET changes = changes - ?, file = NULL, sent = ? WHERE pack = ?').run(
      changes,
      sent,
      pack,
    );
  }

  /** Moves all entries of a pack to a pack with a higher number. */
  mergeOwn(from: number, into: number): void {
    const load = this.get<PackLoad>('SELECT pack, entries, bytes FROM metadata_own_pack WHERE pack = ?', from);
    if (load === undefined) return;
    this.s('UPDATE metadata_own SET pack = ? WHERE pack = ?').run(into, from);
    this.s('UPDATE OR IGNORE metadata_own_folder SET pack = ? WHERE pack = ?').run(into, from);
    this.s('DELETE FROM metadata_own_folder WHERE pack = ?').run(from);
    this.#change(from, -load.entries, -load.bytes);
    this.#change(into, load.entries, load.bytes);
    this.noteChange(indexPack);
  }

  /** At most `limit` removals of this machine that follow a name, in the order of folders and names. */
  removalsAfter(folder: string, name: string, limit: number): { folder: string; name: string; wall: number }[] {
    return this.all(
      `SELECT folder, name, wall FROM metadata_own WHERE json_extract(body, '$.gone') = 1 AND (folder, name) > (?, ?)
       ORDER BY folder, name LIMIT ?`,
      folder,
      name,
      limit,
    );
  }

  /** Takes all of this machine's entries out of their packs, so that all are written again. */
  forgetOwnFiles(): void {
    this.s('DELETE FROM metadata_own_pack').run();
    this.s('DELETE FROM metadata_own_folder').run();
    this.s('UPDATE metadata_own SET pack = NULL').run();
  }

  protected timed({ machine, body }: Body): TimedEntry {
    const entry = readEntry(body);
    return { entry, time: timeOf(entry, machine ?? this.machine) };
  }
}
