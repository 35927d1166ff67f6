/** Reads contents that were not stored from a damaged state database: row by row, as many rows as can be read. */
import type Database from 'better-sqlite3';
import { ExtentSet } from '../../base/extents.js';
import { openSql } from '../../base/sqlite.js';

export interface KnownContent {
  readonly ino: number;
  /** Path from the account's root, without a leading slash; empty if the name cannot be read. */
  readonly path: string;
  /** Name of the spool file; null if its row cannot be read. */
  readonly spool: string | null;
  /** Bytes. */
  readonly size: number;
  /** Ranges [start, end) of the spool file that were written on this machine; the provider has the rest. */
  readonly present: readonly (readonly [number, number])[];
  readonly isWhole: boolean;
  /** Ranges [start, end) that only the provider has. */
  readonly missing: readonly (readonly [number, number])[];
  /** When the content was last changed, ms; null if no row tells. */
  readonly modified: number | null;
  /** The inline content of a small file (see `InlineContent`), and the boot in which its spool file had the same bytes. */
  readonly kept: { readonly bytes: Buffer; readonly boot: string | null } | null;
}

/** Returns an empty list if nothing can be read. */
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
    // The file is no longer a database. The caller still has the spool files.
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

/** A row by its number; undefined if there is none, or if its table is older than this version of the program. */
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

/** Reads the table from both ends, each up to the damage, which may be in the middle. */
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
  // 200 is deeper than any path: a damaged table can have a cycle.
  while (at !== null && names.length < 200) {
    const id: number = at;
    const row = orNothing(() => parentOf(id) as { parent: number | null; name: string } | undefined);
    if (row === undefined) break;
    if (row.name !== '') names.unshift(row.name);
    at = row.parent;
  }
  return names.join('/');
}

/** Returns undefined if `read` fails, because the next row may be intact. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
