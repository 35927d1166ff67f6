/** The cells of the quick run: rule 4 of `test/support/extent.ts`. */
import { batchesOf, nameOf } from './cells.js';
import { type ServiceName, services } from './services.js';
import { faultsOf, type Strength, strengths } from './table.js';

const order = Object.keys(services);
const faults = faultsOf({}).map(({ name }) => name);

/**
 * The names of a service's cells in the quick run. Every fault, once and always, is for one service, with every second of the
 * places that it can befall. One that a service meets once, the next one meets always. Half the cells take half the
 * processor time, which is what a matrix costs: waiting for deadlines is little beside it.
 */
export function cellsInTurn(service: ServiceName): ReadonlySet<string> {
  const all = services[service].groups.flatMap((group) => batchesOf(services[service], group).flat());
  const chosen = faults.flatMap((fault) =>
    strengths.flatMap((strength) => {
      const turn = turnOf(fault, strength);
      if (turn % order.length !== order.indexOf(service)) return [];
      const cells = all.filter((cell) => cell.fault.name === fault && cell.strength === strength);
      return cells.filter((_, index) => cells.length === 1 || index % 2 === turn % 2);
    }),
  );
  return new Set(chosen.map(nameOf));
}

/** In the next turn, the same fault has its other strength. */
export function turnOf(fault: string, strength: Strength): number {
  return faults.indexOf(fault) + strengths.indexOf(strength);
}
