/**
 * Extended attributes and ACLs, a row of table `xattr` each. All their changes go through this class.
 *
 * The kernel assumes that a write to a file removes its capability, so each write checks for one here. This must not cost a query: the few
 * inodes with a capability are in memory.
 */
import type { Sql, Statement } from '../base/sqlite.js';
import type { Ino } from './inode.js';

/** capabilities(7): what `setcap` stores. */
export const capabilityName = 'security.capability';

export class XattrTable {
  /** Called after each change of an inode's attributes, in the transaction that makes it. */
  onChange: ((ino: Ino) => void) | null = null;
  readonly #get: Statement;
  readonly #set: Statement;
  readonly #names: Statement;
  readonly #remove: Statement;
  readonly #removeAll: Statement;
  readonly #isLabelled: Statement;
  readonly #capable: Set<Ino>;

  constructor(sql: Sql) {
    this.#get = sql.prepare('SELECT value FROM xattr WHERE ino = ? AND name = ?').pluck();
    this.#set = sql.prepare('INSERT OR REPLACE INTO xattr (ino, name, value) VALUES (?, ?, ?)');
    this.#names = sql.prepare('SELECT name FROM xattr WHERE ino = ? ORDER BY name').pluck();
    this.#remove = sql.prepare('DELETE FROM xattr WHERE ino = ? AND name = ?');
    this.#removeAll = sql.prepare('DELETE FROM xattr WHERE ino = ?');
    // Partial indexes answer these two.
    this.#isLabelled = sql.prepare("SELECT EXISTS (SELECT 1 FROM xattr WHERE name = 'security.selinux')").pluck();
    this.#capable = new Set(
      sql.prepare("SELECT ino FROM xattr WHERE name = 'security.capability'").pluck().all() as Ino[],
    );
  }

  get(ino: Ino, name: string): Uint8Array | undefined {
    return this.#get.get(ino, name) as Buffer | undefined;
  }

  /** The names of an inode's attributes, in byte order. */
  names(ino: Ino): string[] {
    return this.#names.all(ino) as string[];
  }

  set(ino: Ino, name: string, value: Uint8Array): void {
    this.#set.run(ino, name, Buffer.from(value));
    if (name === capabilityName) this.#capable.add(ino);
    this.onChange?.(ino);
  }

  /** Removes an attribute. False if there was none. */
  remove(ino: Ino, name: string): boolean {
    if (name === capabilityName) this.#capable.delete(ino);
    const existed = this.#remove.run(ino, name).changes > 0;
    if (existed) this.onChange?.(ino);
    return existed;
  }

  removeAll(ino: Ino): void {
    this.#capable.delete(ino);
    this.#removeAll.run(ino);
  }

  hasCapability(ino: Ino): boolean {
    return this.#capable.has(ino);
  }

  /** True if any inode has a SELinux label. */
  hasLabels(): boolean {
    return this.#isLabelled.get() === 1;
  }
}
