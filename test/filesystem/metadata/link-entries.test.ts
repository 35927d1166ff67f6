/** What a hard link costs in the metadata store does not grow with the names that the inode has already. */
import { expect, it } from 'vitest';
import { LinkEntries } from '../../../src/filesystem/metadata/link-entries.js';
import type { NewEntry } from '../../../src/metadata/entry.js';
import type { MetadataStore } from '../../../src/metadata/store.js';
import type { InodeTable } from '../../../src/tree/inode-table.js';

const count = 500;
const root = { ino: 1, parent: null, remote: { id: 'root', name: '' } };
const file = { ino: 2, parent: 1, name: 'f', kind: 'file', remote: { id: 'object', name: 'f' }, furtherNames: count };
const further = Array.from({ length: count }, (_, at) => ({ id: at, parent: 1, name: `l${at}`, ino: 2 }));

function carried() {
  const entries: NewEntry[] = [];
  let climbs = 0;
  const table = {
    get: () => file,
    further: { of: () => further },
    upwards: () => {
      climbs++;
      return [root];
    },
  } as unknown as InodeTable;
  const store = { put: (entry: NewEntry) => void entries.push(entry) } as unknown as MetadataStore;
  return { names: new LinkEntries(table, store), entries, climbs: () => climbs };
}

it('a name that is given has one entry written', () => {
  const { names, entries } = carried();
  names.record(2, { parent: 1, name: 'l499' });
  expect(entries).toEqual([
    {
      ...{ folder: 'root', name: 'l499', kind: 'file', id: 'object', alias: true },
      of: { folder: 'root', name: 'f', path: [['root', '/']] },
    },
  ]);
});

it('all of them, with the way to their folder looked up once, where the first name moves', () => {
  const { names, entries, climbs } = carried();
  names.record(2);
  expect(entries.map(({ name }) => name)).toEqual(further.map(({ name }) => name));
  // The folder of the first name, and that of the others.
  expect(climbs()).toBe(2);
});
