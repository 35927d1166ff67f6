/**
 * How much of a product of tests is run: of services × bindings × ways to close × faults.
 *
 * The complete matrix (`scripts/test --all`; `SYNCMOUNT_TEST_ALL=1`) has every cell that runs code of its own: of what
 * `4sync` shares with `4shared` (rule 3) it has a quarter. The quick run (`scripts/test`) has every test, every value of every
 * dimension, but not every combination, by these rules:
 *
 * 1. A test is never left out altogether, only repetitions of it are.
 * 2. What a service does by itself (its protocol, its errors, its limits) is run for every service: the provider contract,
 *    `services.test.ts`, `every-service.test.ts`, logins, refusals, deadlines. Of those that mount, 4Sync has what is its own.
 * 3. What a mount does whichever service is behind it is run once, on one service: the tests of a file take the services and
 *    bindings in turn, so that each of them meets a share of each file (`describeEach` in `test/mount/subjects.ts`). `4sync`
 *    has no turn there: it speaks the protocol of `4shared`, through the same code.
 * 4. A fault meets half of the operations of one service once, and half of those of another always: the services of the fault
 *    matrix take the pairs of fault and strength in turn (`test/mount/faults/turns.ts`).
 * 5. Random work goes on for less long, from the same seed: `runs`.
 * 6. What takes ten times as long as most is tagged `long`, or its file is (`@module-tag long`), and so are the faults at 5sync: CI has them
 *    (`scripts/test --long`), and whoever names their file. They take a third of the time.
 *
 * A cell that is left out is not generated, and counted: the run says how many tests the complete matrix has.
 */
import { appendFileSync } from 'node:fs';

/** The options of a test that takes ten times as long as most: rule 6. */
export const long = { tags: ['long'] };

export const isComplete = process.env.SYNCMOUNT_TEST_ALL === '1';

/** Where `scripts/test` adds up what its test processes leave out: a number a line. */
const tally = process.env.SYNCMOUNT_TEST_TALLY;

/** How many runs a random test makes, or for how many seconds it goes on, that makes `all` in the complete matrix. */
export function runs(all: number): number {
  return isComplete ? all : Math.ceil(all / 3);
}

/**
 * Has this cell of a matrix a test? In the quick run each row has one of its columns, the next row the next one.
 * A cell without is counted.
 */
export function isChosen(row: number, column: number, columns: number): boolean {
  const chosen = isComplete || row % columns === column;
  if (!chosen) leaveOut(1);
  return chosen;
}

/** Counts tests that the complete matrix has and this run has not. */
export function leaveOut(count: number): void {
  if (tally !== undefined && count > 0) appendFileSync(tally, `${count}\n`);
}
