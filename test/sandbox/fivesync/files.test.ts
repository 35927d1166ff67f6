import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FiveSyncSandbox, startSandbox } from '../../../src/sandbox/index.js';
import { Client, type FileJson, json, refusal } from './client.js';

let sandbox: FiveSyncSandbox;
let client: Client;
beforeEach(async () => {
  sandbox = await startSandbox({ provider: '5sync' });
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

const raw = (body: string, boundary = 'b', method = 'PUT') =>
  client.send(method, '/files', { body, headers: { 'content-type': `multipart/form-data; boundary=${boundary}` } });
const part = (disposition: string, content: string) =>
  `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`;

describe('the key', () => {
  it('is needed for every request', async () => {
    for (const key of ['', 'sk_5s_wrong', 'other']) {
      const stranger = new Client(sandbox, key);
      for (const path of ['/files', '/nothing', '/changes'])
        expect(await refusal(stranger.send('GET', path))).toBe('401 unauthorized');
    }
    expect(sandbox.endpoints.api).toMatch(/\/v1$/);
    expect(sandbox.credentials.apiKey).toMatch(/^sk_5s_/);
  });

  it('can be revoked, issued, and kept from writing', async () => {
    const other = new Client(sandbox, sandbox.tokens.issue());
    sandbox.tokens.revoke(client.key);
    expect(await refusal(client.send('GET', '/files'))).toBe('401 unauthorized');
    expect((await other.list()).total).toBe(0);
    sandbox.settings.keyPermission = 'read-only';
    expect(await refusal(other.put('a', 'x'))).toBe('403 forbidden');
  });
});

describe('PUT /v1/files', () => {
  it('answers 201 with the documented fields', async () => {
    const answer = await client.put('report.pdf', 'hello', { path: '/documents', encrypt: 'false' });
    expect(answer.status).toBe(201);
    const file = await json(answer);
    expect(Object.keys(file)).toEqual(['id', 'name', 'size', 'encrypted', 'created']);
    expect(file).toMatchObject({ name: 'report.pdf', size: 5, encrypted: false });
    expect(file.id).toMatch(/^f_[0-9a-z]+$/);
    expect(file.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(await json(await client.send('GET', `/files/${file.id}`))).toEqual({
      ...file,
      mime_type: 'application/pdf',
      path: '/documents',
      versions: 1,
      modified: file.created,
    });
    expect((await sandbox.store.readFile('/documents/report.pdf')).toString()).toBe('hello');
  });

  it('takes empty files, odd names, and fields in any order', async () => {
    await client.file('empty', '');
    expect(sandbox.store.stat('/empty')?.size).toBe(0);
    for (const name of ['naïve ☃ 😀.txt', 'quo"te', 'back\\slash', 'semi;colon=x']) {
      await client.file(name, name, '/odd');
      expect((await sandbox.store.readFile(`/odd/${name}`)).toString()).toBe(name);
    }
    const curl = `${part('name="path"', '/first')}${part('name="file"; filename="a\\"b"', 'x\r\n--c\r\n')}--b--\r\n`;
    expect((await raw(curl)).status).toBe(201);
    expect((await sandbox.store.readFile('/first/a"b')).toString()).toBe('x\r\n--c\r\n');
  });

  it('streams a large body', async () => {
    const content = randomBytes(20_000_000);
    expect((await client.put('large', content)).status).toBe(201);
    expect((await sandbox.store.readFile('/large')).equals(content)).toBe(true);
  });

  it('refuses more than 100 MB, announced or not', async () => {
    sandbox.settings.simpleUploadLimit = 1000;
    expect((await client.put('a', 'x'.repeat(1000))).status).toBe(201);
    expect(await refusal(client.put('b', 'x'.repeat(1001)))).toBe('400 bad_request');
    await expect(refusal(client.put('c', 'x'.repeat(200_000))).catch(() => 'cut')).resolves.toMatch(/bad_request|cut/);
    expect([...sandbox.store.md5s().keys()]).toEqual(['/a']);
  });

  it('refuses what is malformed', async () => {
    const file = part('name="file"; filename="a"', 'x');
    const bad: [string, Promise<Response>][] = [
      ['no form', client.send('PUT', '/files', { body: 'x' })],
      ['no file', raw(`${part('name="path"', '/a')}--b--`)],
      ['no name', raw(`${part('name="file"; filename=""', 'x')}--b--`)],
      ['no filename', raw(`${part('name="file"', 'x')}--b--`)],
      ['a slash in the name', raw(`${part('name="file"; filename="a/b"', 'x')}--b--`)],
      ['two files', raw(`${file}${file}--b--`)],
      ['two paths', raw(`${file}${part('name="path"', '/a')}${part('name="path"', '/a')}--b--`)],
      ['an unknown field', raw(`${file}${part('name="folder"', '/a')}--b--`)],
      ['no end', raw(file)],
      ['no disposition', raw('--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--')],
      ['another boundary', raw(`${file}--b--`, 'c')],
      ['a relative path', client.put('a', 'x', { path: 'documents' })],
      ['dots', client.put('a', 'x', { path: '/a/../b' })],
      ['an empty step', client.put('a', 'x', { path: '/a//b' })],
      ['no boolean', client.put('a', 'x', { encrypt: 'yes' })],
      ['a query', client.send('PUT', '/files?path=/a', { body: new FormData() })],
    ];
    for (const [why, answer] of bad) expect([why, await refusal(answer)]).toEqual([why, '400 bad_request']);
    expect(sandbox.store.tree()).toEqual([]);
  });

  it('refuses a full account', async () => {
    sandbox.settings.quotaBytes = 10;
    await client.file('a', '12345678');
    expect(await refusal(client.put('b', '123'))).toBe('403 forbidden');
    expect((await client.put('a', '1234567890')).status).toBe(201);
  });

  it('follows the reading of an existing name', async () => {
    const put = async (content: string) => (await client.file('f', content, '/d')).id;
    const versions = async (id: string) => (await json(await client.send('GET', `/files/${id}`))).versions;
    const first = await put('1');
    expect(await put('22')).toBe(first);
    expect(await versions(first)).toBe(2);
    sandbox.readings.existingName = 'new-id';
    const second = await put('333');
    expect(second).not.toBe(first);
    expect(await refusal(client.send('GET', `/files/${first}`))).toBe('404 not_found');
    sandbox.readings.existingName = 'duplicate';
    const third = await put('4444');
    expect((await client.list()).items.map(({ id, name }) => [id, name])).toEqual([
      [second, 'f'],
      [third, 'f'],
    ]);
  });
});

describe('GET and DELETE /v1/files/:id', () => {
  let file: FileJson;
  const get = (headers: Record<string, string> = {}) =>
    client.send('GET', `/files/${file.id}?download=true`, { headers });
  beforeEach(async () => {
    file = await client.file('a.txt', '0123456789');
  });

  it('downloads whole and in ranges', async () => {
    const whole = await get();
    expect([whole.status, whole.headers.get('content-type'), await whole.text()]).toEqual([
      200,
      'text/plain',
      '0123456789',
    ]);
    const some = await get({ range: 'bytes=2-4' });
    expect([some.status, some.headers.get('content-range'), await some.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    expect((await get({ range: 'bytes=10-' })).status).toBe(416);
    sandbox.readings.range = 'ignored';
    const all = await get({ range: 'bytes=2-4' });
    expect([all.status, all.headers.get('content-range'), await all.text()]).toEqual([200, null, '0123456789']);
    expect(await json(await client.send('GET', `/files/${file.id}?download=false`))).toMatchObject({ id: file.id });
    expect(await refusal(client.send('GET', `/files/${file.id}?download=1`))).toBe('400 bad_request');
    expect(sandbox.log.count({ route: 'GET /files/{id}?download' })).toBe(6);
    expect(sandbox.log.count({ route: 'GET /files/{id}' })).toBe(0);
  });

  it('deletes for ever', async () => {
    expect(await json(await client.send('DELETE', `/files/${file.id}`))).toEqual({ deleted: true });
    expect(await refusal(client.send('DELETE', `/files/${file.id}`))).toBe('404 not_found');
    expect(await refusal(get())).toBe('404 not_found');
  });

  it('does not know other calls', async () => {
    for (const [method, path] of [
      ['POST', '/files'],
      ['PATCH', `/files/${file.id}`],
      ['GET', '/folders'],
      ['GET', '/files/multipart/init'],
    ] as const)
      expect(await refusal(client.send(method, path))).toBe('404 not_found');
  });
});

describe('GET /v1/files', () => {
  it('pages, sorts and counts', async () => {
    for (let n = 0; n < 25; n++) await sandbox.store.putFile(`/d/f${(n * 7) % 25}`, 'x'.repeat(n));
    const first = await client.list();
    expect(first).toMatchObject({ total: 25, page: 1, limit: 20 });
    expect(first.items).toHaveLength(20);
    expect((await client.list('?page=2')).items).toHaveLength(5);
    expect((await client.list('?page=3')).items).toEqual([]);
    const sizes = (await client.list('?order_by=size&limit=100')).items.map(({ size }) => size);
    expect(sizes).toEqual([...Array(25).keys()]);
    const names = (await client.list('?order_by=name&limit=100')).items.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    for (const query of ['?limit=0', '?limit=x', '?page=0', '?order_by=modified', '?offset=1', '?path=d', '?limit=101'])
      expect(await refusal(client.send('GET', `/files${query}`))).toBe('400 bad_request');
    sandbox.readings.limitOver100 = 'clamped';
    expect(await client.list('?limit=1000')).toMatchObject({ limit: 100, total: 25 });
  });

  it('filters by directory, exactly or with what is below', async () => {
    await client.file('a', '');
    await client.file('b', '', '/d');
    await client.file('c', '', '/d/e');
    await client.file('x', '', '/dd');
    const names = async (path: string) => (await client.list(`?path=${path}`)).items.map(({ name }) => name);
    expect([await names('/'), await names('/d'), await names('/d/e/'), await names('/none')]).toEqual([
      ['a'],
      ['b'],
      ['c'],
      [],
    ]);
    sandbox.readings.pathFilter = 'recursive';
    expect([await names('/'), await names('/d'), await names('/dd')]).toEqual([
      ['a', 'b', 'c', 'x'],
      ['b', 'c'],
      ['x'],
    ]);
  });

  it('shows as much of each file as the reading says', async () => {
    const file = await client.file('a', '', '/d');
    const item = async () => (await client.list()).items[0];
    expect(await item()).toEqual(await json(await client.send('GET', `/files/${file.id}`)));
    sandbox.readings.listItems = 'no-path';
    expect(await item()).not.toHaveProperty('path');
    expect(await item()).toHaveProperty('modified');
    sandbox.readings.listItems = 'brief';
    expect(await item()).toEqual(file);
  });
});
