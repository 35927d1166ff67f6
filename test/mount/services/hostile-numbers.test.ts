/** Bad values in a server's lists and numbers: a bad entry costs only that entry, and no request repeats for ever. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProviderName } from '../../../src/sandbox/index.js';
import { eachService, openWorld, type Subject } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const date = '2024-01-01T00:00:00Z';
const odd: readonly [what: string, fields: object][] = [
  ['a size below nothing', { size: -1 }],
  ['a size beyond counting', { size: 2 ** 60 }],
  ['a size that is an object', { size: {} }],
  ['no name', { name: null }],
  ['a name that is a number', { name: 7 }],
  ['an id that climbs', { id: '..' }],
  ['an id that stays', { id: '.' }],
  ['an id of 10 kB', { id: 'x'.repeat(10_000) }],
];

interface Dialect {
  readonly route: string;
  entry(id: string, name: string, more?: object): object;
  list(entries: readonly object[]): unknown;
  /** Where the account's room is told, and how. */
  readonly quota?: { readonly route: string; answer(user: string, root: string): object };
}

const fourShared: Dialect = {
  route: '/files$',
  entry: (id, name, more) => ({ id, name, size: 3, modified: date, ...more }),
  list: (files) => ({ files }),
  quota: {
    route: '^GET /user$',
    answer: (id, rootFolderId) => ({
      id,
      email: 'a@b',
      rootFolderId,
      freeSpace: '99999999999999999999',
      totalSpace: 2 ** 62,
    }),
  },
};
const dialects: Readonly<Record<ProviderName, Dialect>> = {
  '4shared': fourShared,
  '4sync': fourShared,
  '5sync': {
    route: '^GET /files$',
    entry: (id, name, more) => ({ id, name, size: 3, path: '/', created: date, modified: date, ...more }),
    list: (items) => ({ items, total: items.length, page: 1, limit: 100 }),
  },
  acronis: {
    route: '/contents$',
    entry: (id, name, more = {}) => {
      const { id: uuid = id, ...rest } = more as { id?: string };
      return {
        uuid,
        name,
        is_directory: false,
        size: 3,
        parent_uuid: '0',
        file_modification_date: date,
        checksum: null,
        ...rest,
      };
    },
    list: (nodes) => nodes,
    quota: {
      route: '^GET /users/',
      answer: (uuid) => ({
        uuid,
        quota: 2 ** 70,
        override_quota: '99999999999999999999',
        sync_and_share_content: { used_space: -5 },
      }),
    },
  },
};

describe.each(eachService(3))('$provider', (subject: Subject) => {
  cleanUpWorlds();
  const { route, entry, list, quota } = dialects[subject.provider];
  const answer = (world: World, at: string, json: unknown): unknown =>
    world.sandbox.faults.add({ method: 'GET', route: at, action: { kind: 'answer', json } });

  it('a bad entry costs that entry and a line in the log; a bad date costs nothing', async () => {
    const world = await openWorld(subject);
    const dates = ['not a date', 1e300, { day: 1 }, true, ''].map((day, i) =>
      entry(`d${i}`, `dated ${i}`, { modified: day, created: day, file_modification_date: day }),
    );
    const bad = odd.map(([, fields], i) => entry(`b${i}`, `bad ${i}`, fields));
    answer(world, route, list([entry('a', 'first'), ...bad, ...dates, entry('z', 'last')]));
    await world.mount();
    expect(await world.out('ls | xargs -d "\\n" echo')).toBe('dated 0 dated 1 dated 2 dated 3 dated 4 first last');
    expect(await world.out('stat -c %s first last "dated 1" | xargs')).toBe('3 3 3');
    const log = await world.log();
    expect(log.match(/an entry is left out/g)?.length).toBe(odd.length);
    expect(log).toContain('bad 0');
  });

  if (quota !== undefined)
    it('room beyond counting is much room', async () => {
      const world = await openWorld(subject);
      await world.sandbox.store.putFile('/file', 'x');
      const account = await readFile(join(world.directory, 'config', 'accounts', 'work.json'), 'utf8');
      const { userId } = JSON.parse(account) as { userId: string };
      answer(world, quota.route, quota.answer(userId, (world.sandbox.store as unknown as { rootId: string }).rootId));
      await world.mount();
      expect(Number(await world.out('df --output=size -B1G . | tail -1'))).toBeGreaterThan(1_000_000);
    });

  it('a list that is the same on every page comes to its end', async () => {
    const world = await openWorld(subject);
    const entries = Array.from({ length: 100 }, (_, i) => entry(`f${i}`, `f${String(i).padStart(3, '0')}`));
    const json =
      subject.provider === '5sync' ? { items: entries, total: 100_000_000, page: 1, limit: 100 } : list(entries);
    world.sandbox.faults.add({
      method: 'GET',
      route,
      action: { kind: 'answer', json, status: subject.provider === 'acronis' ? 206 : 200 },
    });
    await world.mount();
    const requests = await world.requestsOf(async () => expect(await world.out('ls | wc -l')).toBe('100'));
    expect(requests.length).toBeLessThan(80);
  });
});

describe('4shared', () => {
  cleanUpWorlds();

  it('a folder that says it has a hundred million files is listed, and costs no memory for them', async () => {
    const world = await openWorld({ provider: '4shared', binding: 'kernel' });
    for (let i = 0; i < 150; i++) await world.sandbox.store.putFile(`/big/f${i}`, 'x');
    const { id } = world.sandbox.store.stat('/big') as { id: string };
    const folder = { id, name: 'big', modified: date, numFiles: 100_000_000, numChildren: 0, userPermissions: 'write' };
    answerOnce(world, '/children$', { folders: [folder] });
    await world.mount();
    await world.out('ls');
    const requests = await world.requestsOf(async () => expect(await world.out('ls big | wc -l')).toBe('150'));
    expect(requests.length).toBeLessThan(80);
  });
});

function answerOnce(world: World, route: string, json: unknown): void {
  world.sandbox.faults.add({ method: 'GET', route, times: 1, action: { kind: 'answer', json } });
}
