import { describe, expect, it } from 'vitest';
import { batchesOf, type Cell, nameOf } from './cells.js';
import { type ServiceName, services } from './services.js';
import { faultsOf, strengths } from './table.js';
import { cellsInTurn } from './turns.js';

const names = Object.keys(services) as ServiceName[];

describe('the quick run of the fault matrix', () => {
  const allOf = (name: ServiceName): Cell[] =>
    services[name].groups.flatMap((group) => batchesOf(services[name], group).flat());
  const cellsOf = (name: ServiceName): Cell[] => {
    const chosen = cellsInTurn(name);
    return allOf(name).filter((cell) => chosen.has(nameOf(cell)));
  };

  it('has each fault once at one service, and always at another, with half of the places each', () => {
    const cells = names.map(cellsOf);
    for (const { name } of faultsOf({})) {
      const takers = strengths.map((strength) =>
        cells.flatMap((all, service) =>
          all.some(({ fault, strength: met }) => fault.name === name && met === strength) ? [service] : [],
        ),
      );
      // Nothing that the service in turn asks for can be spoilt for good by a corrupt byte.
      const lacking = name === 'corrupt byte' ? 0 : 1;
      expect([name, ...takers.map(({ length }) => length)]).toEqual([name, 1, lacking]);
      expect(takers[0]).not.toEqual(takers[1]);
    }
    for (const [service, name] of names.entries()) {
      const share = (cells[service]?.length ?? 0) / allOf(name).length;
      expect(share).toBeGreaterThan(0.13);
      expect(share).toBeLessThan(0.2);
    }
  });

  it('has every operation and every request of each service', () => {
    for (const name of names) {
      expect(new Set(cellsOf(name).map(({ place }) => place))).toEqual(new Set(services[name].groups.flat()));
    }
  });
});
