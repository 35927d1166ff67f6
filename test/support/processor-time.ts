/** Tells `scripts/slowest-tests.mjs` the processor time of each test file and the programs that it starts. On Linux only. */
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { afterAll, expect } from 'vitest';

const tally = process.env.SYNCMOUNT_TEST_TALLY;
const own = '/proc/self/stat';
/** USER_HZ, which is 100 a second on every architecture that Node.js runs on. */
const TICKS = 100;

/** The processor time of this process and its children up to now, s. Some children live on and mount for the next file. */
function used(): number {
  const living = readdirSync('/proc/self/task').flatMap((thread) =>
    textOf(`/proc/self/task/${thread}/children`).split(' ').filter(Boolean),
  );
  return [own, ...living.map((pid) => `/proc/${pid}/stat`)].reduce((sum, path) => sum + usedBy(textOf(path)), 0);
}

/** The processor time of a process and its ended children, s, from the text of /proc/PID/stat. */
function usedBy(stat: string): number {
  // utime, stime, cutime and cstime, counted from behind the name of the program, which may have blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
}

/** Empty if the process has just ended, or if the kernel does not list children (CONFIG_PROC_CHILDREN). */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** If files share a process, each file counts from the end of the file before it, so that its loading counts. */
const shared = globalThis as { usedByFilesBefore?: number };

if (tally !== undefined && existsSync(own))
  afterAll(() => {
    const now = used();
    const { testPath = '' } = expect.getState();
    appendFileSync(tally, `${(now - (shared.usedByFilesBefore ?? 0)).toFixed(2)} s ${relative('.', testPath)}\n`);
    shared.usedByFilesBefore = now;
  });
