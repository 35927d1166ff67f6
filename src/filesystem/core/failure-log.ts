/**
 * Logs failed calls. A program sees only an errno; the log tells an administrator which call failed, on which path, and
 * why. Repeated and very frequent failures are suppressed and counted.
 */
import { LRUCache } from 'lru-cache';
import { codeOf } from '../../base/errors.js';
import type { Ino } from '../../tree/inode.js';
import type { HandleId } from '../api.js';
import { type Core, pathOf } from './core.js';
import type { ErrnoName, FsError } from './fs-error.js';

/** The same failure of the same object is logged once within this time, ms: a program that retries adds no information. */
const REPEAT_MS = 10_000;
const MAX_REMEMBERED = 1000;
/** A walk through a tree that cannot be listed fails once for each folder, for one reason. */
const MAX_LINES_PER_MINUTE = 50;
const MINUTE = 60_000;

/** Errnos that a healthy disk returns too: they need no explanation. */
const ordinary: ReadonlySet<ErrnoName> = new Set<ErrnoName>([
  'EEXIST',
  'EINTR',
  'EINVAL',
  'EILSEQ',
  'ENOENT',
  'ENOTEMPTY',
  'EXDEV',
]);

/** Failures that already have a log line. */
const logged = new WeakSet<FsError>();

/** The caller has logged this failure itself; the call that ends with it adds no line. */
export function markLogged(error: FsError): void {
  logged.add(error);
}

/** Does the error hold more than its errno says? Pure. */
export function deservesLine({ code, cause }: Pick<FsError, 'code' | 'cause'>): boolean {
  return code === 'EIO' || code === 'ENFILE' || (cause !== undefined && !ordinary.has(code));
}

export class FailureLog {
  readonly #core: Pick<Core, 'table' | 'files' | 'log' | 'clock'>;
  readonly #recent = new LRUCache<string, true>({ max: MAX_REMEMBERED, ttl: REPEAT_MS });
  #minute = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #suppressed = 0;

  constructor(core: Pick<Core, 'table' | 'files' | 'log' | 'clock'>) {
    this.#core = core;
  }

  /** Returns a function that logs a failure of a call on `ino`, or on `name` in that directory. */
  of(operation: string, ino: Ino, name?: string): (error: FsError) => void {
    return (error) => this.#note(operation, ino, error, name);
  }

  /** Like `of`, for a call on an open file. */
  ofHandle(operation: string, handle: HandleId): (error: FsError) => void {
    return (error) => {
      // EBADF says it all.
      if (error.code !== 'EBADF') this.#note(operation, this.#inoOf(handle), error);
    };
  }

  /** Null if the handle was closed while the call was under way. */
  #inoOf(handle: HandleId): Ino | null {
    try {
      return this.#core.files.handle(handle).state.ino;
    } catch {
      return null;
    }
  }

  /** The state database may be the part that failed: log the line without the path then. */
  #pathOf(ino: Ino | null): string {
    if (ino === null) return '/?';
    try {
      return pathOf(this.#core, ino);
    } catch {
      return `/?/${ino}`;
    }
  }

  #note(operation: string, ino: Ino | null, error: FsError, name?: string): void {
    if (!deservesLine(error) || logged.has(error)) return;
    // One call may run another (`create` runs `open`).
    logged.add(error);
    const { log } = this.#core;
    const directory = this.#pathOf(ino);
    const path = name === undefined ? directory : `${directory.replace(/\/$/, '')}/${name}`;
    const line = `${operation} ${path}: ${error.code}, ${error.message}`;
    if (this.#recent.has(line)) return;
    this.#recent.set(line, true);
    if (!this.#isWithinRate()) return;
    const suppressed = this.#suppressed === 0 ? {} : { suppressed: this.#suppressed };
    this.#suppressed = 0;
    log.warn({ operation, path, errno: error.code, code: codeOf(error.cause), ...error.data, ...suppressed }, line);
  }

  #isWithinRate(): boolean {
    const minute = Math.floor(this.#core.clock.now() / MINUTE);
    if (minute !== this.#minute) this.#lines = 0;
    this.#minute = minute;
    if (++this.#lines <= MAX_LINES_PER_MINUTE) return true;
    this.#suppressed++;
    return false;
  }
}
