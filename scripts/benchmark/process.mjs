// CPU time and memory of a process, from /proc.
import { readFileSync } from 'node:fs';

/** USER_HZ of every Linux that we know: proc(5). */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU so far: of all threads, and of the first one, which runs the event loop in our program. */
export function cpuOf(pid) {
  const seconds = (file) => {
    const fields = readFileSync(file, 'utf8').split(') ').at(-1).split(' ');
    // utime and stime.
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  };
  return { all: seconds(`/proc/${pid}/stat`), main: seconds(`/proc/${pid}/task/${pid}/stat`) };
}

/** Resident bytes of the process. */
export function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}
