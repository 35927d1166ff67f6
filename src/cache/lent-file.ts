import { closeSync, ftruncate, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { writeAt } from '../base/files.js';

const truncateFile = promisify(ftruncate);

/**
 * A cache file with a whole revision that others read directly (the kernel, by passthrough). Until all have given it back it
 * is neither cut nor punched nor evicted. One whose content is to change is detached first: the cache has it no more, but
 * its bytes count until then.
 */
export class LentFile {
  readonly key: string;
  readonly fd: number;
  /** Bytes. */
  size: number;
  /** Counted by `BlockCache`. */
  users = 0;
  isDetached = false;

  constructor(key: string, size: number, path: string) {
    this.key = key;
    this.size = size;
    this.fd = openSync(path, 'r+');
  }

  /** Only of a detached one. */
  async write(data: Uint8Array, offset: number): Promise<void> {
    await writeAt(this.fd, data, offset);
    this.size = Math.max(this.size, offset + data.length);
  }

  async truncate(size: number): Promise<void> {
    await truncateFile(this.fd, size);
    this.size = size;
  }

  close(): void {
    closeSync(this.fd);
  }
}
