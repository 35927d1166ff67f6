import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { collect, source } from '../fourshared/mini-account.js';
import { fileAt, folder, movableClock, names, root } from './fivesync-account.js';
import { apiKey, miniFiveSync, type Readings } from './mini-fivesync.js';

describe('5sync lists', () => {
  test.each([
    [{}, 1],
    [{ largestPage: 20 }, 2],
    [{ refuseLimit: true }, 3],
    [{ itemsWithoutPath: true, pathFilter: 'exact' }, 1],
    [{ itemsWithoutPath: true, pathFilter: 'recursive' }, 1],
  ] as [Readings, number][])('the account is a tree under %o', async (readings) => {
    const mini = await miniFiveSync(readings);
    mini.add('/', 'a.txt', 'a');
    mini.add('/docs', 'b.txt', 'bb');
    mini.add('/docs/deep/er', 'c.txt', 'ccc');
    for (let i = 0; i < 30; i++) mini.add('/many', `${i}`, '');
    expect(await names(mini)).toEqual(['file a.txt', 'folder docs', 'folder many']);
    const asked = mini.server.seen.length;
    expect(await names(mini, '/docs')).toEqual(['file b.txt', 'folder deep']);
    expect(await names(mini, '/docs/deep')).toEqual(['folder er']);
    expect(await names(mini, '/docs/deep/er')).toEqual(['file c.txt']);
    expect(await names(mini, '/many')).toHaveLength(30);
    expect(mini.server.seen).toHaveLength(asked);
  });

  test('an empty account may be null', async () => {
    expect(await names(await miniFiveSync({ nullForEmpty: true }))).toEqual([]);
  });

  test('a hidden file is not listed, implies no folder, can be read and removed, and a later version is listed', async () => {
    const clock = movableClock();
    const mini = await miniFiveSync({}, { clock });
    const stored = mini.add('/docs/deep', 'a.txt', 'a');
    const other = mini.add('/docs/deep', 'b.txt', 'b');
    const file = await fileAt(mini, '/docs/deep', 'a.txt');
    mini.provider.hide?.(file);
    mini.provider.hide?.(await fileAt(mini, '/docs/deep', 'b.txt'));
    expect(await names(mini, '/docs/deep')).toEqual([]);
    // This mount has emptied the folder, so it stays, and can be removed.
    expect(await names(mini, '/docs')).toEqual(['folder deep']);
    await mini.provider.remove(folder('/docs/deep'), { onlyEmpty: true });
    expect(await names(mini)).toEqual([]);
    const { body } = await mini.provider.read(file, { offset: 0, length: 1 });
    expect((await collect(body)).toString()).toBe('a');
    expect(await mini.provider.stat(file)).toEqual(file);
    mini.now += 60_000;
    mini.change(stored, 'theirs');
    clock.move(3600_000);
    expect(await names(mini, '/docs/deep')).toEqual(['file a.txt']);
    await mini.provider.remove({ ...file, id: other.id });
    expect([...mini.files.keys()]).toEqual([stored.id]);
  });

  test('it shows at once what others have changed, where it is asked to, and still reports it', async () => {
    const mini = await miniFiveSync();
    mini.add('/docs', 'a.txt', 'a');
    expect(await names(mini, '/docs')).toEqual(['file a.txt']);
    await mini.provider.changes?.();
    mini.now += 60_000;
    mini.add('/docs', 'b.txt', 'b');
    expect(await names(mini, '/docs')).toEqual(['file a.txt']);
    await mini.provider.refreshIndex?.();
    expect(await names(mini, '/docs')).toEqual(['file a.txt', 'file b.txt']);
    expect((await mini.provider.changes?.())?.folders).toContain('/docs');
  });

  test('a crawl that was cut goes on where it was, also after a look at the account', async () => {
    const mini = await miniFiveSync();
    for (let i = 0; i < 500; i++) mini.add('/d', `${i}`, '');
    const pageOf = ({ query }: { query: URLSearchParams }): string => query.get('page') ?? '1';
    let isCut = true;
    mini.before = (request) =>
      isCut && pageOf(request) === '4'
        ? { status: 403, value: { error: { type: 'forbidden', message: 'no' } } }
        : undefined;
    await expect(names(mini, '/d')).rejects.toThrow();
    isCut = false;
    const before = mini.server.seen.map(pageOf);
    await mini.provider.account();
    expect(await names(mini, '/d')).toHaveLength(500);
    const since = mini.server.seen.slice(before.length).map(pageOf);
    // The look at the account, and what was not read yet.
    expect(since.filter((page) => page !== '1' && before.includes(page) && page !== '4')).toEqual([]);
  });

  test('a crawl ends with the last of those who wait for it, and the next one goes on there', async () => {
    const mini = await miniFiveSync();
    for (let i = 0; i < 6000; i++) mini.add('/d', `${i}`, '');
    const [first, second] = [new AbortController(), new AbortController()];
    const at = (count: number, act: () => void): void => {
      if (mini.server.seen.length === count) act();
    };
    mini.before = () => {
      at(5, () => first.abort());
      at(8, () => second.abort());
      return undefined;
    };
    const lists = [first, second].map(({ signal }) => mini.provider.list(folder('/d'), { signal }));
    for (const list of lists) await expect(list).rejects.toMatchObject({ code: 'aborted' });
    // Those that were on their way when the second one left: as many as there are connections.
    const sent = 8 + 32;
    await setTimeout(300);
    expect(mini.server.seen.length).toBeLessThanOrEqual(sent);
    expect(await names(mini, '/d')).toHaveLength(6000);
    expect(mini.server.seen.length).toBeLessThanOrEqual(60 + sent);
    const asked = mini.server.seen.map(({ query }) => query.get('page'));
    // It is not begun anew.
    expect(asked.filter((page) => page === '1')).toHaveLength(1);
  });

  test('2,000 files on a plan of 60 requests an hour: 20 requests list all, and each small file takes one', async () => {
    const mini = await miniFiveSync({ limit: 60 });
    for (let i = 0; i < 2000; i++) mini.add(`/d${i % 20}`, `${i}`, `content ${i}`);
    await mini.provider.account();
    expect(await names(mini)).toHaveLength(20);
    for (let i = 0; i < 20; i++) expect(await names(mini, `/d${i}`)).toHaveLength(100);
    expect(mini.server.seen).toHaveLength(20);
    for (let i = 0; i < 10; i++) {
      const file = await fileAt(mini, '/d3', String(3 + 20 * i));
      const { body } = await mini.provider.read(file, { offset: 0, length: file.size });
      expect((await collect(body)).toString()).toBe(`content ${3 + 20 * i}`);
    }
    expect(mini.server.seen).toHaveLength(30);
    expect(mini.provider.metrics().rateLimit).toMatchObject({ limit: 60, remaining: 30 });
  });

  test('an interrupted crawl continues where it was', async () => {
    const mini = await miniFiveSync();
    for (let i = 0; i < 450; i++) mini.add('/', `${i}`, '');
    mini.before = (request) =>
      request.query.get('page') === '3' ? { status: 403, value: { error: { type: 'forbidden' } } } : undefined;
    await expect(mini.provider.list(root)).rejects.toMatchObject({ code: 'permission' });
    mini.before = () => undefined;
    expect(await names(mini)).toHaveLength(450);
    expect(mini.server.seen).toHaveLength(6);
  });

  test('a new folder exists only in this mount, and a folder stays when this mount empties it', async () => {
    const mini = await miniFiveSync();
    mini.add('/docs', 'b.txt', 'bb');
    await names(mini);
    const asked = mini.server.seen.length;
    const made = await mini.provider.createFolder('/', 'new');
    expect(made).toMatchObject({ id: '/new', parentId: '/', fileCount: 0 });
    expect(await names(mini)).toEqual(['folder docs', 'folder new']);
    await expect(mini.provider.createFolder('/', 'docs')).rejects.toMatchObject({ code: 'exists' });
    expect(mini.server.seen).toHaveLength(asked);
    await mini.provider.remove(await fileAt(mini, '/docs', 'b.txt'));
    await mini.provider.remove(made);
    expect(await names(mini)).toEqual(['folder docs']);
    expect(await names(mini, '/docs')).toEqual([]);
  });
});

