import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js';
import { runSandboxCommand } from '../../src/sandbox/run.js';
import { Client, octets } from './client.js';

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

describe('a directory', () => {
  it('keeps files, folders, trash, uploads and credentials over a restart', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
    undo.push(() => rm(dir, { recursive: true }));
    const first = await startSandbox({ dir });
    const client = new Client(first);
    const folder = await client.folder('a');
    await client.file('f', 'content', folder.id);
    const gone = await client.file('gone', 'x');
    await client.api('POST', `/files/${gone.id}/trash`);
    const form = { name: 'big', folderId: client.root, size: '10' };
    const { id } = await client.json(await client.upload('POST', '/upload', { form }));
    const chunk = (on: Client, range: string, body: string) =>
      on.upload('POST', `/upload/${id}`, { body: Buffer.from(body), headers: { ...octets, 'content-range': range } });
    expect((await chunk(client, 'bytes 0-3/10', '0123')).status).toBe(308);
    await first.close();

    const second = await startSandbox({ dir });
    undo.push(() => second.close());
    expect(second.credentials).toEqual(first.credentials);
    expect(second.store.rootId).toBe(first.store.rootId);
    expect((await second.store.readFile('/a/f')).toString()).toBe('content');
    expect(second.store.trash().map((entry) => entry.id)).toEqual([gone.id]);
    expect((await chunk(new Client(second), 'bytes 4-9/10', '456789')).status).toBe(201);
    expect((await second.store.readFile('/big')).toString()).toBe('0123456789');
    expect(second.store.stat('/big')?.md5).toBe('781e5e245d69b566979b86e28d23f2c7');
  });
});

describe('control over HTTP', () => {
  let sandbox: Sandbox;
  const control = async (method: string, path: string, body?: unknown) => {
    const init: RequestInit = { method };
    if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await fetch(`${sandbox.control}${path}`, init);
    const text = await answer.text();
    return { status: answer.status, text, json: () => JSON.parse(text) };
  };

  it('offers log, faults, files, tree, readings and settings', async () => {
    sandbox = await startSandbox();
    undo.push(() => sandbox.close());
    const client = new Client(sandbox);
    expect((await control('PUT', '/files/a%20b/c.txt', 'hello')).json()).toMatchObject({ path: '/a b/c.txt', size: 5 });
    expect((await control('GET', '/files/a%20b/c.txt')).text).toBe('hello');
    expect((await control('GET', '/tree')).json().entries).toHaveLength(2);
    expect((await control('POST', '/rename', { path: '/a b/c.txt', name: 'd' })).json().path).toBe('/a b/d');
    expect((await control('DELETE', '/files/a%20b/d')).status).toBe(204);
    expect((await control('GET', '/files/a%20b/d')).status).toBe(404);

    await control('POST', '/faults', { action: { kind: 'status', status: 502 }, times: 1 });
    expect((await client.api('GET', '/user')).status).toBe(502);
    expect((await client.api('GET', '/user')).status).toBe(200);
    const { entries, totals } = (await control('GET', '/log?route=user&status=502')).json();
    expect([entries.length, totals.total]).toEqual([1, 2]);
    await control('POST', '/reset-counters');
    expect((await control('GET', '/counters')).json().total).toBe(0);
    await control('POST', '/readings', { childrenShape: 'array' });
    expect(sandbox.readings.childrenShape).toBe('array');
    await control('POST', '/settings', { quotaBytes: 5 });
    expect(sandbox.settings.quotaBytes).toBe(5);
  });
});

describe('runSandboxCommand', () => {
  it('prints one line of JSON and ends by a signal', async () => {
    const stop = new AbortController();
    const lines: string[] = [];
    await runSandboxCommand({ json: true, signal: stop.signal }, (line) => {
      lines.push(line);
      stop.abort();
    });
    expect(lines).toHaveLength(1);
    const printed = JSON.parse(lines[0] ?? '');
    expect(Object.keys(printed)).toEqual(['provider', 'endpoints', 'credentials', 'control']);
    await expect(fetch(printed.control)).rejects.toThrow();
  });

  it('prints commands to paste', async () => {
    const stop = new AbortController();
    const lines: string[] = [];
    await runSandboxCommand({ provider: '4sync', signal: stop.signal }, (line) => {
      lines.push(line);
      stop.abort();
    });
    expect(lines.join('\n')).toMatch(/syncmount login sandbox --provider 4sync --credentials -/);
  });

  it.each([
    ['5sync', ['api'], ['apiKey']],
    ['acronis', ['api', 'token', 'authorize'], ['username', 'password', 'clientId', 'clientSecret']],
  ] as const)('speaks for %s too', async (provider, endpoints, credentials) => {
    for (const json of [true, false]) {
      const stop = new AbortController();
      const lines: string[] = [];
      await runSandboxCommand({ provider, json, signal: stop.signal }, (line) => {
        lines.push(line);
        stop.abort();
      });
      const text = lines.join('\n');
      if (json) {
        const printed = JSON.parse(text);
        expect([Object.keys(printed.endpoints), Object.keys(printed.credentials)]).toEqual([endpoints, credentials]);
      } else {
        expect(text).toContain(`syncmount login sandbox --provider ${provider} --credentials -`);
        for (const name of endpoints) expect(text).toContain(`--endpoint ${name}=http://127.0.0.1:`);
      }
    }
  });
});
