/**
 * Notices that a file was written to by others, without being told of each write.
 *
 * The clock of a file system may stand still for milliseconds, so that two writes leave the same time of change. Hence
 * the file is given a time that no clock shows any more (`MARK`): each later write(2) moves it away from there, before its first
 * byte, and setting it waits for the write under way. A file that shows the mark was not written to since.
 */
import { fstatSync, futimes, futimesSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Timespec } from '../base/timespec.js';

const setTimes = promisify(futimes);

/** Seconds since the epoch; within what every file system can hold (FAT begins in 1980). */
const MARK = 10 * 365 * 24 * 3600 + 7 * 24 * 3600;

export interface Look {
  /** Bytes. */
  readonly size: number;
  /** When the file was last written to; null: not since the mark was set. */
  readonly writtenAt: Timespec | null;
  /** It may be another content than at the look before. */
  readonly isChanged: boolean;
}

export class WriteWatch {
  readonly #fd: number;
  #size: number;
  #time: bigint;
  readonly #mark: bigint;

  /** From here on every write to the file of `fd` is seen. Nobody else writes to it yet. */
  constructor(fd: number) {
    this.#fd = fd;
    futimesSync(fd, MARK, MARK);
    const { size, mtimeNs } = fstatSync(fd, { bigint: true });
    this.#size = Number(size);
    this.#time = mtimeNs;
    // As the file system can tell it: two seconds are the coarsest.
    this.#mark = mtimeNs;
  }

  /** At once. Of writes within one tick of the clock, those after the first show only to `seal`, unless the file grows. */
  look(): Look {
    const { size, mtimeNs } = fstatSync(this.#fd, { bigint: true });
    const isChanged = Number(size) !== this.#size || mtimeNs !== this.#time;
    this.#size = Number(size);
    this.#time = mtimeNs;
    return { size: this.#size, writtenAt: this.#written(mtimeNs), isChanged };
  }

  /** Every write that has ended before this was called has been seen, and every one that begins after it answers will be. */
  async seal(): Promise<Look> {
    const before = this.look();
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
