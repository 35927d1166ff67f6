/** Contents of an account that are not stored yet, read from its journal while no mount answers. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SyncmountError } from '../../base/errors.js';
import { readFrom, requireSqlite } from '../../base/sqlite.js';
import type { SpooledContent } from '../../filesystem/content/spooled-contents.js';
import { isSpoolFileSound } from '../../spool/inline-content.js';
import { type KnownContent, readContents } from './damaged-database.js';

/** A content that is not stored yet; `bytes` is set if only the journal has them. */
export interface UnstoredContent extends SpooledContent {
  readonly bytes?: Uint8Array;
}

/**
 * The contents of the account whose state is in `directory`, with paths from the account's root. If a process that does not answer has the
 * journal open, or its disk is full or read-only, a copy of it is read: SQLite makes a file beside a journal to read it. `boot` is the id
 * of the machine's present boot; null: unknown. Throws where the journal is there and nothing of it can be read.
 */
export function unstoredContents(directory: string, boot: string | null): UnstoredContent[] {
  const path = join(directory, 'state.db');
  const spool = join(directory, 'spool');
  requireSqlite();
  if (!existsSync(path)) return [];
  const known = isReadable(path) ? readContents(path) : readCopied(path);
  return known.flatMap((content) =>
    content.spool === null && content.kept === null ? [] : leftContent(content, spool, boot),
  );
}

/** Contents whose row in the journal was lost. */
export function unnamedContents(directory: string): UnstoredContent[] {
  const rescued = join(directory, 'spool', 'rescued');
  if (!existsSync(rescued)) return [];
  return readdirSync(rescued).map((name) => {
    const file = join(rescued, name);
    const { size, mtimeMs } = statSync(file);
    return { path: `/rescued/${name}`, file, size, missing: [], modified: mtimeMs };
  });
}

function leftContent(
  { ino, path, spool, size, missing, kept, modified }: KnownContent,
  directory: string,
  boot: string | null,
): UnstoredContent {
  const file = spool === null ? '' : join(directory, spool);
  const content = { path: `/${path === '' ? `content-${ino}` : path}`, file, size, missing, modified };
  if (kept === null) return content;
  const onDisk = file === '' ? null : (statSync(file, { throwIfNoEntry: false })?.size ?? null);
  if (isSpoolFileSound(kept, { onDisk, size }, boot)) return content;
  return { ...content, size: kept.bytes.length, missing: [], bytes: kept.bytes };
}

function isReadable(path: string): boolean {
  const tables = readFrom(path, (sql) => sql.prepare('SELECT count(*) FROM sqlite_master').pluck().get());
  return typeof tables === 'number';
}

function readCopied(path: string): KnownContent[] {
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-journal-'));
  try {
    const copy = join(directory, 'state.db');
    for (const suffix of ['', '-wal']) {
      if (existsSync(`${path}${suffix}`)) copyFileSync(`${path}${suffix}`, `${copy}${suffix}`);
    }
    const contents = readContents(copy);
    if (contents.length > 0 || isReadable(copy)) return contents;
    throw new SyncmountError(
      'journal',
      `${path} cannot be read: what is not stored yet is unknown until the next mount`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
