/** Tells which processes run on this machine, and whether a process number still means the same process. */
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { codeOf } from './errors.js';

/** The id of the machine's current boot, random(4); null on systems other than Linux. */
export function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}

/** `ending`: the process was killed or is about to end. It no longer serves anybody, but may still have files and locks. */
export type Life = 'runs' | 'ending' | 'gone';

/** `PF_EXITING` of the kernel, in field 9 of proc_pid_stat(5). */
const EXITING = 0x4;

/** The life of the process with that id. A zombie, which has ended and waits to be reaped, is gone. */
export function lifeOf(pid: number): Life {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM' ? 'runs' : 'gone';
  }
  if (process.platform !== 'linux') return 'runs';
  const stat = statOf(pid);
  if (stat === undefined) return 'gone';
  const [state] = stat;
  // The first thread has ended, but perhaps not the others: the threads of a killed process end one by one.
  if (state === 'Z' || state === 'X') return hasOtherThreads(pid) ? 'ending' : 'gone';
  return (Number(stat[9 - 3]) & EXITING) !== 0 || isKilled(pid) ? 'ending' : 'runs';
}

function hasOtherThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    // It was reaped meanwhile.
    return false;
  }
}

/** Is a SIGKILL pending for the process? */
function isKilled(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)].map(([, mask]) => BigInt(`0x${mask}`));
    return pending.some((mask) => (mask & (1n << BigInt(constants.signals.SIGKILL - 1))) !== 0n);
  } catch {
    // It was reaped meanwhile: the next check finds it gone.
    return false;
  }
}

/**
 * An identity of a process that no later process with the same number has: the boot and the start time within it.
 * Null if the system does not tell, or if no such process runs.
 */
export function processIdentity(pid: number): string | null {
  // proc_pid_stat(5), field 22: clock ticks since the boot. The state is field 3.
  const start = statOf(pid)?.[22 - 3];
  return start === undefined ? null : `${bootId()} ${start}`;
}

/** The fields of proc_pid_stat(5) from the third on. They follow `pid (name)`, and the name may contain any character. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    // The process has ended meanwhile, or there is no /proc (macOS).
    return undefined;
  }
}
