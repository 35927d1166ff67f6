/**
 * Is a thread about to die of a signal? The kernel sends FUSE_INTERRUPT for every signal: for a handler with SA_RESTART, for
 * Ctrl-Z, for a debugger that attaches, for a cgroup that is frozen. Only a caller that dies is to be let go.
 *
 * Everything is read from proc(5): `status` for what is pending, `stat` for how a thread that exits came to that.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

const { signals } = constants;

/** What signals do by default that do not end a process: signal(7), "Ign", "Stop" and "Cont". */
const harmless: readonly number[] = [
  signals.SIGCHLD,
  signals.SIGURG,
  signals.SIGWINCH,
  signals.SIGCONT,
  signals.SIGSTOP,
  signals.SIGTSTP,
  signals.SIGTTIN,
  signals.SIGTTOU,
];

const maskOf = (signal: number): bigint => 1n << BigInt(signal - 1);
const killMask = maskOf(signals.SIGKILL);
const harmlessMask = harmless.reduce((mask, signal) => mask | maskOf(signal), 0n);

/** Of the text of /proc/TID/status: does a signal wait whose action is to kill? False where the text does not say. */
export function hasFatalSignal(status: string): boolean {
  const mask = (name: string): bigint => {
    const digits = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return digits === undefined ? 0n : BigInt(`0x${digits}`);
  };
  const pending = mask('SigPnd') | mask('ShdPnd');
  // A signal that kills a whole process reaches each of its threads as SIGKILL.
  if ((pending & killMask) !== 0n) return true;
  return (pending & ~mask('SigBlk') & ~mask('SigIgn') & ~mask('SigCgt') & ~harmlessMask) !== 0n;
}

/** PF_EXITING of the kernel's `task_struct.flags`. */
const exiting = 0x4;

/**
 * Of the text of /proc/TID/stat: does the thread exit because a signal killed it? Its last closes come then, and no signal can
 * reach it any more. (`exit_code` is 0 for those who may not look into the process.)
 */
export function exitsByKill(stat: string): boolean {
  // The second field is the command's name in parentheses, which may hold anything; the third is the first that follows it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const flags = Number(fields[9 - 3]);
  const exitCode = Number(fields[52 - 3]);
  // wait(2): the low seven bits are the signal.
  return (flags & exiting) !== 0 && (exitCode & 0x7f) !== 0;
}

/** False where nothing can be known: the caller lives in another pid namespace, or /proc is hidden. Then its call goes on. */
export function isDying(tid: number): boolean {
  if (tid <= 0) return false;
  try {
    return hasFatalSignal(readFileSync(`/proc/${tid}/status`, 'latin1')) || isKilled(tid);
  } catch {
    return false;
  }
}

/** As `isDying`, for a thread that sends its last requests: nobody interrupts those. */
export function isKilled(tid: number): boolean {
  if (tid <= 0) return false;
  try {
    return exitsByKill(readFileSync(`/proc/${tid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
