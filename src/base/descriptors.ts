/**
 * Whether this process may open more files for programs. Each file that a program has open takes descriptors here. A program with very
 * many open files must not take those of the journal and of the sockets: the closes of all other programs would fail.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';

/** Descriptors for databases and their logs, sockets, and files that are being uploaded. */
const RESERVE = 96;
/** If the limit is low, the reserve is at most this share of it. */
const RESERVE_SHARE = 1 / 4;
/** The most descriptors that an open file takes: in the spool, in the cache, and as the kernel's backing file. */
const PER_FILE = 3;

export class DescriptorReserve {
  /** Descriptors from this number on are for this process's own work. */
  readonly #ceiling: number;
  readonly #nextNumber: () => number;

  /** `limit`: the most descriptors that the process may have (RLIMIT_NOFILE). `nextNumber`: the number of the next descriptor. */
  constructor(limit: number = descriptorLimit(), nextNumber: () => number = lowestFree) {
    this.#ceiling = limit - Math.min(RESERVE, Math.floor(limit * RESERVE_SHARE));
    this.#nextNumber = nextNumber;
  }

  /** Are all descriptors except the reserve taken? `files`: how many files programs have open. If they are few, it needs no system call. */
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

/** From the text of /proc/PID/limits: proc(5). Infinity if it is unlimited or missing. */
export function limitIn(limits: string): number {
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}

/** A new descriptor gets the lowest free number: open(2). */
function lowestFree(): number {
  try {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
