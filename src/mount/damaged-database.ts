/** Reads what a damaged state database still tells of contents that were not stored: a row at a time, all that can be read. */
import type Database from 'better-sqlite3';
import { ExtentSet } from '../base/extents.js';
import { openSql } from '../base/sqlite.js';

export interface KnownContent {
  readonly ino: number;
  /** From the account's root, without a slash before it; empty where its name cannot be read. */
  readonly path: string;
  /** Name of its spool file; null where the row that tells it cannot be read. */
  readonly spool: string | null;
  /** Bytes. */
  readonly size: number;
  /** Ranges [start, end) of the spool file that were written here; the rest is the provider's. */
  readonly present: readonly (readonly [number, number])[];
  readonly isWhole: boolean;
  /** Ranges [start, end) that are the provider's. */
  readonly missing: readonly (readonly [number, number])[];
  /** When the content was last changed, ms; null where nothing tells. */
  readonly modified: number | null;
  /** A small content that was promised by the database alone, and the boot in which its spool file had the same. */
  readonly kept: { readonly bytes: Buffer; readonly boot: string | null } | null;
}

/** Nothing, where nothing can be read. */
export function readContents(path: string): KnownContent[] {
  let sql: Database.Database | undefined;
  try {
    sql = openSql(path, { readonly: true });
    const parentOf = prepared(sql, 'SELECT parent, name FROM inode WHERE ino = ?');
    const modifiedOf = prepared(sql, 'SELECT mtime_sec * 1000.0 + mtime_nsec / 1e6 AS ms FROM inode WHERE ino = ?');
    const rowOf = prepared(sql, 'SELECT spool, size, base, extents FROM upload WHERE ino = ?');
    const keptOf = prepared(sql, 'SELECT bytes, boot FROM kept WHERE ino = ?');
    const inos = new Set([...inosOf(sql, 'upload'), ...inosOf(sql, 'kept')]);
    return [...inos].flatMap((ino) => {
      const row = orNothing(() => factsOf(rowOf(ino) as UploadFacts | undefined));
      const kept = orNothing(() => keptOf(ino) as KnownContent['kept'] | undefined) ?? null;
      if (row === undefined && kept === null) return [];
      const whole = { spool: null, size: kept?.bytes.length ?? 0, present: [], isWhole: true, missing: [] };
      const modified = orNothing(() => modifiedOf(ino) as { ms: number | null } | undefined)?.ms ?? null;
      return [{ ino, path: pathOf(parentOf, ino), ...(row ?? whole), kept, modified }];
    });
  } catch {
    // It is no database any more: the caller has the spool files.
    return [];
  } finally {
    sql?.close();
  }
}

interface UploadFacts {
  readonly spool: string;
  readonly size: number;
  readonly base: string | null;
  readonly extents: string | null;
}

/** A row by its number; undefined where there is none, or where its table is older than this version of the program. */
type ReadRow = (ino: number) => unknown;

function prepared(sql: Database.Database, statement: string): ReadRow {
  const row = orNothing(() => sql.prepare(statement));
  return (ino) => row?.get(ino);
}

function factsOf(
  row: UploadFacts | undefined,
): Pick<KnownContent, 'spool' | 'size' | 'present' | 'isWhole' | 'missing'> | undefined {
  if (row === undefined) return undefined;
  const { spool, size, base } = row;
  const { present = [], baseEnd = 0 } = JSON.parse(row.extents ?? '{}');
  const missing = base === null ? [] : ExtentSet.from(present).gaps(0, Math.min(baseEnd, size));
  return { spool, size, present, isWhole: missing.length === 0, missing };
}

/** From both ends, each as far as it goes: what is damaged may be in the middle. */
function inosOf(sql: Database.Database, table: 'upload' | 'kept'): Set<number> {
  const inos = new Set<number>();
  for (const order of ['ASC', 'DESC']) {
    orNothing(() => {
      const rows = sql.prepare(`SELECT ino FROM ${table} ORDER BY ino ${order}`).pluck().iterate();
      for (const ino of rows) inos.add(ino as number);
    });
  }
  return inos;
}

function pathOf(parentOf: ReadRow, ino: number): string {
  const names: string[] = [];
  let at: number | null = ino;
  // Longer than any path: a damaged table can be a circle.
  while (at !== null && names.length < 200) {
    const id: number = at;
    const row = orNothing(() => parentOf(id) as { parent: number | null; name: string } | undefined);
    if (row === undefined) break;
    if (row.name !== '') names.unshift(row.name);
    at = row.parent;
  }
  return names.join('/');
}

/** What cannot be read is as if it were not there: what is asked for next may be sound. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
