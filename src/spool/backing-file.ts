import { closeSync, openSync } from 'node:fs';

/**
 * A file with a whole content, which the kernel uses directly (passthrough). It is the content's own file, and stays so when the content
 * changes or is stored: it moves between the cache and the spool while it is open. Until the last user closes it, nobody punches holes
 * into it or evicts it. Its owner is
 *
 * - `spool`   for a content that is not stored yet: the file changes with it
 * - `cache`   for a stored revision in the block cache
 * - `readers` if only its users need it: a stored revision that the cache has no space for, or has evicted
 */
export class BackingFile {
  readonly fd: number;
  /** Bytes. For a spool file: the size when it was opened as a backing file. */
  size: number;
  /** The number of users; the owner counts them. */
  users = 0;
  owner: 'spool' | 'cache' | 'readers';
  /** The key of the stored revision; '' in the spool. */
  key: string;
  /** The path while the owner is `readers` and the file can still become a spool file again; else null. */
  path: string | null = null;

  constructor(owner: 'spool' | 'cache', key: string, size: number, path: string) {
    this.owner = owner;
    this.key = key;
    this.size = size;
    // Read-only, so that `isOpenForWriting` does not take this descriptor for a writer.
    this.fd = openSync(path, 'r');
  }

  /** Notes that the file now holds a content that is not stored yet. */
  becomeSpoolFile(): void {
    this.owner = 'spool';
    this.key = '';
    this.path = null;
  }

  close(): void {
    closeSync(this.fd);
  }
}
