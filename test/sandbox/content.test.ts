import { createHash, randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js';
import { Client, code, type FileJson, octets } from './client.js';

let sandbox: Sandbox;
let client: Client;
beforeEach(async () => {
  sandbox = await startSandbox();
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');

describe('simple uploads', () => {
  it('stores small and large bodies with their MD5', async () => {
    for (const size of [0, 5, 256 * 1024, 3_000_001]) {
      const bytes = randomBytes(size);
      const file = await client.file(`f${size}`, bytes);
      expect(file).toMatchObject({ size, md5: md5(bytes), status: 'normal' });
      expect(md5(await sandbox.store.readFile(`/f${size}`))).toBe(md5(bytes));
      const download = await client.api('GET', `/files/${file.id}/download`);
      expect(md5(new Uint8Array(await download.arrayBuffer()))).toBe(md5(bytes));
    }
  });

  it('has every documented field', async () => {
    const file = await client.file('a b.rar', 'x');
    expect(Object.keys(file).sort().join(' ')).toBe(
      'description downloadPage exif id id3 md5 mimeType modified name ownerId ownerOnly parentId path size status ' +
        'tags virusScanResult',
    );
    expect(file.path).toBe('/My 4shared/a b.rar');
  });

  it('refuses what the documents forbid', async () => {
    await client.file('taken', 'x');
    expect(await code(client.post('taken', 'y'))).toBe('403.0201');
    expect(await code(client.post('n'.repeat(256), 'y'))).toBe('400.0213');
    const query = { folderId: client.root, fileName: 'x' };
    const body = Buffer.from('x');
    const post = (given: Record<string, string>, headers: Record<string, string>) =>
      code(client.upload('POST', '/files', { query: given, body, headers }));
    expect(await post(query, { 'content-type': 'text/plain' })).toBe('415.0210');
    expect(await post({ folderId: client.root }, octets)).toBe('400.0212');
    expect(await post({ ...query, folderId: 'nowhere' }, octets)).toBe('404');
    expect(await code(client.api('POST', '/files', { query, body, headers: octets }))).toBe('405.0211');
    Object.assign(sandbox.settings, { simpleUploadLimit: 10, uploadSizeLimit: 5, quotaBytes: 4 });
    expect(await code(client.post('x', '12345678901'))).toBe('403.0206');
    expect(await code(client.post('x', '123456'))).toBe('403.0101');
    expect(await code(client.post('x', '12345'))).toBe('403.0100');
    Object.assign(sandbox.settings, { limits: { filesInFolder: 1 } });
    expect(await code(client.post('x', '1'))).toBe('403.0102');
    expect([...sandbox.store.md5s().keys()]).toEqual(['/taken']);
  });

  it('refuses a chunked body once it is too long', async () => {
    sandbox.settings.simpleUploadLimit = 1_000_000;
    const pieces = [randomBytes(600_000), randomBytes(600_000)];
    const stream = new ReadableStream({
      pull(controller) {
        const piece = pieces.shift();
        if (piece) controller.enqueue(piece);
        else controller.close();
      },
    });
    expect(await code(client.post('x', stream))).toBe('403.0206');
    expect(sandbox.store.list()).toEqual([]);
  });

  it('leaves nothing of an aborted upload', async () => {
    const controller = new AbortController();
    let pulls = 0;
    const body = new ReadableStream({
      async pull(stream) {
        pulls += 1;
        if (pulls <= 3) stream.enqueue(randomBytes(300_000));
        // Only once bytes have arrived is there something to leave behind.
        while (pulls > 3 && (sandbox.log.entries()[0]?.bytesIn ?? 0) < 300_000) await setImmediate();
        if (pulls > 3) controller.abort();
      },
    });
    const query = { folderId: client.root, fileName: 'x' };
    const upload = client.upload('POST', '/files', { query, body, headers: octets, signal: controller.signal });
    await expect(upload).rejects.toThrow();
    expect((await client.api('GET', '/user')).status).toBe(200);
    expect(sandbox.store.tree()).toEqual([]);
  });

  it('takes a new version on the upload host, metadata on the api host', async () => {
    const file = await client.file('a.txt', 'old');
    const body = Buffer.from('newer');
    const put = (query: Record<string, string>) =>
      client.upload('PUT', `/files/${file.id}`, { query, body, headers: octets });
    expect(await code(put({}))).toBe('400.0212');
    const version = await client.json(await put({ folderId: client.root, fileName: 'a.txt' }));
    expect(version).toMatchObject({ id: file.id, size: 5, md5: md5(body) });
    expect((await sandbox.store.readFile('/a.txt')).toString()).toBe('newer');
    const wrongHost = client.api('PUT', `/files/${file.id}`, { query: {}, body, headers: octets });
    expect(await code(wrongHost)).toBe('415.0210');
  });

  it('tells the MD5 when the reading says', async () => {
    sandbox.readings.md5 = 'after-upload';
    const file = await client.file('a', 'x');
    expect(file.md5).toBeNull();
    expect((await client.json(await client.api('GET', `/files/${file.id}`))).md5).toBe(md5(Buffer.from('x')));
  });
});

describe('downloads', () => {
  let file: FileJson;
  beforeEach(async () => {
    file = await client.file('d', '0123456789');
  });
  const get = (range?: string) =>
    client.api('GET', `/files/${file.id}/download`, range === undefined ? {} : { headers: { range } });

  it('serve single ranges', async () => {
    for (const [range, text, header] of [
      ['bytes=2-4', '234', 'bytes 2-4/10'],
      ['bytes=8-', '89', 'bytes 8-9/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
      ['bytes=5-99', '56789', 'bytes 5-9/10'],
    ] as const) {
      const answer = await get(range);
      expect([answer.status, answer.headers.get('content-range'), await answer.text()]).toEqual([206, header, text]);
    }
    expect(sandbox.log.entries({ route: 'GET /files/{id}/download' }).map((entry) => entry.bytesOut)).toEqual([
      3, 2, 3, 5,
    ]);
    const beyond = await get('bytes=10-');
    expect(beyond.headers.get('content-range')).toBe('bytes */10');
    expect(await code(beyond)).toBe('416');
    expect((await get('bytes=1-2,4-5')).status).toBe(200);
  });

  it('answer 200 with the part, or ignore Range, under those readings', async () => {
    sandbox.readings.rangeAnswer = '200';
    const part = await get('bytes=2-4');
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([200, 'bytes 2-4/10', '234']);
    sandbox.readings.rangeAnswer = 'ignored';
    const whole = await get('bytes=2-4');
    expect([whole.status, whole.headers.get('content-range'), await whole.text()]).toEqual([200, null, '0123456789']);
  });

  it('say of which version they are, or do not, under those readings', async () => {
    const { headers } = await get('bytes=2-4');
    expect([headers.get('etag'), headers.get('last-modified')]).toEqual([expect.stringMatching(/^".+"$/), null]);
    sandbox.readings.validator = 'last-modified';
    expect((await get('bytes=2-4')).headers.get('last-modified')).toMatch(/ GMT$/);
    sandbox.readings.validator = 'none';
    const silent = (await get('bytes=2-4')).headers;
    expect([silent.get('etag'), silent.get('last-modified')]).toEqual([null, null]);
  });

  it('redirect to a host that takes no credentials', async () => {
    sandbox.readings.downloadRedirect = true;
    expect(await (await get('bytes=2-4')).text()).toBe('234');
    const answer = await client.api('GET', `/files/${file.id}/download`, { redirect: 'manual' });
    const location = answer.headers.get('location') ?? '';
    expect((await fetch(location, { headers: { authorization: 'OAuth x="y"' } })).status).toBe(400);
    expect(sandbox.log.entries({ host: 'download' }).map((entry) => entry.violation)).toEqual([
      undefined,
      'credentials sent to the download host',
    ]);
  });
});

describe('chunked uploads', () => {
  const bytes = randomBytes(1_000_000);
  const begin = async (size = bytes.length, name = 'big') =>
    client.json(await client.upload('POST', '/upload', { form: { name, folderId: client.root, size: String(size) } }));
  const chunk = (id: string, first: number, end: number, range = `bytes ${first}-${end - 1}/${bytes.length}`) =>
    client.upload('POST', `/upload/${id}`, {
      body: bytes.subarray(first, end),
      headers: { ...octets, 'content-range': range },
    });
  const state = async (id: string, path = '/status') => {
    const answer = await client.upload('GET', `/upload/${id}${path}`);
    return [answer.status, answer.headers.get('range')];
  };

  it('takes chunks in any order and makes an ordinary file of them', async () => {
    const { id, status } = await begin();
    expect(status).toBe('incomplete');
    expect(await state(id)).toEqual([308, null]);
    const two = await Promise.all([chunk(id, 800_000, 1_000_000), chunk(id, 0, 300_000)]);
    expect(two.map((answer) => answer.status)).toEqual([308, 308]);
    expect(await state(id)).toEqual([308, '0-299999, 800000-999999']);
    expect(await code(client.api('GET', `/files/${id}/download`))).toBe('404');
    const last = await chunk(id, 300_000, 800_000);
    expect([last.status, await last.text()]).toEqual([201, '']);
    expect(await state(id, '')).toEqual([201, null]);
    expect((await chunk(id, 300_000, 800_000)).status).toBe(201);
    const file = await client.json(await client.api('GET', `/files/${id}`));
    expect(file).toMatchObject({ status: 'normal', size: bytes.length, md5: md5(bytes) });
    expect(md5(await sandbox.store.readFile('/big'))).toBe(md5(bytes));
  });

  it('hashes anew what was sent again', async () => {
    const { id } = await begin();
    await chunk(id, 0, 600_000);
    await chunk(id, 200_000, 400_000);
    expect((await chunk(id, 500_000, 1_000_000)).status).toBe(201);
    expect(sandbox.store.stat('/big')?.md5).toBe(md5(bytes));
  });

  it('is strict about lengths and ranges', async () => {
    const { id } = await begin();
    expect(await code(chunk(id, 0, 10, 'bytes 0-10/1000000'))).toBe('403.0225');
    expect(await code(chunk(id, 0, 10, 'bytes 0-9/999'))).toBe('403.0225');
    expect(await code(chunk(id, 0, 10, '0-9/1000000'))).toBe('400.0500');
    expect(await code(client.upload('POST', `/upload/${id}`, { body: bytes, headers: octets }))).toBe('400.0212');
    expect(await code(client.upload('GET', '/upload/nothing'))).toBe('404');
    sandbox.readings.chunkOrder = 'sequential';
    expect(await code(chunk(id, 10, 20))).toBe('400.0500');
    sandbox.readings.chunkStatus = 202;
    expect((await chunk(id, 0, 20)).status).toBe(202);
  });

  it('holds its name and its space while incomplete', async () => {
    const { id } = await begin();
    const again = { form: { name: 'big', folderId: client.root, size: '5' } };
    expect(await code(client.upload('POST', '/upload', again))).toBe('403.0201');
    sandbox.settings.quotaBytes = 1_000_004;
    const other = { form: { name: 'other', folderId: client.root, size: '5' } };
    expect(await code(client.upload('POST', '/upload', other))).toBe('403.0100');
    const listed = async () =>
      (await client.json<{ files: FileJson[] }>(await client.api('GET', `/folder/${client.root}/files`))).files.length;
    expect(await listed()).toBe(1);
    sandbox.readings.incompleteListed = false;
    expect(await listed()).toBe(0);
    expect((await client.api('DELETE', `/files/${id}`)).status).toBe(204);
    expect((await client.upload('POST', '/upload', other)).status).toBe(200);
  });

  it('makes a new version of an existing file under that reading', async () => {
    const file = await client.file('big', 'old');
    expect(
      await code(client.upload('POST', '/upload', { form: { name: 'big', folderId: client.root, size: '9' } })),
    ).toBe('403.0201');
    sandbox.readings.uploadExistingName = 'new-version';
    const { id } = await begin();
    expect(id).toBe(file.id);
    expect((await sandbox.store.readFile('/big')).toString()).toBe('old');
    expect((await chunk(id, 0, 1_000_000)).status).toBe(201);
    expect(sandbox.store.stat('/big')).toMatchObject({ id, md5: md5(bytes) });
  });
});
