/** Which processes run on this machine, and which of them is still the one that it was. */
import { readFileSync } from 'node:fs';
import { codeOf } from './errors.js';

/** The present boot of the machine, random(4); null where the system does not tell (other systems than Linux). */
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
 * Tells a process from a later one that has got its number: the boot, and when in it the process began. Null where the
 * system does not tell, or no such process runs.
 */
export function markOf(pid: number): string | null {
  // proc_pid_stat(5), field 22: clock ticks since the boot. The state is field 3.
  const start = statOf(pid)?.[22 - 3];
  return start === undefined ? null : `${bootId()} ${start}`;
}

/** Fields of proc_pid_stat(5) from the third on: before it is `pid (name)`, and the name may hold anything. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    // Gone between two looks, or no /proc here (macOS).
    return undefined;
  }
}
