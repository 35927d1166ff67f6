import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AcronisSandbox, startSandbox } from '../../../src/sandbox/index.js';
import { Client, node, refusal } from './client.js';

let sandbox: AcronisSandbox;
let client: Client;
beforeEach(async () => {
  sandbox = await startSandbox({ provider: 'acronis' });
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

const md5 = (content: string | Buffer) => createHash('md5').update(content).digest('hex');
const query = (filename: string, content: string, more = {}) => ({
  filename,
  size: String(Buffer.byteLength(content)),
  ...more,
});

describe('uploads', () => {
  it('store every size, an empty one too, and check what was sent', async () => {
    for (const content of ['', 'hello', 'x'.repeat(1_000_000)]) {
      const answer = await client.post('0', query('f', content, { checksum: md5(content).toUpperCase() }), content);
      expect(answer.status).toBe(201);
      expect(await node(answer)).toMatchObject({ size: content.length, checksum: md5(content) });
      expect((await sandbox.store.readFile('/f')).toString()).toBe(content);
    }
    const { uuid } = await client.file('F', 'again');
    expect(sandbox.store.stat('/f')).toMatchObject({ id: uuid, name: 'f', size: 5 });
    expect(sandbox.store.revisions('/f')).toBe(4);
    sandbox.readings.uploadCase = 'renames';
    expect(await client.file('F', 'once more')).toMatchObject({ uuid, name: 'F' });
  });

  it('stream a large body to the disk', async () => {
    const content = randomBytes(30_000_000);
    const pieces = Array.from({ length: 300 }, (_, n) => content.subarray(n * 100_000, (n + 1) * 100_000));
    const about = { filename: 'big', size: String(content.length), checksum: md5(content) };
    expect((await client.post('0', about, ...pieces)).status).toBe(201);
    expect(sandbox.store.stat('/big')?.md5).toBe(md5(content));
  });

  it('refuse what is not all there', async () => {
    expect(await refusal(client.post('0', { filename: 'f', size: '6' }, 'hello'))).toBe('400/9');
    expect(await refusal(client.post('0', { filename: 'f', size: '4' }, 'hello'))).toBe('400/9');
    expect(await refusal(client.post('0', query('f', 'hello', { checksum: md5('other') }), 'hello'))).toBe('400/9');
    expect(sandbox.store.tree()).toEqual([]);
  });

  it('refuse what the document forbids', async () => {
    const folder = await client.folder('d');
    const file = await client.file('f', '');
    const path = '/sync_and_share_nodes/0/upload?filename=x&size=2';
    const octets = { 'content-type': 'application/octet-stream' };
    for (const answer of [
      client.send('POST', path, { body: 'ab', headers: octets }),
      client.send('POST', path, { body: 'ab', headers: { 'content-type': 'text/plain' } }),
      client.post('0', { filename: '', size: '0' }, ''),
      client.post('0', { size: '0' }, ''),
      client.post('0', { filename: 'x' }, ''),
      client.post('0', { filename: 'x', size: '-1' }, ''),
      client.post('0', { filename: 'a/b', size: '0' }, ''),
      client.post('0', query('x', '', { checksum: 'abc' }), ''),
      client.post('0', query('x', '', { overwrite: 'true' }), ''),
      client.post(file.uuid, query('x', ''), ''),
    ])
      expect(await refusal(answer)).toBe('400/15');
    expect(await refusal(client.post('0', query('D', ''), ''))).toBe('409/92');
    expect(folder.actions.upload).toBe(`/fc/api/v1/sync_and_share_nodes/${folder.uuid}/upload`);
    sandbox.settings.quotaBytes = 4;
    expect(await refusal(client.post('0', query('x', 'hello'), 'hello'))).toBe('403/3');
    sandbox.store.setNode('/f', { readOnly: true });
    expect(await refusal(client.post('0', query('f', ''), ''))).toBe('403/3');
  });
});

describe('downloads', () => {
  it("come from the node's own address, whole and in ranges", async () => {
    const { actions } = await client.file('a.txt', '0123456789');
    const get = (headers: Record<string, string> = {}) => client.send('GET', actions.download ?? '', { headers });
    expect(await (await get()).text()).toBe('0123456789');
    const part = await get({ range: 'bytes=-3' });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 7-9/10', '789']);
    expect(await refusal(get({ range: 'bytes=10-' }))).toBe('416/15');
    sandbox.readings.range = 'ignored';
    const all = await get({ range: 'bytes=-3' });
    expect([all.status, await all.text()]).toEqual([200, '0123456789']);
    client.token = 'wrong=';
    expect((await get()).status).toBe(401);
  });

  it('cannot be guessed where addresses are opaque', async () => {
    const guessed = (await client.file('f', 'x')).actions.download ?? '';
    sandbox.readings.actionUrls = 'opaque';
    const { actions } = await client.file('f', 'y');
    expect(actions.download).toMatch(/^\/fc\/d\//);
    expect(await refusal(client.send('GET', guessed))).toBe('404/10');
    expect(await (await client.send('GET', actions.download ?? '')).text()).toBe('y');
    expect(sandbox.log.count({ route: 'GET /sync_and_share_nodes/{node_uuid}/download' })).toBe(2);
    const folder = await client.folder('d');
    expect(await refusal(client.send('GET', folder.actions.download ?? ''))).toBe('400/15');
  });
});

describe('faults and control', () => {
  it('work as for the other protocols', async () => {
    sandbox.faults.add({ route: 'contents$', times: 1, action: { kind: 'status', status: 503, retryAfter: 3 } });
    const refused = await client.contents();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '3']);
    sandbox.faults.add({ route: '/upload$', times: 1, action: { kind: 'reset', when: 'after' } });
    await expect(client.file('f', 'x')).rejects.toThrow();
    expect(sandbox.store.stat('/f')?.size).toBe(1);
    const control = (method: string, path: string, body?: unknown) =>
      fetch(`${sandbox.control}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const { accessToken } = (await (await control('POST', '/tokens', {})).json()) as { accessToken: string };
    client.token = accessToken;
    expect(await client.names()).toEqual(['f']);
    await control('POST', '/nodes/f', { readOnly: true });
    expect(sandbox.store.nodes.isReadOnly(sandbox.store.nodes.children('0')[0] ?? sandbox.store.nodes.root)).toBe(true);
    await control('POST', '/readings', { deletion: 'action' });
    expect(sandbox.readings.deletion).toBe('action');
    await control('POST', '/expire', { token: accessToken });
    expect((await client.contents()).status).toBe(401);
    await control('POST', '/revoke');
  });

  it('lists and stores thousands of nodes', async () => {
    await sandbox.store.populate({ folders: 20, filesEach: 250, size: 10 });
    for (const { id } of sandbox.store.list()) expect(await client.names(id, '?per_page=100&page=3')).toHaveLength(50);
    expect(sandbox.store.md5s().size).toBe(5000);
  });
});
