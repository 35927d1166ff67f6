/** Which cells the quick run takes: rule 4 of `test/support/extent.ts`. */
import type { Cell } from './cells.js';
import { type ServiceName, services } from './services.js';
import { faultsOf, type Strength, strengths } from './table.js';

const order = Object.keys(services);
const faults = faultsOf({}).map(({ name }) => name);

/**
 * Every fault, once and always, is for one service, with all operations: what takes time is that a fault is on, and not how many
 * operations meet it. One that a service meets once, the next one meets always.
 */
export function isInTurn(service: ServiceName, { fault, strength }: Pick<Cell, 'fault' | 'strength'>): boolean {
  return turnOf(fault.name, strength) % order.length === order.indexOf(service);
}

/** The same fault has the next turn in its other strength. */
export function turnOf(fault: string, strength: Strength): number {
  return faults.indexOf(fault) + strengths.indexOf(strength);
}
