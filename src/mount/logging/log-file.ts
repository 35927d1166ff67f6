/**
 * A log file that does not grow without end: at a size it is renamed to `FILE.1`, what was `FILE.1` to `FILE.2` and so on, and a new one
 * begins.
 */
import { closeSync, fstatSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../../base/clock.js';

const lineEnd = Buffer.from('\n');

export interface Rotation {
  /** A file is full at this size, bytes. */
  readonly maxSize: number;
  /** How many files there are at most, with the one that is written. */
  readonly keep: number;
  /** A file is closed after this time, and removed when its last line is as old, ms; null: whatever its age. */
  readonly maxAge: number | null;
}

export class RotatedFile {
  readonly #path: string;
  readonly #rotation: Rotation;
  readonly #clock: Pick<Clock, 'now'>;
  #fd: number;
  #size = 0;
  /** The disk took a part of the last line only. */
  #isTorn = false;
  #begunAt = 0;

  /** Throws the system's error where the file cannot be opened. */
  constructor(path: string, rotation: Rotation, clock: Pick<Clock, 'now'>) {
    this.#path = path;
    this.#rotation = rotation;
    this.#clock = clock;
    this.#fd = this.#open();
    this.#removeOld();
  }

  /** Synchronous, so that the last line before a crash is in the file. A disk that is full loses the line, and no more than that. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    try {
      if (this.#isFull(bytes.length)) {
        // Another process with the same file, or logrotate, may have renamed it already, or emptied it (`copytruncate`).
        if (this.#isMoved()) this.reopen();
        else if (!this.#wasCut()) this.#rotate();
      }
      const written = writeSync(this.#fd, this.#isTorn ? Buffer.concat([lineEnd, bytes]) : bytes);
      this.#size += written;
      this.#isTorn = written < bytes.length + (this.#isTorn ? 1 : 0);
    } catch {
      // The mount goes on without this line.
    }
  }

  /** Another program has moved the file away (logrotate): goes on in a new one. Throws where that cannot be opened. */
  reopen(): void {
    const before = this.#fd;
    this.#fd = this.#open();
    closeSync(before);
  }

  #open(): number {
    const fd = openSync(this.#path, 'a', 0o600);
    const { size, birthtimeMs } = fstatSync(fd);
    this.#size = size;
    this.#begunAt = size === 0 ? this.#clock.now() : birthtimeMs;
    return fd;
  }

  /** Another program has emptied the file. What follows is counted anew. */
  #wasCut(): boolean {
    const { size } = fstatSync(this.#fd);
    if (size >= this.#size) return false;
    this.#size = size;
    this.#begunAt = this.#clock.now();
    return true;
  }

  #isFull(more: number): boolean {
    const { maxSize, maxAge } = this.#rotation;
    if (this.#size === 0) return false;
    return this.#size + more > maxSize || (maxAge !== null && this.#clock.now() - this.#begunAt > maxAge);
  }

  #rotate(): void {
    const files = rotatedFiles(this.#path);
    for (const { path, number } of files.toReversed()) {
      if (number + 1 >= this.#rotation.keep) rmSync(path, { force: true });
      else renameSync(path, `${this.#path}.${number + 1}`);
    }
    if (this.#rotation.keep > 1) renameSync(this.#path, `${this.#path}.1`);
    else rmSync(this.#path, { force: true });
    this.reopen();
    this.#removeOld();
  }

  #isMoved(): boolean {
    const there = statSync(this.#path, { throwIfNoEntry: false });
    return there?.ino !== fstatSync(this.#fd).ino;
  }

  #removeOld(): void {
    const { maxAge, keep } = this.#rotation;
    for (const { path, number } of rotatedFiles(this.#path)) {
      const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      const isOld = maxAge !== null && this.#clock.now() - written > maxAge;
      if (isOld || number >= keep) rmSync(path, { force: true });
    }
  }
}

/** The files that a log was renamed to, the newest first. */
export function rotatedFiles(path: string): { readonly path: string; readonly number: number }[] {
  const name = basename(path);
  let names: string[];
  try {
    names = readdirSync(dirname(path));
  } catch {
    return [];
  }
  return names
    .flatMap((found) => {
      const number = found.startsWith(`${name}.`) ? found.slice(name.length + 1) : '';
      return /^[1-9]\d{0,3}$/.test(number) ? [{ path: join(dirname(path), found), number: Number(number) }] : [];
    })
    .sort((a, b) => a.number - b.number);
}
