/**
 * Whether this process may open more files for others. Each file that a program has open takes descriptors here, and one program
 * with very many must not take those of the journal and of the sockets: all others' closes would fail.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';

/** For databases and their logs, sockets, and files that are read to be sent. */
const RESERVE = 96;
/** Of a low limit no more than this share is kept back. */
const RESERVE_SHARE = 1 / 4;
/** An open file takes so many at most: in the spool, in the cache, and as the kernel's backing file. */
const PER_FILE = 3;

export class DescriptorReserve {
  /** Numbers from here on are for this process's own work. */
  readonly #ceiling: number;
  readonly #nextNumber: () => number;

  /** `limit`: how many the process may have (RLIMIT_NOFILE). `nextNumber`: the number that the next descriptor gets. */
  constructor(limit: number = descriptorLimit(), nextNumber: () => number = lowestFree) {
    this.#ceiling = limit - Math.min(RESERVE, Math.floor(limit * RESERVE_SHARE));
    this.#nextNumber = nextNumber;
  }

  /** Are all descriptors but the reserve taken? `files`: how many files are open for others, which tells it without a look where there are few. */
  isReached(files: number): boolean {
    return (files + RESERVE) * PER_FILE >= this.#ceiling && this.#nextNumber() >= this.#ceiling;
  }
}

/** The soft limit: Node.js raises it to the hard one when it starts. */
function descriptorLimit(): number {
  try {
    return limitIn(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** From the text of /proc/PID/limits: proc(5). Infinity where it is unlimited, or not told. */
export function limitIn(limits: string): number {
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}

/** A new descriptor gets the lowest number that is free: open(2). */
function lowestFree(): number {
  try {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
