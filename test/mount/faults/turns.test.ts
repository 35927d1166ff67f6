import { describe, expect, it } from 'vitest';
import { batchesOf } from './cells.js';
import { type ServiceName, services } from './services.js';
import { faultsOf, strengths } from './table.js';
import { isInTurn } from './turns.js';

const names = Object.keys(services) as ServiceName[];

describe('the quick run of the fault matrix', () => {
  it('has each fault once at one service, and always at another', () => {
    const takers = faultsOf({}).map((fault) =>
      strengths.map((strength) => names.filter((name) => isInTurn(name, { fault, strength }))),
    );
    for (const [once, always] of takers) {
      expect([once?.length, always?.length]).toEqual([1, 1]);
      expect(once).not.toEqual(always);
    }
  });

  it('has every operation and every request of each service', () => {
    for (const name of names) {
      const { groups } = services[name];
      const met = groups.flatMap((group) => batchesOf(services[name], group, (cell) => isInTurn(name, cell)).flat());
      expect(new Set(met.map(({ place }) => place))).toEqual(new Set(groups.flat()));
    }
  });
});
