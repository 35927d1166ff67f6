import { closeSync, openSync } from 'node:fs';

/**
 * A file with all of a content, which others use directly (the kernel, by passthrough). It is the content's own file, and stays
 * that when the content changes or is stored: it moves between the cache and the spool under their hands. Until all have given
 * it back it is neither punched nor evicted. Whose it is:
 *
 * - `spool`   a content that is not stored yet: the file is changed with it
 * - `cache`   a stored revision, in the block cache
 * - `readers` a stored revision that the cache has no place for, or does not want any more
 */
export class BackingFile {
  readonly fd: number;
  /** Bytes; of what is in the spool, when it was lent. */
  size: number;
  /** Counted by who lends it. */
  users = 0;
  owner: 'spool' | 'cache' | 'readers';
  /** Of the stored revision; '' in the spool. */
  key: string;
  /** Where it lies, while it is the readers' and can still become a content in the spool again; else null. */
  path: string | null = null;

  constructor(owner: 'spool' | 'cache', key: string, size: number, path: string) {
    this.owner = owner;
    this.key = key;
    this.size = size;
    // Nobody writes through this descriptor, so that it does not count where writers are looked for (`isOpenForWriting`).
    this.fd = openSync(path, 'r');
  }

  /** From now on it is the file of a content that is not stored yet. */
  becomeSpoolFile(): void {
    this.owner = 'spool';
    this.key = '';
    this.path = null;
  }

  close(): void {
    closeSync(this.fd);
  }
}
