/**
 * Notices writes to a file that the kernel does not report (passthrough).
 *
 * The clock of a file system may stand still for milliseconds, so two writes may leave the same modification time. So the file gets a
 * modification time in the distant past (`MARK`). Each later write(2) changes this time before its first byte, and futimes(2) waits
 * for a write in progress. Invariant: a file that shows the mark has had no write since.
 */
import { fstatSync, futimes, futimesSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Timespec } from '../base/timespec.js';

const setTimes = promisify(futimes);

/** Seconds since the epoch; a time that every file system can store (FAT begins in 1980). */
const MARK = 10 * 365 * 24 * 3600 + 7 * 24 * 3600;

export interface WriteCheck {
  /** Bytes. */
  readonly size: number;
  /** The time of the last write; null: none since the mark was set. */
  readonly writtenAt: Timespec | null;
  /** The content may have changed since the previous check. */
  readonly isChanged: boolean;
}

export class WriteDetector {
  readonly #fd: number;
  #size: number;
  #time: bigint;
  readonly #mark: bigint;

  /** Notices every later write to the file of `fd`. No other process may write to it yet. */
  constructor(fd: number) {
    this.#fd = fd;
    futimesSync(fd, MARK, MARK);
    const { size, mtimeNs } = fstatSync(fd, { bigint: true });
    this.#size = Number(size);
    this.#time = mtimeNs;
    // Read back, because the file system may round the time, by up to two seconds.
    this.#mark = mtimeNs;
  }

  /**
   * Compares the file with the previous check. Of several writes within one tick of the file system's clock it notices only the first,
   * unless the file grows. `rearm` notices all.
   */
  check(): WriteCheck {
    const { size, mtimeNs } = fstatSync(this.#fd, { bigint: true });
    const isChanged = Number(size) !== this.#size || mtimeNs !== this.#time;
    this.#size = Number(size);
    this.#time = mtimeNs;
    return { size: this.#size, writtenAt: this.#written(mtimeNs), isChanged };
  }

  /**
   * Checks, and sets the mark again. It notices every write that ended before the call. Every write that begins after it
   * resolves will be noticed.
   */
  async rearm(): Promise<WriteCheck> {
    const before = this.check();
    if (before.writtenAt === null) return before;
    await setTimes(this.#fd, MARK, MARK);
    const { size } = fstatSync(this.#fd, { bigint: true });
    this.#size = Number(size);
    this.#time = this.#mark;
    return { size: this.#size, writtenAt: before.writtenAt, isChanged: true };
  }

  #written(time: bigint): Timespec | null {
    if (time === this.#mark) return null;
    return { sec: Number(time / 1_000_000_000n), nsec: Number(time % 1_000_000_000n) };
  }
}
