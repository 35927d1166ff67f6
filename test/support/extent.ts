/**
 * How much of the test matrix runs: services × bindings × ways to close × faults.
 *
 * The complete matrix (`scripts/test --all`; `SYNCMOUNT_TEST_ALL=1`) has every cell that runs different code. `4sync` shares its
 * code with `4shared`, and runs a quarter of their shared tests (rule 3). The quick run (`scripts/test`) has every test and every
 * value of every dimension, but not every combination. Its rules:
 *
 * 1. A test is never left out altogether. Only repetitions of it are.
 * 2. Behaviour of a service (its protocol, its errors, its limits) is tested on every service: the provider contract,
 *    `services.test.ts`, `every-service.test.ts`, logins, refusals, deadlines. Among the tests that mount, 4Sync runs only its own.
 * 3. Behaviour of a mount that is the same on every service is tested once, on one service. The tests of a file take the services
 *    and bindings in turn, so that each of them runs a share of each file (`describeEach` in `test/mount/subjects.ts`). `4sync`
 *    has no turn there, because it speaks the protocol of `4shared`, through the same code.
 * 4. Half of one service's operations meet a fault once, and half of another service's operations meet it always. The services of
 *    the fault matrix take the pairs of fault and strength in turn (`test/mount/faults/turns.ts`).
 * 5. Random tests run for a shorter time, from the same seed: `runs`.
 * 6. A test that takes ten times as long as most has the tag `long`, or its file has (`@module-tag long`). The faults at 5sync have
 *    it too. These tests take a third of the time. They run in CI (`scripts/test --long`), and if a call names their file.
 *
 * A cell that is left out is not generated, but counted: the run says how many tests the complete matrix has.
 */
import { appendFileSync } from 'node:fs';

/** The options of a test that takes ten times as long as most: rule 6. */
export const long = { tags: ['long'] };

export const isComplete = process.env.SYNCMOUNT_TEST_ALL === '1';

/** The file in which `scripts/test` adds up the tests that its processes leave out: one number on each line. */
const tally = process.env.SYNCMOUNT_TEST_TALLY;

/** The number of runs, or seconds, of a random test that makes `all` of them in the complete matrix. */
export function runs(all: number): number {
  return isComplete ? all : Math.ceil(all / 3);
}

/**
 * True if this cell of a matrix has a test. In the quick run each row has one column, and the next row the next column.
 * Counts a cell that has no test.
 */
export function isChosen(row: number, column: number, columns: number): boolean {
  const chosen = isComplete || row % columns === column;
  if (!chosen) leaveOut(1);
  return chosen;
}

/** Counts tests of the complete matrix that this run leaves out. */
export function leaveOut(count: number): void {
  if (tally !== undefined && count > 0) appendFileSync(tally, `${count}\n`);
}
