/**
 * The documents of 4shared and 4Sync leave points open, or contradict themselves. The client must work under every reading:
 * the tests try each value alone, and many at once.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultReadings, type Readings } from '../../src/sandbox/index.js';
import { runs } from '../support/extent.js';
import { fourSharedValues, ofProvider } from '../support/reading-values.js';
import { folderOf } from './bench.js';
import { FourSharedServer, sizes } from './fourshared-setup.js';
import { essentialContract, essentials } from './parts/essentials.js';
import { useRooms } from './provider-contract.js';

const values = ofProvider(fourSharedValues);

/** These do not affect the contract: they concern calls that it does not make, the login, or long lists (below). */
const unseen = new Set<keyof Readings>(['userFilesOrder', 'trashPaging', 'verifier', 'autoApprove']);

const names = (Object.keys(values) as (keyof Readings)[]).filter((name) => !unseen.has(name));

for (const name of names)
  for (const value of values[name].filter((value) => value !== defaultReadings[name]))
    describe(`4shared where ${name} is ${value}`, () => {
      const rooms = useRooms({ open: () => FourSharedServer.open({ readings: { [name]: value } }) });
      essentialContract(rooms, { sizes });
    });

test.each(values.trashPaging)('4shared lists a long trash where trashPaging is %s', async (trashPaging) => {
  const server = await FourSharedServer.open({ readings: { trashPaging } });
  try {
    const names = Array.from({ length: 230 }, (_, n) => `f${n}`);
    for (const name of names) await server.store.putFile(`/room/${name}`, name);
    for (const name of names) server.store.remove(`/room/${name}`, { trash: true });
    const listed = (await server.connect().listTrash?.()) ?? [];
    expect(listed.map(({ entry }) => entry.name).sort()).toEqual(names.sort());
  } finally {
    await server.close();
  }
});

describe('4shared where many readings differ at once', () => {
  const readings = fc.record(
    Object.fromEntries(names.map((name) => [name, fc.constantFrom(...(values[name] as readonly unknown[]))])),
  ) as fc.Arbitrary<Partial<Readings>>;

  for (const [title, step] of Object.entries(essentials))
    test(title, async () => {
      await fc.assert(
        fc.asyncProperty(readings, async (chosen) => {
          const server = await FourSharedServer.open({ readings: chosen });
          try {
            const folder = folderOf(server.store.makeFolder('/room'));
            await step({ server, store: server.store, provider: server.connect(), folder, path: '/room' }, sizes);
          } finally {
            await server.close();
          }
        }),
        { numRuns: Number(process.env.READINGS_RUNS ?? runs(12)), seed: 4, endOnFailure: true },
      );
    });
});
