import { closeSync, openSync } from 'node:fs';

/**
 * A file with the whole of a content, which the kernel uses directly (passthrough). It is the content's own file and stays so
 * when the content changes or is stored: it moves between the cache and the spool while it is open. Until the last user closes
 * it, it is neither punched nor evicted. Its owner is
 *
 * - `spool`   a content that is not stored yet: the file changes with it
 * - `cache`   a stored revision, in the block cache
 * - `readers` nobody but its users: a stored revision that the cache has no space for, or has dropped
 */
export class BackingFile {
  readonly fd: number;
  /** Bytes; of a spool file, its size when it was opened as a backing file. */
  size: number;
  /** Counted by the owner. */
  users = 0;
  owner: 'spool' | 'cache' | 'readers';
  /** Of the stored revision; '' in the spool. */
  key: string;
  /** Its path, while the owner is `readers` and it can still become a spool file again; else null. */
  path: string | null = null;

  constructor(owner: 'spool' | 'cache', key: string, size: number, path: string) {
    this.owner = owner;
    this.key = key;
    this.size = size;
    // Read-only: this descriptor must not count where writers are looked for (`isOpenForWriting`).
    this.fd = openSync(path, 'r');
  }

  /** The file now holds a content that is not stored yet. */
  becomeSpoolFile(): void {
    this.owner = 'spool';
    this.key = '';
    this.path = null;
  }

  close(): void {
    closeSync(this.fd);
  }
}
