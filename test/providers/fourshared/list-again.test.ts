/** An answer that is the same as the one before is not read again; any other is. */
import { describe, expect, test } from 'vitest';
import type { ListingMemory, Provider, RemoteFolder, RevalidatedListing } from '../../../src/providers/provider.js';
import { json, miniServer } from '../mini-server.js';
import { providerFor } from './mini-account.js';

const folder: RemoteFolder = {
  ...{ kind: 'folder', id: 'd1', parentId: 'root', name: 'd', modified: 0, access: 'write' },
  ...{ fileCount: null, folderCount: null },
};
const rawFile = (n: number, more: object = {}): object => ({ id: `f${n}`, name: `n${n}`, size: n, ...more });
const many = (n: number): object[] => Array.from({ length: n }, (_, i) => rawFile(i));

interface Served {
  files: object[];
  readonly provider: Provider;
  again(memory: ListingMemory | null, of?: RemoteFolder, fresh?: boolean): Promise<RevalidatedListing>;
}

async function serve(files: object[], ignoresOffset = false): Promise<Served> {
  const served = { files };
  const server = await miniServer((request, response) => {
    const offset = ignoresOffset ? 0 : Number(request.query.get('offset'));
    const isFiles = request.path.endsWith('/files');
    json(response, isFiles ? { files: served.files.slice(offset, offset + 100) } : { folders: [] });
  });
  const provider = providerFor(server);
  const again: Served['again'] = (memory, of = folder, countsAreFresh = false) => {
    if (provider.revalidateListing === undefined) throw new Error('it has no revalidateListing');
    return provider.revalidateListing(of, { memory, countsAreFresh });
  };
  return Object.assign(served, { provider, again });
}

const changes: readonly [what: string, now: object[], count: number][] = [
  ['one file of the second page', [...many(149), rawFile(149, { size: 7 })], 150],
  ['a file more', many(151), 151],
  ['a page less', many(100), 100],
  ['a page more', many(250), 250],
  ['nothing left', [], 0],
  ['the same in another order', many(150).reverse(), 150],
];

describe('revalidateListing', () => {
  test('the same answer is told as such, as often as it comes', async () => {
    const { again } = await serve(many(150));
    const first = await again(null);
    expect(first.entries).toHaveLength(150);
    const second = await again(first.memory);
    expect(second.entries).toBe('same');
    expect((await again(second.memory)).entries).toBe('same');
  });

  test('it is the same also where the counts in between let it ask for more pages, or fewer', async () => {
    const { again } = await serve(many(150));
    const counted = { ...folder, fileCount: 150, folderCount: 0 };
    const first = await again(null, counted, true);
    const second = await again(first.memory, counted, false);
    expect(second.entries).toBe('same');
    expect((await again(second.memory, counted, true)).entries).toBe('same');
  });

  test.each(changes)('%s is read as by list', async (_what, now, count) => {
    for (const [fileCount, isFresh] of [
      [null, false],
      [count, true],
    ] as const) {
      const served = await serve(many(150));
      const { memory } = await served.again(null);
      served.files = now;
      const of = { ...folder, fileCount, folderCount: fileCount === null ? null : 0 };
      const { entries } = await served.again(memory, of, isFresh);
      expect(entries).toEqual(await served.provider.list(folder));
      expect(entries).toHaveLength(count);
    }
  });

  test('what was granted for the folder since is seen in its files', async () => {
    const { again } = await serve(many(2));
    const { memory } = await again(null);
    const { entries } = await again(memory, { ...folder, access: 'read' });
    expect(entries).toMatchObject([{ access: 'read' }, { access: 'read' }]);
  });

  test('a server that ignores the offset is asked no more often than for the first listing', async () => {
    const { again, provider } = await serve(many(100), true);
    const { memory, entries } = await again(null);
    expect(entries).toHaveLength(100);
    const before = provider.metrics().total;
    expect((await again(memory)).entries).toBe('same');
    expect(provider.metrics().total - before).toBeLessThan(5);
  });
});
