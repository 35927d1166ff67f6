/** Tells which processes run on this machine, and whether a process number still means the same process. */
import { readFileSync } from 'node:fs';
import { codeOf } from './errors.js';

/** The id of the machine's present boot, random(4); null on systems other than Linux. */
export function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}

/** Does a process of that id run? One that has ended and waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
  if (process.platform !== 'linux') return true;
  const [state] = statOf(pid) ?? ['Z'];
  return state !== 'Z' && state !== 'X';
}

/**
 * An identity of a process that a later process with the same number does not have: the boot and the start time within it.
 * Null where the system does not tell, or no such process runs.
 */
export function processIdentity(pid: number): string | null {
  // proc_pid_stat(5), field 22: clock ticks since the boot. The state is field 3.
  const start = statOf(pid)?.[22 - 3];
  return start === undefined ? null : `${bootId()} ${start}`;
}

/** Fields of proc_pid_stat(5) from the third on. `pid (name)` stands before them, and the name may hold any character. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    // The process has ended meanwhile, or there is no /proc (macOS).
    return undefined;
  }
}
