/**
 * A state database that cannot be read any more is set aside, and the mount begins with a new one: all that the provider
 * has is listed again. What the provider does not have is in the spool directory, whose files go to a place where a person
 * finds them, under their names as far as the old database can still tell them.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';

export interface Rescue {
  /** Where all of it went. */
  readonly directory: string;
  /** Contents that were not stored. */
  readonly contents: number;
}

interface Known {
  readonly path: string;
  readonly size: number;
  /** Ranges [start, end) of the spool file that were written here; the rest is the provider's. */
  readonly present: readonly (readonly [number, number])[];
  readonly isWhole: boolean;
}

/**
 * Moves `state.db` and the spool files of `directory` to `rescued/STAMP/` in it: whole contents to `contents/`, parts of
 * changed files to `parts/`, those of which nothing is known to `unknown/`, with `contents.json` that lists them. Can be
 * repeated where it was interrupted: the database goes last.
 */
export function setStateAside(directory: string, now: Date): Rescue {
  const aside = join(directory, 'rescued', now.toISOString().replaceAll(':', '-'));
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  const spool = join(directory, 'spool');
  const known = readJournal(join(directory, 'state.db'));
  const list: object[] = [];
  for (const name of existsSync(spool) ? readdirSync(spool) : []) {
    const from = join(spool, name);
    if (!statSync(from).isFile() || statSync(from).blocks === 0) continue;
    const entry = known.get(name);
    const kind = entry === undefined ? 'unknown' : entry.isWhole ? 'contents' : 'parts';
    const to = freePath(join(aside, kind, ...(entry?.path.split('/').map(safe) ?? [name])));
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    list.push({ file: to.slice(aside.length + 1), ...entry });
    writeFileSync(join(aside, 'contents.json'), `${JSON.stringify(list, null, 2)}\n`);
    renameSync(from, to);
  }
  for (const name of readdirSync(directory)) {
    if (/^state\.db(-wal|-shm)?$/.test(name)) renameSync(join(directory, name), join(aside, name));
  }
  return { directory: aside, contents: list.length };
}

/** What a damaged database still tells of the spool files: a row at a time, as many as can be read. */
function readJournal(path: string): Map<string, Known> {
  const known = new Map<string, Known>();
  let sql: Database.Database | undefined;
  try {
    sql = new Database(path, { readonly: true });
    const parentOf = sql.prepare('SELECT parent, name FROM inode WHERE ino = ?');
    for (const ino of sql.prepare('SELECT ino FROM upload').pluck().all() as number[]) {
      try {
        const row = sql.prepare('SELECT spool, size, base, extents FROM upload WHERE ino = ?').get(ino) as {
          spool: string;
          size: number;
          base: string | null;
          extents: string | null;
        };
        const { present = [], baseEnd = 0 } = JSON.parse(row.extents ?? '{}');
        const isWhole = row.base === null || baseEnd === 0 || covers(present, Math.min(baseEnd, row.size));
        known.set(row.spool, { path: pathOf(parentOf, ino), size: row.size, present, isWhole });
      } catch {
        // This row is in the damaged part: its file is rescued without a name.
      }
    }
  } catch {
    // Nothing can be read: all files are rescued without names.
  } finally {
    sql?.close();
  }
  return known;
}

function pathOf(parentOf: Database.Statement, ino: number): string {
  const names: string[] = [];
  let at: number | null = ino;
  // Longer than any path: a damaged table can be a circle.
  while (at !== null && names.length < 200) {
    const row = parentOf.get(at) as { parent: number | null; name: string } | undefined;
    if (row === undefined) break;
    if (row.name !== '') names.unshift(row.name);
    at = row.parent;
  }
  return names.join('/');
}

function covers(present: readonly (readonly [number, number])[], end: number): boolean {
  let at = 0;
  for (const [start, stop] of present) if (start <= at) at = Math.max(at, stop);
  return at >= end;
}

/** A damaged database may name anything. */
function safe(name: string): string {
  return name === '' || name === '.' || name === '..' ? '_' : name.replaceAll('\0', '_');
}

function freePath(path: string): string {
  let free = path;
  for (let count = 2; existsSync(free); count++) free = join(dirname(path), `${basename(path)}.${count}`);
  return free;
}
