/**
 * Uploads into the root of contents that belong elsewhere, until an entry says where. The service may have stored one whose caller was told
 * that it failed, or died: once it is listed, it is shown where it belongs.
 */
import type { Sql } from '../../base/sqlite.js';
import type { NamePlace } from '../entry.js';

/** A slow service may store a content after the request for it was given up: so long it is looked for, ms. */
const LOOKED_FOR_MS = 60_000;

interface Sought {
  readonly place: NamePlace;
  readonly since: number;
}

export class BegunUploads {
  readonly #sql: Sql;
  readonly #now: () => number;
  /** By name in the root: uploads that have ended without an answer. */
  readonly #sought = new Map<string, Sought>();

  /** What earlier mounts have begun is looked for. */
  constructor(sql: Sql, now: () => number) {
    this.#sql = sql;
    this.#now = now;
    const rows = sql.prepare('SELECT name, place FROM held_upload').all() as { name: string; place: string }[];
    for (const { name, place } of rows) this.seek(name, JSON.parse(place));
  }

  /** An upload is about to begin. Survives the death of the process. */
  begin(name: string, place: NamePlace): void {
    this.#sought.delete(name);
    this.#sql
      .prepare('INSERT OR REPLACE INTO held_upload (name, place) VALUES (?, ?)')
      .run(name, JSON.stringify(place));
  }

  /** The upload has ended without an answer. */
  seek(name: string, place: NamePlace): void {
    this.#sought.set(name, { place, since: this.#now() });
  }

  /** An entry says where the object belongs, or there is none. */
  end(name: string): void {
    this.#sought.delete(name);
    this.#sql.prepare('DELETE FROM held_upload WHERE name = ?').run(name);
  }

  isSoughtIn(folder: string): boolean {
    for (const { place } of this.#sought.values()) if (place.folder === folder) return true;
    return false;
  }

  get isEmpty(): boolean {
    return this.#sought.size === 0;
  }

  /** The place of an object of the root that was sought. */
  placeOf(name: string): NamePlace | undefined {
    return this.#sought.get(name)?.place;
  }

  /** A listing of the root has come, and those that it has are ended: what has been looked for long enough was never stored. */
  giveUpOld(): void {
    for (const [name, { since }] of this.#sought) if (this.#now() - since > LOOKED_FOR_MS) this.end(name);
  }
}
