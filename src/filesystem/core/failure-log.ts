/**
 * What a program is told as one number, an administrator finds in the log with its reason: which call, of what, and why.
 */
import { LRUCache } from 'lru-cache';
import { codeOf } from '../../base/errors.js';
import type { Ino } from '../../tree/inode.js';
import type { HandleId } from '../api.js';
import { type Core, pathOf } from './core.js';
import type { ErrnoName, FsError } from './fs-error.js';

/** The same failure of the same object is told once within this time, ms: a program that tries again says nothing new. */
const REPEAT_MS = 10_000;
const MAX_REMEMBERED = 1000;
/** Lines in a minute: a walk through a tree that cannot be listed fails as often as it has folders, for one reason. */
const MAX_LINES_PER_MINUTE = 50;
const MINUTE = 60_000;

/** Answers of a disk that works: they say all there is to say. */
const ordinary: ReadonlySet<ErrnoName> = new Set<ErrnoName>([
  'EEXIST',
  'EINTR',
  'EINVAL',
  'EILSEQ',
  'ENOENT',
  'ENOTEMPTY',
  'EXDEV',
]);

/** Failures that have a line of their own, written where more is known of them than here. */
const logged = new WeakSet<FsError>();

/** Somebody has written a line about this failure: the call that ends with it needs none. */
export function markLogged(error: FsError): void {
  logged.add(error);
}

/** Does the errno say less than the error? Pure. */
export function deservesLine({ code, cause }: Pick<FsError, 'code' | 'cause'>): boolean {
  return code === 'EIO' || (cause !== undefined && !ordinary.has(code));
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

  /** Notes the failure that it is given, of a call about `ino`, or `name` in that directory. */
  of(operation: string, ino: Ino, name?: string): (error: FsError) => void {
    return (error) => this.#note(operation, ino, error, name);
  }

  /** The same of a call about an open file. */
  ofHandle(operation: string, handle: HandleId): (error: FsError) => void {
    return (error) => {
      // Of one that is not open there is nothing more to say.
      if (error.code !== 'EBADF') this.#note(operation, this.#inoOf(handle), error);
    };
  }

  /** Null where it was closed while the call was under way. */
  #inoOf(handle: HandleId): Ino | null {
    try {
      return this.#core.files.handle(handle).state.ino;
    } catch {
      return null;
    }
  }

  /** The state that knows the path may be what has failed: the line comes all the same. */
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
    // One call may be made of another.
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
