/** The file of a revision. It is sparse, and eviction punches holes into it. */
import { closeSync, ftruncateSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf } from '../base/errors.js';

/**
 * Frees the blocks of a range of a file (fallocate(2), FALLOC_FL_PUNCH_HOLE; Node has no such call). False if other
 * programs have the file open and must go on reading the same bytes. The caller then unlinks the file, which they keep open.
 */
export type PunchHole = (fd: number, offset: number, length: number) => boolean;

/** Makes an empty sparse file of `size` bytes, with its directory. Throws as the disk does. */
export function makeSparse(path: string, size: number): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = openSync(path, 'w+', 0o600);
  try {
    ftruncateSync(fd, size);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Moves a file to the path of a revision's file. Makes the directory (one of 256) on demand. Throws as the disk does. */
export function moveTo(path: string, target: string): void {
  try {
    renameSync(path, target);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    renameSync(path, target);
  }
}
