/** Where the document of 5sync is silent, the client works under every reading: each value of each of them alone. */
import { describe, expect, test } from 'vitest';
import { type FiveSyncReadings, fiveSyncReadings } from '../../src/sandbox/index.js';
import { source } from './bench.js';
import { FiveSyncServer, fiveSyncSizes as sizes } from './fivesync-setup.js';
import { useRooms } from './provider-contract.js';
import { dailyWork } from './service-readings.js';

/** Every value of every reading; the compiler sees to it that a new reading comes in. */
const values: { readonly [Name in keyof FiveSyncReadings]: readonly FiveSyncReadings[Name][] } = {
  pathFilter: ['exact', 'recursive'],
  listItems: ['full', 'no-path', 'brief'],
  limitOver100: ['refused', 'clamped'],
  tooLarge: ['400', '413'],
  // Refused is what is above the provider's business: test/mount/uploads/refused-content.test.ts.
  emptyContent: ['stored'],
  existingName: ['new-version', 'new-id', 'duplicate'],
  initBody: ['both', 'json', 'form'],
  multipartPath: ['field', 'filename', 'root'],
  chunkSize: ['from-parts', 'fixed'],
  completeAgain: ['gone', 'repeats'],
  range: ['206', 'ignored'],
  validator: ['etag', 'last-modified', 'none'],
  cursor: ['ignored', 'usable', 'refused'],
  since: ['inclusive', 'exclusive'],
  timestamps: ['seconds', 'milliseconds'],
  changesLagSeconds: [0, 20],
  clockSkewSeconds: [0, 900, -900],
  rateReset: ['next', 'whole'],
  retryAfter: [false, true],
  // In lower case, what this asks for by name is not found again: test/mount/names/changed-names.test.ts.
  storedNames: ['asked', 'cleaned'],
  toldNames: ['kept', 'asked'],
};

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
