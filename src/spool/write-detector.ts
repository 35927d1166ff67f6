/**
 * Notices writes to a file that the kernel does not report (passthrough).
 *
 * The clock of a file system may stand still for milliseconds, so that two writes leave the same modification time. Hence the
 * file gets a modification time long past (`MARK`). Each later write(2) changes it before its first byte, and futimes(2) waits
 * for the write under way. Invariant: a file that shows the mark was not written to since.
 */
import { fstatSync, futimes, futimesSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Timespec } from '../base/timespec.js';

const setTimes = promisify(futimes);

/** Seconds since the epoch; within what every file system can hold (FAT begins in 1980). */
const MARK = 10 * 365 * 24 * 3600 + 7 * 24 * 3600;

export interface WriteCheck {
  /** Bytes. */
  readonly size: number;
  /** When the file was last written to; null: not since the mark was set. */
  readonly writtenAt: Timespec | null;
  /** The content may have changed since the check before. */
  readonly isChanged: boolean;
}

export class WriteDetector {
  readonly #fd: number;
  #size: number;
  #time: bigint;
  readonly #mark: bigint;

  /** From here on every write to the file of `fd` is noticed. No other process writes to it yet. */
  constructor(fd: number) {
    this.#fd = fd;
    futimesSync(fd, MARK, MARK);
    const { size, mtimeNs } = fstatSync(fd, { bigint: true });
    this.#size = Number(size);
    this.#time = mtimeNs;
    // Read back, because the file system may round it: to two seconds at the coarsest.
    this.#mark = mtimeNs;
  }

  /**
   * Compares the file with the check before, at once. Of several writes within one tick of the file system's clock it
   * notices the first only, unless the file grows. `rearm` notices all.
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
