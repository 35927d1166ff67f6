/** The inode table stays a tree, whatever a server lists. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { atOnce } from '../../src/base/event-loop-turns.js';
import { openDatabase } from '../../src/base/sqlite.js';
import type { RemoteEntry, RemoteFolder } from '../../src/providers/provider.js';
import type { Ino } from '../../src/tree/inode.js';
import { InodeTable } from '../../src/tree/inode-table.js';
import { LocalChanges } from '../../src/tree/listing.js';
import { merging } from '../../src/tree/merge.js';
import { stateMigrations } from '../../src/tree/state-schema.js';
import { runs } from '../support/extent.js';

const folder = (id: string, parentId: string | null, name = id): RemoteFolder => ({
  kind: 'folder',
  id,
  parentId,
  name,
  modified: 1000,
  access: 'write',
  fileCount: null,
  folderCount: null,
});

function openTree() {
  const state = openDatabase(':memory:', stateMigrations);
  const table = new InodeTable(state.sql);
  const changes = new LocalChanges();
  const root = table.insert({ parent: null, name: '', kind: 'directory', remote: folder('root', null, '') }).ino;
  const inoOf = (id: string): Ino => table.byRemote('folder', id)?.ino as Ino;
  const merge = (id: string, ...entries: RemoteEntry[]) => {
    const merged = table.transaction(() =>
      atOnce(merging(table, inoOf(id), entries, { changes, since: changes.begin() }, 5000)),
    );
    changes.end();
    return merged;
  };
  /** The ids on the way up, and where it ends. */
  const way = (id: string): string[] => [...table.upwards(inoOf(id))].map(({ remote }) => remote?.id ?? '');
  return { state, table, root, inoOf, merge, way };
}

describe('listings and circles', () => {
  it('/A/B that became /B/A: the newer listing wins, and listings that it contradicts expire', () => {
    const { table, root, inoOf, merge, way } = openTree();
    merge('root', folder('A', 'root'));
    merge('A', folder('B', 'A'));
    const merged = merge('B', folder('A', 'B'));
    expect(way('A')).toEqual(['A', 'B']);
    expect(merged.doubtful).toEqual([inoOf('A'), root]);
    expect(merged.elsewhere).toEqual([
      { parent: root, name: 'A' },
      { parent: inoOf('A'), name: 'B' },
    ]);
    merge('root', folder('B', 'root'));
    expect(way('A')).toEqual(['A', 'B', 'root']);
    expect(table.children(inoOf('A'))).toEqual([]);
  });

  it.each([
    ['itself', 'B', folder('B', 'B')],
    ['the root', 'B', folder('root', 'B')],
    ['the root in the root', 'root', folder('root', null)],
    ['the root under another parent', 'A', folder('root', 'A', 'name')],
  ])('a folder that holds %s does not', (_what, id, entry) => {
    const { table, root, merge, way } = openTree();
    merge('root', folder('A', 'root'));
    merge('A', folder('B', 'A'));
    merge(id, entry, folder('C', id));
    expect(table.get(root)?.parent).toBeNull();
    expect(way('C')).toEqual(['C', ...way(id)]);
    expect(way('C').at(-1)).toBe('root');
  });

  it('an object that is listed twice exists once', () => {
    const { table, root, merge } = openTree();
    merge('root', folder('A', 'root', 'one'), folder('A', 'root', 'two'));
    expect(table.children(root).map(({ name }) => name)).toEqual(['two']);
  });

  it('no change of a row puts the root or a directory into itself', () => {
    const { table, root, inoOf, merge } = openTree();
    merge('root', folder('A', 'root'));
    merge('A', folder('B', 'A'));
    expect(() => table.update(inoOf('A'), { parent: inoOf('B') })).toThrow(/is in itself/);
    expect(() => table.update(inoOf('A'), { parent: inoOf('A') })).toThrow(/is in itself/);
    expect(() => table.update(root, { parent: inoOf('B') })).toThrow(/is in itself/);
  });

  it('a walk up a table that has a cycle ends, and the next listing repairs it', () => {
    const { state, root, inoOf, merge, way } = openTree();
    merge('root', folder('A', 'root'));
    merge('A', folder('B', 'A'));
    state.sql.prepare('UPDATE inode SET parent = ? WHERE ino = ?').run(inoOf('B'), inoOf('A'));
    const again = new InodeTable(state.sql);
    expect([...again.upwards(inoOf('B'))].map(({ ino }) => ino)).toEqual([inoOf('B'), inoOf('A')]);
    again.transaction(() =>
      atOnce(merging(again, root, [folder('B', 'root')], { changes: new LocalChanges(), since: 0 }, 1)),
    );
    expect([...again.upwards(inoOf('A'))].map(({ ino }) => ino)).toEqual([inoOf('A'), inoOf('B'), root]);
    expect(way('root')).toEqual(['root']);
  });

  it('whatever is listed in whatever order, every named row is below one without a name', () => {
    const ids = ['root', 'A', 'B', 'C', 'D', 'E'];
    const listing = fc.record({ of: fc.nat(), holds: fc.subarray(ids), names: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(listing, { maxLength: 30 }), (listings) => {
        const { table, root, state, merge } = openTree();
        for (const { of, holds, names } of listings) {
          const known = ids.filter((id) => table.byRemote('folder', id) !== undefined);
          const id = known[of % known.length] as string;
          merge(id, ...holds.map((held) => folder(held, id, names === 0 ? 'same' : `${held}${names}`)));
          for (const at of known) {
            const up = [...table.upwards(table.byRemote('folder', at)?.ino as Ino)];
            expect(up.at(-1)?.parent).toBeNull();
          }
          expect(table.get(root)?.parent).toBeNull();
        }
        state.close();
      }),
      { numRuns: runs(100) },
    );
  });
});
