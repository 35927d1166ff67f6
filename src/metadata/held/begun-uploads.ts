/**
 * Uploads of large files into the root (held-files.ts) that have no entry yet. If an upload failed or its process died, the service
 * may still have stored the object. When a listing of the root shows such an object, the mount shows it in its folder.
 */
import type { Sql } from '../../base/sqlite.js';
import type { NamePlace } from '../entry.js';

/** How long listings look for the object of an upload without an answer, ms: a slow service may store it after the request timed out. */
const LOOKED_FOR_MS = 60_000;

interface Sought {
  readonly place: NamePlace;
  readonly since: number;
}

export class BegunUploads {
  readonly #sql: Sql;
  readonly #now: () => number;
  /** Uploads that have ended without an answer, by their name in the root. */
  readonly #sought = new Map<string, Sought>();

  /** Also looks for uploads that earlier mounts began. */
  constructor(sql: Sql, now: () => number) {
    this.#sql = sql;
    this.#now = now;
    const rows = sql.prepare('SELECT name, place FROM held_upload').all() as { name: string; place: string }[];
    for (const { name, place } of rows) this.seek(name, JSON.parse(place));
  }

  /** Notes an upload before it begins. The note survives the death of the process. */
  begin(name: string, place: NamePlace): void {
    this.#sought.delete(name);
    this.#sql
      .prepare('INSERT OR REPLACE INTO held_upload (name, place) VALUES (?, ?)')
      .run(name, JSON.stringify(place));
  }

  /** Looks for the object of an upload that has ended without an answer. */
  seek(name: string, place: NamePlace): void {
    this.#sought.set(name, { place, since: this.#now() });
  }

  /** Forgets an upload: an entry says where its object belongs, or there is no object. */
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

  /** The place where an object of the root belongs, if it is looked for. */
  placeOf(name: string): NamePlace | undefined {
    return this.#sought.get(name)?.place;
  }

  /** Forgets uploads that are overdue: they were never stored. Called after a listing of the root, and after `end` of those it shows. */
  giveUpOld(): void {
    for (const [name, { since }] of this.#sought) if (this.#now() - since > LOOKED_FOR_MS) this.end(name);
  }
}
