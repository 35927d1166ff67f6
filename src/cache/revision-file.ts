/**
 * The sparse file of one revision: opened on first use, and never closed under an operation in flight.
 * It knows nothing of which blocks are present.
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

  /** The descriptor. `isNew`: nothing that the file may contain is of use. Throws as the disk does. */
  open(isNew: boolean): number {
    this.#fd ??= isNew ? makeSparse(this.path, this.#size) : openSync(this.path, 'r+');
    return this.#fd;
  }

  /** The descriptor that is open now stays so until `act` has ended. */
  during<T>(act: () => Promise<T>): Promise<T> {
    return this.#uses.during(act);
  }

  /**
   * Frees the disk blocks of a range, unless `fd` is not this file's any more. False: other programs go on reading them, so the whole
   * file must go. Throws as the disk does.
   */
  punch(fd: number, offset: number, length: number): boolean {
    if (fd !== this.#fd || this.#punchHole === undefined) return true;
    return this.#punchHole(fd, offset, length);
  }

  /** Closes the descriptor once no operation is under way; the next use opens it again. */
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

  /** Unlinks it. Operations under way go on with what is unlinked. Throws as the disk does. */
  remove(): void {
    this.close();
    rmSync(this.path, { force: true });
  }
}
