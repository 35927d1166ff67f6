/** Extended attributes of the `user.` namespace, kept in the state database: local to this machine. */
import type { Statement } from '../../base/sqlite.js';
import type { Ino } from '../../tree/inode.js';
import { type Core, inodeOf, requireWritable } from '../core/core.js';
import { FsError } from '../core/fs-error.js';

/** Linux XATTR_SIZE_MAX. */
const MAX_VALUE_BYTES = 64 * 1024;

const notSupported = new FsError('ENOTSUP', 'only attributes of the user namespace are kept');

export class Xattrs {
  readonly #core: Core;
  readonly #get: Statement;
  readonly #set: Statement;
  readonly #list: Statement;
  readonly #remove: Statement;

  constructor(core: Core) {
    this.#core = core;
    const { sql } = core.state;
    this.#get = sql.prepare('SELECT value FROM xattr WHERE ino = ? AND name = ?').pluck();
    this.#set = sql.prepare('INSERT OR REPLACE INTO xattr (ino, name, value) VALUES (?, ?, ?)');
    this.#list = sql.prepare('SELECT name FROM xattr WHERE ino = ? ORDER BY name').pluck();
    this.#remove = sql.prepare('DELETE FROM xattr WHERE ino = ? AND name = ?');
  }

  get(ino: Ino, name: string): Uint8Array {
    // `ls -l` asks for security.* and POSIX ACLs. After ENOTSUP it does not ask again for each file.
    if (!name.startsWith('user.')) throw notSupported;
    const value = this.#get.get(ino, name) as Buffer | undefined;
    if (value === undefined) throw new FsError('ENODATA', `no attribute ${name}`);
    return value;
  }

  set(ino: Ino, name: string, value: Uint8Array, mode: 'create' | 'replace' | 'either'): void {
    requireWritable(this.#core);
    inodeOf(this.#core, ino);
    if (!name.startsWith('user.')) throw notSupported;
    if (value.length > MAX_VALUE_BYTES) throw new FsError('ERANGE', 'the value is over 64 KiB');
    const exists = this.#get.get(ino, name) !== undefined;
    if (exists && mode === 'create') throw new FsError('EEXIST', `attribute ${name} exists`);
    if (!exists && mode === 'replace') throw new FsError('ENODATA', `no attribute ${name}`);
    this.#set.run(ino, name, Buffer.from(value));
  }

  list(ino: Ino): string[] {
    return this.#list.all(ino) as string[];
  }

  remove(ino: Ino, name: string): void {
    requireWritable(this.#core);
    if (this.#remove.run(ino, name).changes === 0) throw new FsError('ENODATA', `no attribute ${name}`);
  }
}
