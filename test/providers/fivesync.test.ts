import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import type { RemoteFile, RemoteFolder } from '../../src/providers/provider.js';
import { collect, source } from './mini-account.js';
import { apiKey, type MiniFiveSync, miniFiveSync, type Readings } from './mini-fivesync.js';

const folder = (id: string): RemoteFolder => ({
  kind: 'folder',
  id,
  parentId: null,
  name: '',
  modified: 0,
  access: 'write',
  fileCount: null,
  folderCount: null,
});
const root = folder('/');
const names = async (mini: MiniFiveSync, path = '/'): Promise<string[]> =>
  (await mini.provider.list(folder(path))).map((entry) => `${entry.kind} ${entry.name}`).sort();
const fileAt = async (mini: MiniFiveSync, path: string, name: string): Promise<RemoteFile> =>
  (await mini.provider.list(folder(path))).find((entry) => entry.name === name) as RemoteFile;

/** A clock that jumps: due polls come at once. */
function movableClock() {
  let offset = 0;
  const move = (ms: number): void => {
    offset += ms;
  };
  return { ...systemClock, now: () => Date.now() + offset, move };
}

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

  test('2,000 files of a 60-an-hour plan: 20 requests for all, one for each small file read', async () => {
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

  test('a crawl that is cut off goes on where it was', async () => {
    const mini = await miniFiveSync();
    for (let i = 0; i < 450; i++) mini.add('/', `${i}`, '');
    mini.before = (request) =>
      request.query.get('page') === '3' ? { status: 403, value: { error: { type: 'forbidden' } } } : undefined;
    await expect(mini.provider.list(root)).rejects.toMatchObject({ code: 'permission' });
    mini.before = () => undefined;
    expect(await names(mini)).toHaveLength(450);
    expect(mini.server.seen).toHaveLength(6);
  });

  test('an implied folder is known here only, and stays when this mount empties it', async () => {
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
      expect.toSatisfy((told) => told === 'all' || ['/', '/docs', '/fresh'].every((f) => told.includes(f))),
    );
    expect(await names(mini, '/docs')).toEqual(['file kept']);
    expect((await fileAt(mini, '/docs', 'kept')).size).toBe(6);
    expect(await names(mini, '/fresh')).toEqual(['file new']);
    // Told again because of the overlap: nothing to ask.
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

  test('our own upload costs no look', async () => {
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

  test('bytes of a changed file are refused to those who want the old ones', async () => {
    const mini = await miniFiveSync({ ranges: true });
    const stored = mini.add('/', 'f', 'old bytes');
    const file = await fileAt(mini, '/', 'f');
    mini.change(stored, 'changed in size');
    await expect(mini.provider.read(file, { offset: 0, length: 4 })).rejects.toMatchObject({
      code: 'revision-changed',
    });
  });
});

describe('5sync uploads', () => {
  const existing = ['version', 'replace', 'duplicate', 'rename', 'refuse'] as const;

  test.each(existing)(
    'over a name end with one file, with the new content, where the server makes a %s',
    async (kind) => {
      const mini = await miniFiveSync({ existing: kind });
      mini.add('/docs', 'f', 'old');
      for (const content of ['new content', 'and again']) {
        const replaces = await fileAt(mini, '/docs', 'f');
        const stored = await mini.provider.upload(
          { parentId: '/docs', name: 'f', replaces },
          source(Buffer.from(content)),
        );
        expect([...mini.files.values()].map((file) => [file.path, file.name, file.data.toString()])).toEqual([
          ['/docs', 'f', content],
        ]);
        expect(stored).toMatchObject({ name: 'f', size: content.length, id: mini.named('/docs', 'f')[0]?.id });
        expect(stored.modified).toBe(Date.parse(mini.named('/docs', 'f')[0]?.modified ?? ''));
        expect(await names(mini, '/docs')).toEqual(['file f']);
      }
    },
  );

  test.each(existing)('whose answers are lost leave one file, where the server makes a %s', async (kind) => {
    const mini = await miniFiveSync({ existing: kind });
    mini.now = Date.now();
    mini.add('/docs', 'f', 'old');
    const replaces = await fileAt(mini, '/docs', 'f');
    let lost = 0;
    mini.lose = (request) => request.method === 'PUT' && lost++ < 1;
    await mini.provider.upload({ parentId: '/docs', name: 'f', replaces }, source(Buffer.from('new content')));
    expect(mini.named('/docs', 'f').map((file) => file.data.toString())).toEqual(['new content']);
    if (kind !== 'rename') expect(mini.files.size).toBe(1);
  });

  test('that are cancelled when all of them was sent wait for the answer, and say what became of them', async () => {
    const mini = await miniFiveSync();
    await names(mini);
    const cancelling = new AbortController();
    mini.before = ({ method }) => {
      if (method === 'PUT') cancelling.abort();
      return undefined;
    };
    const stored = await mini.provider.upload({ parentId: '/', name: 'new' }, source(Buffer.from('content')), {
      signal: cancelling.signal,
    });
    expect(stored).toMatchObject({ name: 'new', size: 7 });
    expect(await names(mini)).toEqual(['file new']);
  });

  test('that were cancelled, and stored all the same, are seen by the next list', async () => {
    const mini = await miniFiveSync();
    const old = mini.add('/docs', 'old', 'old');
    expect(await names(mini, '/docs')).toEqual(['file old']);
    const cancelling = new AbortController();
    mini.lose = ({ method }) => {
      if (method === 'PUT') cancelling.abort();
      return method === 'PUT';
    };
    const cancelled = mini.provider.upload({ parentId: '/docs', name: 'new' }, source(Buffer.from('content')), {
      signal: cancelling.signal,
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
    expect(await names(mini, '/docs')).toEqual(['file new', 'file old']);
    // Once it is seen, lists cost nothing again.
    const asked = mini.server.seen.length;
    await names(mini, '/docs');
    expect(mini.server.seen).toHaveLength(asked);
    expect(mini.files.get(old.id)?.data.toString()).toBe('old');
  });

  test('that were cancelled, and stored all the same, are not stored twice by the next try', async () => {
    const mini = await miniFiveSync({ existing: 'duplicate' });
    await names(mini);
    const cancelling = new AbortController();
    mini.lose = ({ method }) => {
      if (method === 'PUT') cancelling.abort();
      return method === 'PUT';
    };
    const target = { parentId: '/', name: 'new' };
    const cancelled = mini.provider.upload(target, source(Buffer.from('content')), { signal: cancelling.signal });
    await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
    mini.lose = () => false;
    await expect(mini.provider.upload(target, source(Buffer.from('newer')))).rejects.toMatchObject({ code: 'exists' });
    const there = await fileAt(mini, '/', 'new');
    await mini.provider.upload({ ...target, replaces: there }, source(Buffer.from('newer')));
    expect(mini.named('/', 'new').map(({ data }) => data.toString())).toEqual(['newer']);
  });

  test('of new small files cost one request each, once the server is known', async () => {
    const mini = await miniFiveSync();
    await names(mini);
    await mini.provider.upload({ parentId: '/a', name: '0' }, source(Buffer.from('0')));
    const asked = mini.server.seen.length;
    for (const name of ['1', '2', '3']) await mini.provider.upload({ parentId: '/a', name }, source(Buffer.from(name)));
    expect(mini.server.lines().slice(asked)).toEqual(['PUT /v1/files', 'PUT /v1/files', 'PUT /v1/files']);
    await expect(mini.provider.upload({ parentId: '/a', name: '1' }, source(Buffer.from('x')))).rejects.toMatchObject({
      code: 'exists',
    });
  });

  test.each(['', 'quote " and \\', 'ü€😀', 'x'.repeat(255)])('of 0 bytes, by the name %j', async (name) => {
    const mini = await miniFiveSync();
    const upload = mini.provider.upload({ parentId: '/', name }, source(Buffer.alloc(0)));
    if (name === '') await expect(upload).rejects.toMatchObject({ code: 'invalid-name' });
    else expect((await upload).size).toBe(0);
  });

  test.each([
    {},
    { initBody: 'form', chunk: 'by-parts' },
    { initBody: 'multipart', initFolder: 'filename' },
    { existing: 'duplicate' },
  ] as Readings[])('of large files go in parts under %o', async (readings) => {
    const mini = await miniFiveSync(readings, { simpleUploadLimit: 2000 });
    const data = Buffer.alloc(5500, 'abc');
    mini.add('/big', 'f', 'old');
    const replaces = await fileAt(mini, '/big', 'f');
    const told: number[] = [];
    const stored = await mini.provider.upload({ parentId: '/big', name: 'f', replaces }, source(data), {
      onProgress: (sent) => void told.push(sent),
    });
    expect(stored).toMatchObject({ name: 'f', parentId: '/big', size: 5500 });
    expect([...mini.files.values()].map((file) => [file.path, file.name, file.data.equals(data)])).toEqual([
      ['/big', 'f', true],
    ]);
    expect(told.at(-1)).toBe(5500);
  });

  test('of other clients are not removed with a folder that was seen to be empty', async () => {
    const mini = await miniFiveSync();
    const made = await mini.provider.createFolder('/', 'd');
    await mini.provider.upload({ parentId: '/d', name: 'theirs' }, source(Buffer.from('x')));
    await expect(mini.provider.remove(made, { onlyEmpty: true })).rejects.toMatchObject({ code: 'exists' });
    expect(mini.files.size).toBe(1);
    await mini.provider.remove(made);
    expect(mini.files.size).toBe(0);
  });

  test('and removals: one that is answered with nothing is looked at', async () => {
    const mini = await miniFiveSync();
    mini.add('/', 'f', 'x');
    const file = await fileAt(mini, '/', 'f');
    let lies = 1;
    mini.before = ({ method }) => (method === 'DELETE' && lies-- > 0 ? { status: 200, value: {} } : undefined);
    await mini.provider.remove(file);
    expect(mini.files.size).toBe(0);
    mini.add('/', 'f', 'x');
    const another = await mini.provider.stat({ kind: 'file', id: [...mini.files.keys()][0] ?? '' });
    lies = 99;
    await expect(mini.provider.remove(another)).rejects.toMatchObject({ code: 'protocol' });
  });

  test('refused once as a taken name is no reason to store it by a copy, then or later', async () => {
    const mini = await miniFiveSync();
    mini.add('/', 'f', 'old');
    let refusals = 1;
    mini.before = ({ method }) =>
      method === 'PUT' && refusals-- > 0 ? { status: 409, value: { error: { type: 'conflict' } } } : undefined;
    for (const content of ['new', 'newer']) {
      const replaces = await fileAt(mini, '/', 'f');
      await mini.provider.upload({ parentId: '/', name: 'f', replaces }, source(Buffer.from(content)));
    }
    expect(mini.server.lines().filter((line) => /^(PUT|DELETE)/.test(line))).toEqual(Array(3).fill('PUT /v1/files'));
    expect([...mini.files.values()].map(({ name, data }) => `${name} ${data}`)).toEqual(['f newer']);
  });

  test('complete and then not to be seen are not sent again', async () => {
    const mini = await miniFiveSync({}, { simpleUploadLimit: 2000 });
    mini.before = ({ method, path }) =>
      method === 'GET' && /\/files\/f/.test(path)
        ? { status: 404, value: { error: { type: 'not_found' } } }
        : undefined;
    const upload = mini.provider.upload({ parentId: '/', name: 'f' }, source(Buffer.alloc(5500)));
    await expect(upload).rejects.toMatchObject({ code: 'not-found' });
    expect(mini.server.lines().filter((line) => line.endsWith('/complete'))).toHaveLength(1);
  });

  test('too large for one request of this server go in parts; larger ones then do so at once', async () => {
    const mini = await miniFiveSync({});
    mini.before = ({ method, path }) =>
      method === 'PUT' && !path.includes('multipart')
        ? { status: 413, value: { error: { type: 'large' } } }
        : undefined;
    const put = async (name: string, size: number): Promise<string[]> => {
      const asked = mini.server.seen.length;
      await mini.provider.upload({ parentId: '/', name }, source(Buffer.alloc(size, 'abc')));
      return mini.server.seen.slice(asked).map(({ method, path }) => `${method} ${path.replace(/up\w+|\d+$/g, '*')}`);
    };
    expect(await put('a', 1_100_000)).toContain('PUT /v1/files');
    expect(await put('b', 1_100_000)).not.toContain('PUT /v1/files');
    await expect(put('c', 1000)).rejects.toMatchObject({ code: 'too-large' });
    expect([...mini.files.values()].map(({ name, data }) => [name, data.length])).toEqual([
      ['a', 1_100_000],
      ['b', 1_100_000],
    ]);
  });

  test('in parts to a server that knows the top folder only are refused, and leave nothing', async () => {
    const mini = await miniFiveSync({ initFolder: 'none' }, { simpleUploadLimit: 2000 });
    const upload = mini.provider.upload({ parentId: '/big', name: 'f' }, source(Buffer.alloc(5500)));
    await expect(upload).rejects.toMatchObject({ code: 'too-large' });
    expect(mini.files.size).toBe(0);
    await mini.provider.upload({ parentId: '/', name: 'f' }, source(Buffer.alloc(5500)));
    expect(mini.files.size).toBe(1);
  });

  test('in parts are resumed; one that the server has forgotten is begun anew', async () => {
    const mini = await miniFiveSync({}, { simpleUploadLimit: 2000 });
    const data = Buffer.alloc(5500, 'xyz');
    let resume: Record<string, unknown> | undefined;
    mini.before = (request) =>
      request.path.endsWith('/3') ? { status: 403, value: { error: { type: 'forbidden' } } } : undefined;
    const onCheckpoint = (checkpoint: Record<string, unknown>): void => {
      resume = checkpoint;
    };
    const target = { parentId: '/', name: 'f' };
    await expect(mini.provider.upload(target, source(data), { onCheckpoint })).rejects.toMatchObject({
      code: 'permission',
    });
    mini.before = () => undefined;
    const asked = mini.server.seen.length;
    await mini.provider.upload(target, source(data), { resume });
    expect(mini.server.lines().slice(asked)).not.toContain('POST /v1/files/multipart/init');
    const [file] = mini.named('/', 'f');
    expect(file?.data.equals(data)).toBe(true);
    const replaces = await fileAt(mini, '/', 'f');
    await mini.provider.upload({ ...target, replaces }, source(data), { resume });
    expect(mini.files.size).toBe(1);
  });
});

describe('5sync reads', () => {
  test.each([true, false])('ranges, honoured: %s', async (ranges) => {
    const mini = await miniFiveSync({ ranges });
    mini.add('/', 'f', '0123456789');
    const file = await fileAt(mini, '/', 'f');
    const { offset, body } = await mini.provider.read(file, { offset: 3, length: 4 });
    expect([offset, (await collect(body)).toString()]).toEqual(ranges ? [3, '3456'] : [0, '0123456789']);
  });

  test('what it cannot do is told, and no message holds the key', async () => {
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