describe('5sync changes', () => {
  test.each([
    { cursor: 'accepted', changesPage: 2 },
    { cursor: 'ignored', changesPage: 2 },
    { cursor: 'refused', changesPage: 2 },
    {},
  ] as Readings[])('of another client show within one poll under %o', async (readings) => {
    const clock = movableClock();
    const mini = await miniFiveSync(readings, { clock });
    mini.now = Date.now() - 48 * 3600_000;
    for (let i = 0; i < 300; i++) mini.add('/old', `${i}`, '');
    const gone = mini.add('/docs', 'gone', 'x');
    const kept = mini.add('/docs', 'kept', 'x');
    await mini.provider.changes?.();
    expect(await names(mini, '/docs')).toEqual(['file gone', 'file kept']);
    mini.now = Date.now();
    mini.drop(gone);
    mini.change(kept, 'longer');
    mini.add('/fresh', 'new', 'n');
    clock.move(61_000);
    const changes = await mini.provider.changes?.();
    expect(changes?.folders === 'all' ? 'all' : [...(changes?.folders ?? [])].sort()).toEqual(
      expect.toSatisfy((folders) => folders === 'all' || ['/', '/docs', '/fresh'].every((f) => folders.includes(f))),
    );
    expect(await names(mini, '/docs')).toEqual(['file kept']);
    expect((await fileAt(mini, '/docs', 'kept')).size).toBe(6);
    expect(await names(mini, '/fresh')).toEqual(['file new']);
    // The feed repeats the events because of the overlap. They need no lookup.
    const asked = mini.server.seen.length;
    clock.move(61_000);
    expect((await mini.provider.changes?.())?.folders).toEqual([]);
    expect(
      mini.server
        .lines()
        .slice(asked)
        .filter((line) => !line.includes('changes')),
    ).toEqual([]);
  });

  test('our own upload costs no lookup', async () => {
    const clock = movableClock();
    const mini = await miniFiveSync({}, { clock });
    mini.now = Date.now();
    await names(mini);
    await mini.provider.upload({ parentId: '/a', name: 'x' }, source(Buffer.from('1')));
    const asked = mini.server.seen.length;
    clock.move(61_000);
    await names(mini);
    expect(mini.server.lines().slice(asked)).toEqual(['GET /v1/changes']);
  });

  test('our own uploads cost no crawl, however many they are, and a poll of many pages is paid for by a pause', async () => {
    const clock = movableClock();
    const mini = await miniFiveSync({ cursor: 'accepted', changesPage: 10, limit: 6000 }, { clock });
    mini.now = Date.now() - 48 * 3600_000;
    for (let i = 0; i < 2500; i++) mini.add('/old', `${i}`, '');
    await names(mini);
    mini.now = Date.now();
    for (let i = 0; i < 250; i++)
      await mini.provider.upload({ parentId: '/a', name: `${i}` }, source(Buffer.from('1')));
    const requestsOfPoll = async (): Promise<string[]> => {
      const asked = mini.server.seen.length;
      await names(mini);
      return mini.server.lines().slice(asked);
    };
    clock.move(7000);
    const first = await requestsOfPoll();
    expect(new Set(first)).toEqual(new Set(['GET /v1/changes']));
    expect(first.length).toBeGreaterThan(20);
    // A plan of 6,000 requests an hour has one poll of one page every 6 s.
    expect((await mini.provider.changes?.())?.nextInMs).toBeCloseTo(first.length * 6000, -4);
    clock.move(first.length * 6000 - 10_000);
    expect(await requestsOfPoll()).toEqual([]);
    clock.move(11_000);
    expect(await requestsOfPoll()).not.toEqual([]);
  });

  test('bytes of a changed file are refused to readers of the old revision', async () => {
    const mini = await miniFiveSync({ ranges: true });
    const stored = mini.add('/', 'f', 'old bytes');
    const file = await fileAt(mini, '/', 'f');
    mini.change(stored, 'changed in size');
    await expect(mini.provider.read(file, { offset: 0, length: 4 })).rejects.toMatchObject({
      code: 'revision-changed',
    });
  });
});

