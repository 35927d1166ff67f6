/** Entries of other machines are applied without keeping the event loop from everything else. */
import { expect, it } from 'vitest';
import { ApplyEntries, type ApplyEntriesOptions } from '../../src/filesystem/metadata/apply-entries.js';

it('gives the event loop a turn between the folders that have waited for the same pack', async () => {
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  const begun: number[] = [];
  const options = {
    table: { get: (ino: number) => ({ remote: { id: `folder ${ino}` } }), transaction: <T>(act: () => T): T => act() },
    store: {
      machinesOf: () => ['another'],
      timesAfter: (machine: string | null) => {
        if (machine !== null) begun.push(turns);
        return [];
      },
      recall: () => undefined,
      applied: () => undefined,
    },
  } as unknown as ApplyEntriesOptions;
  const apply = new ApplyEntries(options);
  count();
  await Promise.all([1, 2, 3, 4].map((ino) => apply.to(ino, () => Promise.resolve())));
  isOver = true;
  expect(new Set(begun).size).toBe(4);
});
