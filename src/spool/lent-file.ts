import { closeSync, ftruncate, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { writeAt } from '../base/files.js';

const truncateFile = promisify(ftruncate);

/**
 * A file with all of a content, that others read directly (the kernel, by passthrough). Until all have given it back it is
 * neither punched nor evicted nor cut. Whose it is:
 *
 * - `spool`   a content that is not stored yet: the file itself is changed with it
 * - `cache`   a stored revision, in the block cache
 * - `readers` nobody else has it any more. What changes of the content is written here as well.
 */
export class LentFile {
  readonly fd: number;
  /** Bytes; of what is in the spool, when it was lent. */
  size: number;
  /** Counted by who lends it. */
  users = 0;
  owner: 'spool' | 'cache' | 'readers';
  /** In the cache; '' elsewhere. */
  key: string;

  constructor(owner: 'spool' | 'cache', key: string, size: number, path: string) {
    this.owner = owner;
    this.key = key;
    this.size = size;
    this.fd = openSync(path, 'r+');
  }

  /** Only of one that is the readers' own. */
  async write(data: Uint8Array, offset: number): Promise<void> {
    await writeAt(this.fd, data, offset);
    this.size = Math.max(this.size, offset + data.length);
  }

  /** Only of one that is the readers' own. */
  async truncate(size: number): Promise<void> {
    await truncateFile(this.fd, size);
    this.size = size;
  }

  close(): void {
    closeSync(this.fd);
  }
}