describe('5sync reads', () => {
  test.each([true, false])('a ranged read, where the server honours ranges: %s', async (ranges) => {
    const mini = await miniFiveSync({ ranges });
    mini.add('/', 'f', '0123456789');
    const file = await fileAt(mini, '/', 'f');
    const { offset, body } = await mini.provider.read(file, { offset: 3, length: 4 });
    expect([offset, (await collect(body)).toString()]).toEqual(ranges ? [3, '3456'] : [0, '0123456789']);
  });

  test('operations that 5sync lacks are unsupported, and no message contains the key', async () => {
    const mini = await miniFiveSync();
    mini.add('/', 'f', '1');
    const file = await fileAt(mini, '/', 'f');
    await expect(mini.provider.move(file, { parentId: '/', name: 'g' })).rejects.toMatchObject({ code: 'unsupported' });
    mini.before = () => ({ status: 401, value: { error: { type: 'unauthorized', message: `bad key ${apiKey}` } } });
    const error: Error = await mini.provider.stat(file).then(
      () => new Error('none'),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: 'auth' });
    expect(error.message).not.toContain(apiKey);
  });
});

describe('5sync files that cannot be read', () => {
  const unreadable = async (status: number) => {
    const clock = movableClock();
    const mini = await miniFiveSync({}, { clock });
    mini.now = Date.now() - 3600_000;
    const stuck = mini.add('/docs', 'stuck', 'old');
    const gone = mini.add('/docs', 'gone', 'x');
    expect(await names(mini, '/docs')).toEqual(['file gone', 'file stuck']);
    await mini.provider.changes?.();
    mini.before = ({ method, path }) =>
      method === 'GET' && path.endsWith(`/files/${stuck.id}`) ? { status, value: { error: 'x' } } : undefined;
    mini.now = Date.now();
    mini.change(stuck, 'longer');
    return { clock, mini, stuck, gone };
  };

  test.each([400, 403, 409])('with %i hide no change of another file, and are looked up again', async (status) => {
    const { clock, mini, gone } = await unreadable(status);
    mini.drop(gone);
    mini.add('/docs', 'new', 'n');
    clock.move(61_000);
    expect((await mini.provider.changes?.())?.folders).toEqual(['/docs']);
    expect(await names(mini, '/docs')).toEqual(['file new', 'file stuck']);
    expect((await fileAt(mini, '/docs', 'stuck')).size).toBe(3);
    mini.before = () => undefined;
    clock.move(61_000);
    expect((await mini.provider.changes?.())?.folders).toEqual(['/docs']);
    expect((await fileAt(mini, '/docs', 'stuck')).size).toBe(6);
    // After a successful lookup there are no more.
    const asked = mini.server.seen.length;
    clock.move(61_000);
    await mini.provider.changes?.();
    expect(mini.server.lines().slice(asked)).toEqual(['GET /v1/changes']);
  });

  test('delay no upload of another file, even after one with an unknown outcome', async () => {
    const { mini } = await unreadable(400);
    const cancelling = new AbortController();
    mini.lose = ({ method }) => {
      if (method === 'PUT') cancelling.abort();
      return method === 'PUT';
    };
    const cancelled = mini.provider.upload({ parentId: '/docs', name: 'a' }, source(Buffer.from('a')), {
      signal: cancelling.signal,
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
    mini.lose = () => false;
    await mini.provider.upload({ parentId: '/docs', name: 'b' }, source(Buffer.from('b')));
    // The list shows the size of the unreadable file, and that the cancelled upload was carried out.
    expect(await names(mini, '/docs')).toEqual(['file a', 'file b', 'file gone', 'file stuck']);
    expect((await fileAt(mini, '/docs', 'stuck')).size).toBe(6);
    const asked = mini.server.seen.length;
    await mini.provider.upload({ parentId: '/docs', name: 'c' }, source(Buffer.from('c')));
    expect(
      mini.server
        .lines()
        .slice(asked)
        .filter((line) => line.startsWith('GET')),
    ).toEqual([]);
  });
});
