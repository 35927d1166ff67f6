/**
 * The sparse file of one revision: opened on first use, and never closed under an operation in flight.
 * It does not know which blocks are present.
 */
import { closeSync, openSync, rmSync } from 'node:fs';
import { messageOf } from '../base/errors.js';
import { InUse } from '../base/in-use.js';
import type { Log } from '../base/log.js';
import { makeSparse, type PunchHole } from './sparse-file.js';

export class RevisionFile {
  readonly path: string;
  readonly #size: number;
  readonly #log: Log;
  readonly #punchHole: PunchHole | undefined;
  #fd: number | null = null;
  /** Operations on `#fd`. */
  #uses = new InUse();

  constructor(path: string, size: number, log: Log, punchHole: PunchHole | undefined) {
    this.path = path;
    this.#size = size;
    this.#log = log;
    this.#punchHole = punchHole;
  }

  get canPunch(): boolean {
    return this.#punchHole !== undefined;
  }

  /** The descriptor. `isNew`: anything that the file may contain is useless. Throws as the disk does. */
  open(isNew: boolean): number {
    this.#fd ??= isNew ? makeSparse(this.path, this.#size) : openSync(this.path, 'r+');
    return this.#fd;
  }

  /** Keeps the current descriptor open until `act` has ended. */
  during<T>(act: () => Promise<T>): Promise<T> {
    return this.#uses.during(act);
  }

  /**
   * Frees the disk blocks of a range, unless `fd` is no longer this file's. False: other programs go on reading them, so the whole
   * file must be removed. Throws as the disk does.
   */
  punch(fd: number, offset: number, length: number): boolean {
    if (fd !== this.#fd || this.#punchHole === undefined) return true;
    return this.#punchHole(fd, offset, length);
  }

  /** Closes the descriptor once no operation is in flight. The next use opens it again. */
  close(): void {
    const fd = this.#fd;
    if (fd === null) return;
    const uses = this.#uses;
    this.#fd = null;
    this.#uses = new InUse();
    const close = (): void => {
      try {
        closeSync(fd);
      } catch (error) {
        this.#log.warn({ path: this.path }, `a cached file cannot be closed: ${messageOf(error)}`);
      }
    };
    if (uses.isBusy) void uses.idle().then(close);
    else close();
  }

  /** Unlinks the file. Operations in flight go on with the unlinked one. Throws as the disk does. */
  remove(): void {
    this.close();
    rmSync(this.path, { force: true });
  }
}
