/** Finds and makes the holes of a spool file. */
import { constants } from 'node:os';
import { readRecentAt, writeAt } from '../base/files.js';
import type { SparseCalls } from '../base/sparse-calls.js';

/** The facts of a file that SEEK_DATA and SEEK_HOLE need. */
export interface SeekableFile {
  /** Bytes. */
  readonly size: number;
  /** Ranges [start, end) that must still be fetched. They are data, although the local file has holes there. In order, disjoint. */
  readonly missing: readonly (readonly [number, number])[];
  /** The next data or hole of the local file from `offset` on; null if there is none before its end. */
  local(offset: number, forHole: boolean): number | null;
}

/** Asks the disk. If the disk cannot tell, everything counts as data: that is always correct. */
export function localSeek(calls: SparseCalls | undefined, fd: number): SeekableFile['local'] {
  return (offset, forHole) => {
    const found = calls?.seek(fd, offset, forHole) ?? -constants.errno.EINVAL;
    if (found >= 0) return found;
    // ENXIO: only a hole follows.
    return found === -constants.errno.ENXIO || forHole ? null : offset;
  };
}

/** SEEK_DATA: the start of the next data from `offset` on; null if only a hole follows, or nothing. */
export function nextData({ size, missing, local }: SeekableFile, offset: number): number | null {
  const next = missing.find(([, end]) => end > offset);
  const fetched = next === undefined ? null : Math.max(offset, next[0]);
  if (fetched === offset) return offset;
  const here = local(offset, false);
  const first = here === null ? fetched : Math.min(here, fetched ?? here);
  return first === null || first >= size ? null : first;
}

/** SEEK_HOLE: the start of the next hole from `offset` on. Each file has one at its end. */
export function nextHole({ size, missing, local }: SeekableFile, offset: number): number {
  let at = offset;
  for (const [start, end] of missing) {
    if (end <= at) continue;
    if (at < start) {
      const here = local(at, true) ?? size;
      if (here < start) return here;
    }
    at = end;
  }
  return Math.min(size, local(at, true) ?? size);
}

/** The zeros of one write, for a disk without holes. */
const ZEROS = Buffer.alloc(256 * 1024);

/** Makes a range of the file read as zeros, with a hole if the disk supports them. `require` checks the space for written zeros. */
export async function zeroRange(
  calls: SparseCalls | undefined,
  fd: number,
  offset: number,
  length: number,
  require: (bytes: number) => void,
): Promise<void> {
  if (calls?.punchHole(fd, offset, length) === 0) return;
  for (let at = 0; at < length; at += ZEROS.length) {
    const part = ZEROS.subarray(0, Math.min(ZEROS.length, length - at));
    require(part.length);
    await writeAt(fd, part, offset + at);
  }
}

/** Writes the same bytes to ranges of a file again, except in its holes. */
export async function writeAgain(
  fd: number,
  ranges: readonly (readonly [number, number])[],
  calls: SparseCalls | undefined,
): Promise<void> {
  const local = localSeek(calls, fd);
  for (const [start, end] of ranges) {
    for (let at = local(start, false) ?? end; at < end; ) {
      const until = Math.min(end, local(at, true) ?? end, at + ZEROS.length);
      const part = Buffer.allocUnsafe(until - at);
      await writeAt(fd, part.subarray(0, await readRecentAt(fd, part, at)), at);
      at = local(until, false) ?? end;
    }
  }
}
