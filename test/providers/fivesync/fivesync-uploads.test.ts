import { describe, expect, test } from 'vitest';
import { source } from '../fourshared/mini-account.js';
import { fileAt, names } from './fivesync-account.js';
import { miniFiveSync, type Readings } from './mini-fivesync.js';

describe('5sync uploads', () => {
  const existing = ['version', 'replace', 'duplicate', 'rename', 'refuse'] as const;

  test.each(existing)(
    'over an existing name leave one file with the new content, where the server makes a %s',
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

  test('that are cancelled after all bytes were sent wait for the answer, and the file is listed', async () => {
    const mini = await miniFiveSync();
    await names(mini);
    const cancelling = new AbortController();
    mini.before = ({ method }) => {
      if (method === 'PUT') cancelling.abort();
      return undefined;
    };
    const cancelled = mini.provider.upload({ parentId: '/', name: 'new' }, source(Buffer.from('content')), {
      signal: cancelling.signal,
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
    expect(mini.named('/', 'new')).toHaveLength(1);
    expect(await names(mini)).toEqual(['file new']);
  });

  test('that were cancelled, but stored all the same, are in the next list', async () => {
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
    // After that, lists cost no requests again.
    const asked = mini.server.seen.length;
    await names(mini, '/docs');
    expect(mini.server.seen).toHaveLength(asked);
    expect(mini.files.get(old.id)?.data.toString()).toBe('old');
  });

  test('that were cancelled, but stored all the same, are not stored twice by the next try', async () => {
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

  test.each(['', 'quote " and \\', 'ü€😀', 'x'.repeat(255)])('of 0 bytes, under the name %j', async (name) => {
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

  test('of other clients are not removed with a folder that was empty when we looked', async () => {
    const mini = await miniFiveSync();
    const made = await mini.provider.createFolder('/', 'd');
    await mini.provider.upload({ parentId: '/d', name: 'theirs' }, source(Buffer.from('x')));
    await expect(mini.provider.remove(made, { onlyEmpty: true })).rejects.toMatchObject({ code: 'exists' });
    expect(mini.files.size).toBe(1);
    await mini.provider.remove(made);
    expect(mini.files.size).toBe(0);
  });

  test('and removals: one with an empty answer is checked', async () => {
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

  test('refused once because of a taken name are repeated as they are, then and later', async () => {
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

  test('that are complete but invisible are not sent again', async () => {
    const mini = await miniFiveSync({}, { simpleUploadLimit: 2000 });
    mini.before = ({ method, path }) =>
      method === 'GET' && /\/files\/f/.test(path)
        ? { status: 404, value: { error: { type: 'not_found' } } }
        : undefined;
    const upload = mini.provider.upload({ parentId: '/', name: 'f' }, source(Buffer.alloc(5500)));
    // Not 'not-found': that would mean that the name is free.
    await expect(upload).rejects.toMatchObject({ code: 'protocol' });
    expect(mini.server.lines().filter((line) => line.endsWith('/complete'))).toHaveLength(1);
  });

  test('that become visible a moment after they were stored succeed', async () => {
    const mini = await miniFiveSync();
    let asked = 0;
    mini.before = ({ method, path }) =>
      method === 'GET' && /\/files\/f/.test(path) && asked++ < 2
        ? { status: 404, value: { error: { type: 'not_found' } } }
        : undefined;
    const stored = await mini.provider.upload({ parentId: '/docs', name: 'f' }, source(Buffer.from('content')));
    expect(asked).toBe(3);
    expect(stored).toMatchObject({ name: 'f', size: 7 });
    expect(mini.server.lines().filter((line) => line.startsWith('PUT'))).toHaveLength(1);
  });

  test('too large for one request to this server go in parts, and later ones of that size do so at once', async () => {
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

  test('in parts to a server that stores them only in the root are refused, and leave nothing', async () => {
    const mini = await miniFiveSync({ initFolder: 'none' }, { simpleUploadLimit: 2000 });
    const upload = mini.provider.upload({ parentId: '/big', name: 'f' }, source(Buffer.alloc(5500)));
    await expect(upload).rejects.toMatchObject({ code: 'too-large' });
    expect(mini.files.size).toBe(0);
    await mini.provider.upload({ parentId: '/', name: 'f' }, source(Buffer.alloc(5500)));
    expect(mini.files.size).toBe(1);
  });

  test('in parts are resumed, or begun anew if the server has forgotten them', async () => {
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
