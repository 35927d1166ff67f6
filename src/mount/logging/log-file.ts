/** A log file of limited size. At that size it is renamed to `FILE.1`, the earlier `FILE.1` to `FILE.2` and so on, and a new one begins. */
import { closeSync, fstatSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../../base/clock.js';

const lineEnd = Buffer.from('\n');

export interface Rotation {
  /** A file is full at this size, bytes. */
  readonly maxSize: number;
  /** The most files, including the one that is being written. */
  readonly keep: number;
  /** A file is closed after this time, and removed when its last line is that old, ms. Null: at no age. */
  readonly maxAge: number | null;
}

export class RotatedFile {
  readonly #path: string;
  readonly #rotation: Rotation;
  readonly #clock: Pick<Clock, 'now'>;
  #fd: number;
  #size = 0;
  /** The disk took only a part of the last line. */
  #isTorn = false;
  #begunAt = 0;

  /** Throws the system's error if the file cannot be opened. */
  constructor(path: string, rotation: Rotation, clock: Pick<Clock, 'now'>) {
    this.#path = path;
    this.#rotation = rotation;
    this.#clock = clock;
    this.#fd = this.#open();
    this.#removeOld();
  }

  /** Synchronous, so that the last line before a crash is in the file. A full disk loses only this line. */
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

  /** Goes on in a new file, after another program has moved the old one away (logrotate). Throws if that cannot be opened. */
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

  /** Whether another program has emptied the file. If so, sizes are counted anew. */
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

/** The rotated files of a log, the newest first. */
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
