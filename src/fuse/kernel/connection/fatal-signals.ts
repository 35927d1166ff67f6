/**
 * Finds out whether a thread is about to be killed by a signal. The kernel sends FUSE_INTERRUPT for every signal: also for a
 * handler with SA_RESTART, Ctrl-Z, an attaching debugger, a frozen cgroup. Only a dying caller may be interrupted.
 *
 * The information is in proc(5): `status` has the pending signals, `stat` the reason why a thread exits.
 *
 * Invariant: `stat` is read only for exiting threads. In execve(2) the kernel closes descriptors while it holds `exec_update_lock`, and a
 * reader of `stat` waits for that lock. We would wait for the lock, and the kernel for our answer to the close.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

const { signals } = constants;

/** Signals whose default action does not kill the process: signal(7), "Ign", "Stop" and "Cont". */
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

/** From the text of /proc/TID/status: is a signal pending that kills the process? False if the text does not say. */
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
 * From the text of /proc/TID/stat: does the thread exit because a signal killed it? It then closes its files, and no further
 * signal can reach it. (`exit_code` reads as 0 without permission to inspect the process.)
 */
export function exitsByKill(stat: string): boolean {
  // The second field is the command's name in parentheses, which may contain any character. The third field follows the last
  // parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const flags = Number(fields[9 - 3]);
  const exitCode = Number(fields[52 - 3]);
  // wait(2): the low seven bits are the signal.
  return (flags & exiting) !== 0 && (exitCode & 0x7f) !== 0;
}

/** From the text of /proc/TID/status: is the thread exiting? It has then given up its memory, and closes its files next. */
export function isExiting(status: string): boolean {
  return status !== '' && !/^VmSize:/m.test(status);
}

/** Is the thread about to be killed? False if that is unknown (another pid namespace, hidden /proc): then its call continues. */
export function isDying(tid: number): boolean {
  const status = readOf(tid, 'status');
  return hasFatalSignal(status) || (isExiting(status) && exitsByKill(readOf(tid, 'stat')));
}

/** As `isDying`, for a thread that closes its files while it exits: the kernel sends no FUSE_INTERRUPT for those requests. */
export function isKilled(tid: number): boolean {
  return isExiting(readOf(tid, 'status')) && exitsByKill(readOf(tid, 'stat'));
}

/** Empty if there is no such thread, or the file cannot be read. */
function readOf(tid: number, file: 'status' | 'stat'): string {
  if (tid <= 0) return '';
  try {
    return readFileSync(`/proc/${tid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
