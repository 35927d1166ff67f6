/** Tells `scripts/slowest-tests.mjs` what processor time each test file takes, with the programs that it starts. On Linux only. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { afterAll, expect } from 'vitest';

const tally = process.env.SYNCMOUNT_TEST_TALLY;
const own = '/proc/self/stat';
/** USER_HZ, which is 100 a second on every architecture that Node.js runs on. */
const TICKS = 100;

/** What this process has used up to now, and those of its children that have ended, s. */
function used(): number {
  const text = readFileSync(own, 'utf8');
  // utime, stime, cutime and cstime, counted from behind the name of the program, which may have blanks.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
}

/** Of files that share a process, each begins where the one before has ended: its loading counts. */
const shared = globalThis as { usedByFilesBefore?: number };

if (tally !== undefined && existsSync(own))
  afterAll(() => {
    const now = used();
    const { testPath = '' } = expect.getState();
    appendFileSync(tally, `${(now - (shared.usedByFilesBefore ?? 0)).toFixed(2)} s ${relative('.', testPath)}\n`);
    shared.usedByFilesBefore = now;
  });
