import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AcronisSandbox, startSandbox } from '../../../src/sandbox/index.js';
import { Client, type NodeJson, refusal } from './client.js';

let sandbox: AcronisSandbox;
let client: Client;
beforeEach(async () => {
  sandbox = await startSandbox({ provider: 'acronis' });
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

const none = '444f4f94-9f0e-4183-9d47-b1804e819f61';
const list = async (parent = '0', query = '') => {
  const answer = await client.contents(parent, query);
  return [answer.status, ((await answer.json()) as NodeJson[]).map(({ name }) => name)];
};

describe('nodes', () => {
  it('look like the examples', async () => {
    const folder = await client.folder('Parent folder');
    const file = await client.file('file.txt', 'hello', folder.uuid);
    const [listed] = (await (await client.contents(folder.uuid)).json()) as NodeJson[];
    expect(listed).toEqual(file);
    expect(file).toMatchObject({
      name: 'file.txt',
      path: 'Parent folder/file.txt',
      size: 5,
      checksum: '5d41402abc4b2a76b9719d911017c592',
      parent_uuid: folder.uuid,
      is_directory: false,
      is_deleted: false,
      preview_type: 'text',
      actions: { download: `/fc/api/v1/sync_and_share_nodes/${file.uuid}/download` },
      parents: [
        { name: 'Sync & Share', uuid: '0', is_root: true },
        { name: 'Parent folder', uuid: folder.uuid, is_root: false },
        { name: 'file.txt', uuid: file.uuid, is_root: false },
      ],
    });
    expect(file.file_modification_date).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(folder).toMatchObject({ path: 'Parent folder', is_directory: true, checksum: '', parent_uuid: '0' });
    expect(folder).not.toHaveProperty('size');
    expect(Object.keys(folder.permissions)).toHaveLength(16);
    expect(folder.permissions).toMatchObject({ can_create_files_into: true, can_be_restored: false });
    expect(file.permissions).toMatchObject({ can_create_files_into: false, can_be_downloaded: true });
  });

  it('tell their owner, who has a quota', async () => {
    const file = await client.file('f', '12345');
    const { uuid } = file.owner as { uuid: string };
    const user = async () => (await client.send('GET', `/users/${uuid}`)).json();
    expect(await user()).toMatchObject({
      uuid,
      quota: 3_221_225_472,
      sync_and_share_content: { file_count: 1, folder_count: 0, used_space: 5 },
    });
    expect(await refusal(client.send('GET', `/users/${none}`))).toBe('404/10');
    sandbox.readings.userInfo = 'forbidden';
    expect(await refusal(client.send('GET', `/users/${uuid}`))).toBe('403/3');
  });

  it('are offered for nothing that the sandbox does not have', async () => {
    expect(await refusal(client.send('GET', '/nothing'))).toBe('404/10');
    expect(await refusal(client.send('GET', '/devices'))).toBe('403/3');
    expect(await refusal(client.send('GET', '/settings/server?tenant_id=x'))).toBe('403/3');
    expect((await client.send('GET', '/sync_and_share_nodes/0')).status).toBe(405);
    sandbox.readings.unofferedMethod = 404;
    expect(await refusal(client.send('GET', '/sync_and_share_nodes/0'))).toBe('404/10');
  });
});

describe('contents', () => {
  it('answers 200 for the whole list and 206 for a part', async () => {
    for (const name of ['c', 'b', 'a']) await client.file(name, '');
    await client.folder('z');
    expect(await list()).toEqual([200, ['z', 'a', 'b', 'c']]);
    expect(await list('0', '?per_page=4')).toEqual([200, ['z', 'a', 'b', 'c']]);
    expect(await list('0', '?per_page=3')).toEqual([206, ['z', 'a', 'b']]);
    expect(await list('0', '?per_page=3&page=2')).toEqual([206, ['c']]);
    expect(await list('0', '?per_page=3&page=3')).toEqual([206, []]);
    sandbox.readings.lastPageStatus = 200;
    expect(await list('0', '?per_page=3&page=2')).toEqual([200, ['c']]);
    expect(await list((await client.folder('empty')).uuid)).toEqual([200, []]);
  });

  it('has a default and a largest page', async () => {
    await sandbox.store.populate({ folders: 1, filesEach: 120, size: 1 });
    const { uuid = '' } = ((await (await client.contents()).json()) as NodeJson[])[0] ?? {};
    const count = async (query: string) => {
      const [status, names] = await list(uuid, query);
      return [status, (names as string[]).length];
    };
    expect(await count('')).toEqual([206, 50]);
    expect(await count('?per_page=1000')).toEqual([206, 100]);
    Object.assign(sandbox.readings, { defaultPerPage: 0, overMaxPerPage: 'refused' });
    expect(await count('')).toEqual([200, 120]);
    expect(await count('?page=2')).toEqual([206, 0]);
    for (const query of ['?per_page=1000', '?per_page=0', '?page=0', '?page=x', '?limit=3'])
      expect(await refusal(client.contents(uuid, query))).toBe('400/15');
    sandbox.readings.maxPerPage = 0;
    expect(await count('?per_page=1000')).toEqual([200, 120]);
  });

  it('refuses missing nodes as the readings say', async () => {
    expect(await refusal(client.contents(none))).toBe('403/3');
    expect(await refusal(client.create('f', none))).toBe('404/10');
    expect(await refusal(client.post(none, { filename: 'f', size: '0' }, ''))).toBe('404/10');
    expect(await refusal(client.rename(none, 'n'))).toBe('403/3');
    sandbox.readings.missingNode = '404';
    expect(await refusal(client.contents(none))).toBe('404/10');
    sandbox.readings.missingNode = '403';
    expect(await refusal(client.create('f', none))).toBe('403/3');
  });
});

describe('folders', () => {
  it('are made by name or by path, and renamed where only the case differs', async () => {
    const made = await client.create('Folder');
    expect(made.status).toBe(201);
    const { uuid } = (await made.json()) as NodeJson;
    const conflict = await client.create('Folder');
    expect(conflict.status).toBe(409);
    expect(await conflict.json()).toMatchObject({
      error: { code: 92, message: "'Folder' already exists in this location.", context: { conflict: { uuid } } },
    });
    expect(await client.folder('FOLDER')).toMatchObject({ uuid, name: 'FOLDER' });
    const byPath = (path: string) => client.json('POST', '/sync_and_share_nodes', { sync_and_share_node: { path } });
    expect(await (await byPath('FOLDER/Sub')).json()).toMatchObject({ path: 'FOLDER/Sub', parent_uuid: uuid });
    expect(await refusal(byPath('None/Sub'))).toBe('404/10');
    await client.file('File', '');
    expect(await refusal(client.create('file'))).toBe('409/92');
  });

  it('refuse what is malformed', async () => {
    const make = (body: unknown) => client.json('POST', '/sync_and_share_nodes', body);
    for (const answer of [
      client.create(''),
      client.create('a/b'),
      client.create('..'),
      client.create('x'.repeat(256)),
      make({}),
      make({ name: 'a', parent_uuid: '0' }),
      make({ sync_and_share_node: { name: 'a' } }),
      make({ sync_and_share_node: { name: 'a', path: 'b', parent_uuid: '0' } }),
      make({ sync_and_share_node: { name: 1, parent_uuid: '0' } }),
      client.send('POST', '/sync_and_share_nodes', { body: '{}', headers: { 'content-type': 'text/plain' } }),
    ])
      expect(await refusal(answer)).toBe('400/15');
  });
});

describe('rename, move and copy', () => {
  it('keep the node, or make another', async () => {
    const a = await client.folder('a');
    const b = await client.folder('b');
    const file = await client.file('f', 'x', a.uuid);
    expect((await client.rename(file.uuid, 'g')).status).toBe(204);
    expect((await client.move(file.uuid, b.uuid)).status).toBe(204);
    expect(sandbox.store.stat('/b/g')?.id).toBe(file.uuid);
    const copied = await client.copy(b.uuid, a.uuid);
    expect([copied.status, await copied.text()]).toEqual([200, '']);
    expect(sandbox.store.tree().map(({ path }) => path)).toEqual(['/a', '/a/b', '/a/b/g', '/b', '/b/g']);
    expect(sandbox.store.stat('/a/b/g')?.id).not.toBe(file.uuid);
    expect((await client.rename(a.uuid, 'A')).status).toBe(204);
    expect((await client.move(b.uuid, '0')).status).toBe(204);
  });

  it('refuse conflicts, loops, the root and what is missing', async () => {
    const a = await client.folder('a');
    const inner = await client.folder('inner', a.uuid);
    const file = await client.file('A.txt', 'x');
    const other = await client.file('a.TXT', 'y', a.uuid);
    expect(await refusal(client.rename(other.uuid, ''))).toBe('400/15');
    expect(await refusal(client.move(other.uuid, '0'))).toBe('409/92');
    expect(await refusal(client.copy(other.uuid, '0'))).toBe('409/92');
    expect(await refusal(client.rename(file.uuid, 'a'))).toBe('409/92');
    expect(await refusal(client.move(a.uuid, inner.uuid))).toBe('400/15');
    expect(await refusal(client.copy(a.uuid, inner.uuid))).toBe('400/15');
    expect(await refusal(client.move(a.uuid, file.uuid))).toBe('400/15');
    expect(await refusal(client.move(a.uuid, none))).toBe('403/3');
    expect(await refusal(client.move('0', a.uuid))).toBe('403/3');
    expect(await refusal(client.rename('0', 'x'))).toBe('403/3');
    expect(
      await refusal(client.json('POST', `/sync_and_share_nodes/${file.uuid}/move`, { parent_uuid: '0', name: 'x' })),
    ).toBe('400/15');
    sandbox.readings.nameCase = 'sensitive';
    expect((await client.move(other.uuid, '0')).status).toBe(204);
  });
});

describe('permissions', () => {
  it('are shown and held, for what is inside too', async () => {
    const folder = await client.folder('shared');
    const file = await client.file('f', 'x', folder.uuid);
    sandbox.store.setNode('/shared', { readOnly: true });
    const shown = ((await (await client.contents()).json()) as NodeJson[])[0];
    expect(shown).toMatchObject({
      read_only: true,
      permissions: { can_create_files_into: false, can_be_renamed: false },
    });
    for (const answer of [
      client.post(folder.uuid, { filename: 'n', size: '0' }, ''),
      client.create('n', folder.uuid),
      client.rename(file.uuid, 'n'),
      client.move(file.uuid, '0'),
      client.send('DELETE', `/sync_and_share_nodes/${file.uuid}`),
    ])
      expect(await refusal(answer)).toBe('403/3');
    expect((await client.copy(file.uuid, '0')).status).toBe(200);
    sandbox.store.setNode('/shared/f', { permissions: { can_be_downloaded: false } });
    expect(await refusal(client.send('GET', file.actions.download ?? ''))).toBe('403/3');
  });
});

describe('deletion', () => {
  const gone = async (answer: Promise<Response>) => (await answer).status;

  it('is DELETE on the node, an action of it, or nothing', async () => {
    const folder = await client.folder('d');
    await client.file('f', 'x', folder.uuid);
    const path = `/sync_and_share_nodes/${folder.uuid}`;
    sandbox.readings.deletion = 'none';
    expect(await gone(client.send('DELETE', path))).toBe(405);
    expect(folder.actions).not.toHaveProperty('remove');
    sandbox.readings.deletion = 'action';
    const actions = ((await (await client.contents()).json()) as NodeJson[])[0]?.actions ?? {};
    expect(await gone(client.send('DELETE', path))).toBe(405);
    expect(await gone(client.send('POST', actions.remove ?? ''))).toBe(405);
    expect(await gone(client.send('DELETE', actions.remove ?? ''))).toBe(204);
    expect(sandbox.store.tree()).toEqual([]);
    expect(sandbox.store.nodes.usedBytes).toBe(0);
    expect(sandbox.store.trash().map(({ path }) => path)).toEqual(['/d']);
    expect(await refusal(client.contents(folder.uuid))).toBe('403/3');
    const file = await client.file('f', 'x');
    sandbox.readings.deletion = 'node';
    expect(await gone(client.send('DELETE', `/sync_and_share_nodes/${file.uuid}`))).toBe(204);
    expect(await refusal(client.send('DELETE', '/sync_and_share_nodes/0'))).toBe('403/3');
  });

  it('may leave the node in the list', async () => {
    sandbox.readings.deletedListed = true;
    const file = await client.file('f', 'x');
    await client.send('DELETE', `/sync_and_share_nodes/${file.uuid}`);
    const again = await client.file('f', 'y');
    const listed = (await (await client.contents()).json()) as NodeJson[];
    expect(listed.map(({ uuid, is_deleted }) => [uuid, is_deleted])).toEqual([
      [again.uuid, false],
      [file.uuid, true],
    ]);
  });
});

describe('a directory', () => {
  it('keeps nodes, tokens and credentials over a restart', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
    try {
      const first = await startSandbox({ provider: 'acronis', dir });
      client = new Client(first);
      const folder = await client.folder('a');
      await client.file('f', 'content', folder.uuid);
      const { token } = client;
      await first.close();
      const second = await startSandbox({ provider: 'acronis', dir });
      expect(second.credentials).toEqual(first.credentials);
      client = new Client(second);
      client.token = token;
      expect(await client.names(folder.uuid)).toEqual(['f']);
      expect((await second.store.readFile('/a/f')).toString()).toBe('content');
      await second.close();
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
