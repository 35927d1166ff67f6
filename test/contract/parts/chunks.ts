import { expect } from 'vitest';
import type { FaultAction } from '../../../src/sandbox/index.js';
import {
  type ContractSetup,
  existing,
  failure,
  md5,
  noise,
  type Rooms,
  readRange,
  source,
  testIf,
  treeOf,
} from '../bench.js';

/** What may happen to one chunk without harm. */
const troubles: readonly (readonly [string, FaultAction])[] = [
  ['breaks in the middle', { kind: 'reset', when: 'middle' }],
  ['breaks before it begins', { kind: 'reset', when: 'before' }],
  ['is stored, but its answer is lost', { kind: 'reset', when: 'after' }],
  ['meets an internal error', { kind: 'status', status: 500 }],
  ['is stored, but answered with an internal error', { kind: 'status', status: 500, performed: true }],
  ['meets a sign-in page', { kind: 'html' }],
  ['comes too often', { kind: 'status', status: 429, retryAfter: 3 }],
];

export function chunkContract(rooms: Rooms, { capabilities, sizes, costs }: ContractSetup): void {
  const able = testIf(capabilities.resumableUpload, 'the provider has no upload in parts');
  const { probes = 0 } = costs;
  const content = noise(sizes.simple * 2 + 12_345, 3);
  const chunks = Math.ceil(content.length / sizes.chunk);

  for (const size of [sizes.simple + 1, sizes.chunk * 4, sizes.chunk * 4 + 1]) {
    able(`${size} bytes, above the limit of one request, are stored in chunks`, async () => {
      const room = rooms();
      const data = noise(size, 5);
      const stored = await room.provider.upload({ parentId: room.folder.id, name: 'big' }, source(data));
      expect(stored).toMatchObject({ name: 'big', parentId: room.folder.id, size });
      expect(stored.md5).toBe(capabilities.md5 ? md5(data) : null);
      expect(treeOf(room)).toEqual({ big: md5(data) });
      expect(room.server.requests('upload', 'replace')).toEqual([]);
      expect(room.server.requests('upload-chunk')).toHaveLength(Math.ceil(size / sizes.chunk) + probes);
      const tail = await readRange(room.provider, stored, size - 10, 10);
      expect(tail.equals(data.subarray(-10))).toBe(true);
    });
  }

  able('progress grows to the whole, and no request is made in vain', async () => {
    const room = rooms();
    const sent: number[] = [];
    await room.provider.upload({ parentId: room.folder.id, name: 'big' }, source(content), {
      onProgress: (bytes) => sent.push(bytes),
    });
    expect(sent).toEqual([...sent].sort((a, b) => a - b));
    expect(sent.at(-1)).toBe(content.length);
    expect(sent.length).toBeGreaterThanOrEqual(chunks);
    const seen = room.server.requests().map(({ operation }) => operation);
    expect(seen.filter((operation) => operation === 'upload-chunk')).toHaveLength(chunks + probes);
    expect(seen.filter((operation) => operation !== 'upload-chunk').length, seen.join()).toBeLessThanOrEqual(
      costs.chunkedUpload,
    );
    expect(room.server.requests('upload-chunk').reduce((sum, { bytesIn }) => sum + bytesIn, 0)).toBe(
      content.length + probes,
    );
  });

  able('a large new version takes the place of the old one, which goes where deleted things go', async () => {
    const room = rooms();
    const replaces = await existing(room, 'big', 'old');
    const target = { parentId: room.folder.id, name: 'big', replaces };
    const stored = await room.provider.upload(target, source(content));
    expect(stored).toMatchObject({ name: 'big', size: content.length });
    expect(treeOf(room)).toEqual({ big: md5(content) });
    const others = room.server.requests().flatMap(({ operation }) => (operation === 'upload-chunk' ? [] : [operation]));
    expect(others.length, others.join()).toBeLessThanOrEqual(costs.chunkedReplace);
    expect(await room.provider.list(room.folder)).toEqual([stored]);
    if (capabilities.trash && stored.id !== replaces.id)
      expect(room.store.trash().map(({ id }) => id)).toContain(replaces.id);
  });

  able('a small new version takes the place of a large one', async () => {
    const room = rooms();
    const parentId = room.folder.id;
    const replaces = await room.provider.upload({ parentId, name: 'big' }, source(content));
    await room.provider.upload({ parentId, name: 'big', replaces }, source(Buffer.from('small')));
    expect(treeOf(room)).toEqual({ big: md5(Buffer.from('small')) });
  });

  able('the old version stays, under its name, until the new one is stored', async () => {
    const room = rooms();
    const replaces = await existing(room, 'big', 'old');
    room.server.fault('upload-chunk', { kind: 'status', status: 403 }, { after: 2 });
    const target = { parentId: room.folder.id, name: 'big', replaces };
    const { error } = await failure(room.provider.upload(target, source(content)));
    expect(error).toMatchObject({ code: 'permission' });
    expect(room.store.stat(`${room.path}/big`)).toMatchObject({ id: replaces.id, size: 3 });
  });

  able('two large files of one name at once: one is stored, one is exists, and neither is mixed', async () => {
    const room = rooms();
    const target = { parentId: room.folder.id, name: 'big' };
    const other = noise(content.length, 9);
    const results = await Promise.allSettled([
      room.provider.upload(target, source(content)),
      room.server.connect().upload(target, source(other)),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const won = results[0]?.status === 'fulfilled' ? content : other;
    expect(treeOf(room).big).toBe(md5(won));
    const [lost] = results.filter((result) => result.status === 'rejected');
    expect(lost?.reason).toMatchObject({ code: 'exists' });
  });

  for (const [title, action] of troubles) {
    for (const nth of [1, chunks]) {
      able(`chunk ${nth} of ${chunks} that ${title} is stored all the same`, async () => {
        const room = rooms();
        room.server.fault('upload-chunk', action, { nth });
        const stored = await room.provider.upload({ parentId: room.folder.id, name: 'big' }, source(content));
        expect(stored.size).toBe(content.length);
        expect(treeOf(room)).toEqual({ big: md5(content) });
        const sent = room.server.requests('upload-chunk').reduce((sum, { bytesIn }) => sum + bytesIn, 0);
        expect(sent).toBeLessThanOrEqual(content.length + sizes.chunk);
      });
    }
  }

  able('a chunk that the server stores wrongly is found out, and the file is sent anew', async () => {
    const room = rooms();
    room.server.fault('upload-chunk', { kind: 'corrupt', where: 'request', at: 7 }, { nth: 2 });
    const stored = await room.provider.upload({ parentId: room.folder.id, name: 'big' }, source(content));
    expect(stored.size).toBe(content.length);
    expect(treeOf(room)).toEqual({ big: md5(content) });
  });

  able('chunks that the server always stores wrongly are integrity, and nothing is left', async () => {
    const room = rooms();
    const replaces = await existing(room, 'big', 'old');
    room.server.fault('upload-chunk', { kind: 'corrupt', where: 'request', at: 7 });
    const target = { parentId: room.folder.id, name: 'big', replaces };
    const { error } = await failure(room.provider.upload(target, source(content)));
    expect(error).toMatchObject({ code: 'integrity' });
    expect(treeOf(room)).toEqual({ big: md5(Buffer.from('old')) });
  });
}
