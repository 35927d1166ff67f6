/**
 * Sets a damaged state database aside, so that the mount begins with a new one. Files that the provider has are listed again. Contents that
 * it does not have are in the spool directory and, if they are small, in the old database. They are moved to a place where the user finds
 * them, under their names as far as the old database can still be read.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isSpoolFileSound } from '../../spool/inline-content.js';
import { type KnownContent, readContents } from './damaged-database.js';

export interface Rescue {
  /** The directory with everything that was set aside. */
  readonly directory: string;
  /** Contents that were not stored. */
  readonly contents: number;
}

/**
 * - `contents`  whole files
 * - `parts`     the ranges of changed files that were written on this machine
 * - `unsynced`  spool files that differ from the promised content in `contents`: they may hold later writes, or bytes that
 *               a power cut destroyed
 * - `unknown`   contents without a name
 */
type Kind = 'contents' | 'parts' | 'unsynced' | 'unknown';

/**
 * Moves `state.db` and the contents of `directory` to `rescued/STAMP/` in it, with a list of them in `contents.json`. It can be
 * repeated after an interruption: the database is moved last. `boot` is the id of the machine's present boot; null: unknown.
 */
export function setStateAside(directory: string, now: Date, boot: string | null): Rescue {
  const aside = new Aside(join(directory, 'rescued', now.toISOString().replaceAll(':', '-')));
  const spool = join(directory, 'spool');
  const contents = readContents(join(directory, 'state.db'));
  for (const content of contents) rescue(content, { spool, boot, aside });
  for (const name of filesIn(spool)) aside.move(join(spool, name), 'unknown', name, {});
  for (const name of readdirSync(directory)) {
    if (/^state\.db(-wal|-shm)?$/.test(name)) renameSync(join(directory, name), join(aside.directory, name));
  }
  return { directory: aside.directory, contents: aside.count };
}

/** Sets one content aside: the spool file if that is intact, else the inline content. */
function rescue(
  { ino, path, spool, kept, missing: _, modified: __, ...facts }: KnownContent,
  to: { readonly spool: string; readonly boot: string | null; readonly aside: Aside },
): void {
  const name = path === '' ? `content-${ino}` : path;
  const about = { path, ...facts };
  const file = spool === null ? null : join(to.spool, spool);
  const found = file === null ? undefined : statSync(file, { throwIfNoEntry: false });
  const isThere = found?.isFile() === true && found.blocks > 0;
  if (kept === null || isSpoolFileSound(kept, { onDisk: found?.size ?? null, size: facts.size }, to.boot)) {
    const kind = path === '' ? 'unknown' : facts.isWhole ? 'contents' : 'parts';
    if (file !== null && isThere) to.aside.move(file, kind, name, about);
    return;
  }
  to.aside.write(kept.bytes, path === '' ? 'unknown' : 'contents', name, {
    ...about,
    size: kept.bytes.length,
    present: [[0, kept.bytes.length]],
    isWhole: true,
  });
  if (file !== null && isThere && !readFileSync(file).equals(kept.bytes)) to.aside.move(file, 'unsynced', name, about);
}

/** The directory into which the contents go, and the list of them. */
class Aside {
  readonly directory: string;
  readonly #list: object[] = [];
  /** Contents in it; an `unsynced` file is another form of one of them, and does not count. */
  count = 0;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  write(bytes: Uint8Array, kind: Kind, path: string, about: object): void {
    writeFileSync(this.#place(kind, path, about), bytes, { mode: 0o600, flush: true });
  }

  move(file: string, kind: Kind, path: string, about: object): void {
    renameSync(file, this.#place(kind, path, about));
  }

  /** A free path for the file, added to the list. */
  #place(kind: Kind, path: string, about: object): string {
    const to = freePath(join(this.directory, kind, ...path.split('/').map(safe)));
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    this.#list.push({ file: to.slice(this.directory.length + 1), ...about });
    writeFileSync(join(this.directory, 'contents.json'), `${JSON.stringify(this.#list, null, 2)}\n`);
    if (kind !== 'unsynced') this.count++;
    return to;
  }
}

/** Names of the files that are not empty. */
function filesIn(directory: string): string[] {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.filter((name) => {
    const found = statSync(join(directory, name));
    return found.isFile() && found.blocks > 0;
  });
}

/** A damaged database may hold any name: makes it a safe part of a path. */
function safe(name: string): string {
  return name === '' || name === '.' || name === '..' ? '_' : name.replaceAll('\0', '_');
}

function freePath(path: string): string {
  let free = path;
  for (let count = 2; existsSync(free); count++) free = join(dirname(path), `${basename(path)}.${count}`);
  return free;
}
