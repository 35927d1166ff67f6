/**
 * The matrix of a service as tests: one test for each cell.
 *
 * `FAULT_CELLS='mkdir: 429' npx vitest run test/mount/faults` runs all cells with this text in their names.
 * `FAULT_EVIDENCE=DIRECTORY` saves the mount's log and requests there if a cell has a wrong result.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isComplete, leaveOut } from '../../support/extent.js';
import { batchesOf, type Cell, nameOf, type Ran } from './cells.js';
import { runMatrix } from './matrix.js';
import { type ServiceName, services } from './services.js';
import { cellsInTurn } from './turns.js';

const only = process.env.FAULT_CELLS;
/** Time for the complete matrix of one service on a slow machine. */
const MATRIX_TIMEOUT_MS = 1_800_000;

export function matrixTests(service: ServiceName): void {
  const inTurn = cellsInTurn(service);
  const isWanted = (cell: Cell): boolean => {
    if (only !== undefined) return new RegExp(only).test(nameOf(cell));
    return isComplete || inTurn.has(nameOf(cell));
  };
  const all = services[service].groups.flatMap((group) => batchesOf(services[service], group).flat());
  const cells = all.filter(isWanted);
  leaveOut(all.length - cells.length);

  describe(`faults at ${service}`, () => {
    const ran = new Map<string, Ran>();
    beforeAll(async () => {
      for (const one of await runMatrix(service, isWanted)) ran.set(nameOf(one.cell), one);
    }, MATRIX_TIMEOUT_MS);
    afterAll(() => {
      const longest = [...ran.values()].sort((a, b) => b.ms - a.ms)[0];
      console.log(
        `${service}: ${ran.size} cells; the longest operation took ${longest?.ms} ms (${longest && nameOf(longest.cell)})`,
      );
    });

    it.each(cells.map((cell) => [nameOf(cell)]))('%s', (name) => {
      const one = ran.get(name);
      expect(one?.verdict).toEqual(one?.wanted);
    });
  });
}
