/** The document of 5sync leaves points open. The client must work under every reading of them: the tests try each value alone. */
import { describe, expect, test } from 'vitest';
import { type FiveSyncReadings, fiveSyncReadings } from '../../src/sandbox/index.js';
import { fiveSyncValues, ofProvider } from '../support/reading-values.js';
import { source } from './bench.js';
import { FiveSyncServer, fiveSyncSizes as sizes } from './fivesync-setup.js';
import { useRooms } from './provider-contract.js';
import { dailyWork } from './service-readings.js';

const values = ofProvider(fiveSyncValues);

for (const name of Object.keys(values) as (keyof FiveSyncReadings)[])
  for (const value of values[name])
    if (value !== fiveSyncReadings[name])
      describe(`5sync where ${name} is ${value}`, () => {
        const rooms = useRooms({ open: () => FiveSyncServer.open({ readings: { [name]: value } }) });

        if (value === 'root')
          test('a large file goes nowhere but where it was meant to: it is refused', async () => {
            const { provider, folder, store } = rooms();
            const upload = provider.upload({ parentId: folder.id, name: 'f' }, source(Buffer.alloc(sizes.simple + 1)));
            await expect(upload).rejects.toMatchObject({ code: 'too-large' });
            expect(store.tree()).toEqual([]);
            await dailyWork(rooms(), { simple: 4000, chunk: sizes.chunk });
          });
        else test('the daily work is done', () => dailyWork(rooms(), sizes));
      });
