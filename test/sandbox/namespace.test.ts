import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/index.js';
import { Client, code, type FileJson } from './client.js';

let sandbox: Sandbox;
let client: Client;
beforeEach(async () => {
  sandbox = await startSandbox({ provider: '4sync' });
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

const list = async (path: string, query: Record<string, string> = {}) =>
  client.json<{ files: FileJson[]; folders: FileJson[] }>(await client.api('GET', path, { query }));

describe('folders', () => {
  it('answers a FolderResponse with every documented field', async () => {
    const folder = await client.folder('Playlists');
    expect(Object.keys(folder).sort().join(' ')).toBe(
      'access description folderLink hasMembers id modified name numChildren numFiles ownerId parentId ' +
        'passwordProtected path permissions status userPermissions',
    );
    expect(folder).toMatchObject({
      path: '/My 4Sync/Playlists',
      parentId: client.root,
      description: '',
      status: 'normal',
    });
    const root = await client.json(await client.api('GET', `/folder/${client.root}`));
    expect(root).toMatchObject({ parentId: null, numChildren: 1, numFiles: 0 });
  });

  it('pages listings within the documented bounds', async () => {
    await sandbox.store.populate({ folders: 1, filesEach: 105, size: 3 });
    const id = sandbox.store.stat('/folder-0000')?.id;
    const first = await list(`/folders/${id}/files`);
    const second = await list(`/folder/${id}/files`, { offset: '100', limit: '50' });
    expect([first.files.length, second.files.length]).toEqual([100, 5]);
    expect(new Set([...first.files, ...second.files].map((file) => file.id)).size).toBe(105);
    const bad = (query: Record<string, string>) => code(client.api('GET', `/folders/${id}/files`, { query }));
    expect(await bad({ limit: '101' })).toBe('400.0218');
    expect(await bad({ limit: '0' })).toBe('400.0219');
    expect(await bad({ offset: '-1' })).toBe('400.0219');
    expect(await bad({ limit: 'all' })).toBe('400.0500');
    expect((await list(`/folder/${client.root}/children`)).folders.length).toBe(1);
    sandbox.readings.childrenShape = 'array';
    expect(await list(`/folder/${client.root}/children`)).toHaveLength(1);
  });

  it('refuses bad names, conflicts and the root', async () => {
    const folder = await client.folder('a');
    const create = (form: Record<string, string>) => code(client.api('POST', '/folders', { form }));
    expect(await create({ parentId: client.root, name: 'a' })).toBe('403.0201');
    expect(await create({ parentId: client.root, name: '' })).toBe('400.0215');
    expect(await create({ parentId: client.root })).toBe('400.0212');
    expect(await create({ parentId: client.root, name: 'x'.repeat(256) })).toBe('400.0213');
    expect(await create({ parentId: 'nowhere', name: 'x' })).toBe('404');
    const json = { parentId: client.root, name: 'x' };
    expect(await code(client.api('POST', '/folders', { json }))).toBe('415.0210');
    const rename = (id: string, form: Record<string, string>) => code(client.api('PUT', `/folders/${id}`, { form }));
    expect(await rename(client.root, { name: 'x' })).toBe('403.0200');
    expect(await rename(folder.id, { access: 'secret' })).toBe('400.0216');
    expect(await code(client.api('DELETE', `/folders/${client.root}`))).toBe('403.0200');
    expect(await code(client.api('POST', `/folders/${client.root}/trash`))).toBe('403.0200');
  });

  it('moves, copies and renames, but never into itself', async () => {
    const a = await client.folder('a');
    const b = await client.folder('b', a.id);
    await client.file('f.txt', 'content', b.id);
    const into = (id: string, folderId: string, name?: string) =>
      client.api('POST', `/folders/${id}/move`, { form: { folderId, ...(name ? { name } : {}) } });
    expect(await code(into(a.id, b.id))).toBe('400');
    expect(await code(client.api('POST', `/folders/${a.id}/copy`, { form: { folderId: b.id } }))).toBe('400');
    const copy = await client.api('POST', `/folders/${a.id}/copy`, { form: { folderId: client.root, name: 'c' } });
    expect(await client.json(copy)).toMatchObject({ name: 'c', numChildren: 1 });
    expect(await client.json(await into(b.id, client.root, 'd'))).toMatchObject({ id: b.id, path: '/My 4Sync/d' });
    await client.json(await client.api('PUT', `/folders/${a.id}`, { form: { name: 'e' } }));
    expect([...sandbox.store.md5s().keys()]).toEqual(['/c/b/f.txt', '/d/f.txt']);
    sandbox.readings.moveKeepsId = false;
    const moved = await client.json(await into(b.id, a.id));
    expect(moved.id).not.toBe(b.id);
    expect(await code(client.api('GET', `/folder/${b.id}`))).toBe('404');
    expect([...sandbox.store.md5s().keys()]).toEqual(['/c/b/f.txt', '/e/d/f.txt']);
    expect((await sandbox.store.readFile('/e/d/f.txt')).toString()).toBe('content');
  });

  it('protects with passwords and read-only permissions', async () => {
    const folder = await client.folder('shared');
    const file = await client.file('f.txt', 'x', folder.id);
    sandbox.store.setFolder('/shared', { userPermissions: 'read' });
    expect(await code(client.post('g.txt', 'x', folder.id))).toBe('403.0302');
    expect(await code(client.api('DELETE', `/files/${file.id}`))).toBe('403.0302');
    expect(await code(client.api('PUT', `/folders/${folder.id}`, { form: { access: 'public' } }))).toBe('403.0306');
    sandbox.store.setFolder('/shared', { locked: true });
    expect(await code(client.api('GET', `/folder/${folder.id}/files`))).toBe('403.0303');
    expect(await code(client.api('GET', `/files/${file.id}`))).toBe('403.0303');
    expect(await client.json(await client.api('GET', `/folder/${folder.id}`))).toMatchObject({
      passwordProtected: true,
    });
  });
});

describe('trash', () => {
  it('holds things until they are restored or deleted', async () => {
    const folder = await client.folder('a');
    const file = await client.file('f.txt', 'x', folder.id);
    const trashed = await client.json(await client.api('POST', `/files/${file.id}/trash`));
    expect(trashed).toMatchObject({ id: file.id, status: 'trashed' });
    expect(await code(client.api('POST', `/files/${file.id}/trash`))).toBe('403.0223');
    expect(await code(client.api('GET', `/files/${file.id}/download`))).toBe('403.0223');
    expect((await list('/user/trash')).files.map(({ id }) => id)).toEqual([file.id]);
    await client.file('f.txt', 'y', folder.id);
    expect(await code(client.api('POST', `/files/${file.id}/untrash`))).toBe('403.0201');
    const restored = await client.api('POST', `/files/${file.id}/untrash`, { form: { name: 'g.txt' } });
    expect(await client.json(restored)).toMatchObject({ id: file.id, status: 'normal', path: '/My 4Sync/a/g.txt' });
    expect(await code(client.api('POST', `/files/${file.id}/untrash`))).toBe('403.0224');
  });

  it('makes a missing parent anew, and trashes what is inside', async () => {
    const folder = await client.folder('a');
    const inner = await client.folder('b', folder.id);
    const file = await client.file('f.txt', 'x', inner.id);
    await client.json(await client.api('POST', `/folders/${folder.id}/trash`));
    expect(await code(client.api('GET', `/folder/${inner.id}/files`))).toBe('403.0223');
    expect((await client.json(await client.api('GET', `/files/${file.id}`))).status).toBe('trashed');
    expect((await list('/user/files')).files).toEqual([]);
    await client.json(await client.api('POST', `/folders/${folder.id}/untrash`));
    await client.json(await client.api('POST', `/files/${file.id}/trash`));
    expect((await client.api('DELETE', `/folders/${folder.id}`)).status).toBe(204);
    await client.json(await client.api('POST', `/files/${file.id}/untrash`));
    expect([...sandbox.store.md5s().keys()]).toEqual(['/a/b/f.txt']);
  });

  it('is where DELETE puts things under that reading', async () => {
    const file = await client.file('f.txt', 'x');
    sandbox.readings.deleteGoesTo = 'trash';
    expect((await client.api('DELETE', `/files/${file.id}`)).status).toBe(204);
    expect(sandbox.store.trash()).toHaveLength(1);
    expect((await client.api('DELETE', `/files/${file.id}`)).status).toBe(204);
    expect(await code(client.api('GET', `/files/${file.id}`))).toBe('404');
  });
});

describe('the rest of the protocol', () => {
  it('describes the user', async () => {
    const user = await client.json<Record<string, unknown>>(await client.api('GET', '/user.json'));
    expect(user).toMatchObject({ status: null, rootFolderId: client.root, freeSpace: user.totalSpace });
    expect(user).not.toHaveProperty('allowSearch');
    await client.file('f.txt', '12345');
    const later = await client.json<Record<string, number>>(await client.api('GET', '/user'));
    expect(later.freeSpace).toBe(Number(user.totalSpace) - 5);
  });

  it('orders /user/files by upload, filters, and adds fields on request', async () => {
    const a = await client.file('a.txt', 'x');
    const b = await client.file('b.mp3', 'x');
    await client.json(await client.api('PUT', `/files/${a.id}`, { json: { tags: 'one,two', description: 'd' } }));
    const names = async (query: Record<string, string>) =>
      (await list('/user/files', query)).files.map((file) => file.name);
    expect(await names({})).toEqual(['b.mp3', 'a.txt']);
    expect(await names({ limit: '1', offset: '1' })).toEqual(['a.txt']);
    sandbox.readings.userFilesOrder = 'oldest-first';
    expect(await names({})).toEqual(['a.txt', 'b.mp3']);
    expect(await names({ category: '1' })).toEqual(['b.mp3']);
    expect(await names({ query: 'A.' })).toEqual(['a.txt']);
    expect(await client.json(await client.api('GET', `/files/${a.id}`))).toMatchObject({
      description: null,
      tags: null,
    });
    const query = { addFields: 'description,tags' };
    const added = await client.json(await client.api('GET', `/files/${a.id}`, { query }));
    expect(added).toMatchObject({ description: 'd', tags: ['one', 'two'] });
    expect((await client.api('GET', `/files/${b.id}/thumbnails/XS`)).status).toBe(403);
  });

  it('answers 404, 405 and 406', async () => {
    expect(await code(client.api('GET', '/nothing'))).toBe('404');
    const refused = await client.api('PATCH', '/user');
    expect(refused.headers.get('allow')).toBe('GET, PUT');
    expect(await code(refused)).toBe('405.0211');
    expect(await code(client.api('GET', '/user.xml'))).toBe('406.0209');
    expect(await code(client.api('GET', '/user', { headers: { accept: 'application/xml' } }))).toBe('406.0209');
  });

  it('limits rates with and without Retry-After', async () => {
    sandbox.settings.rateLimit = { requests: 2, seconds: 3600 };
    for (let i = 0; i < 2; i++) expect((await client.api('GET', '/user')).status).toBe(200);
    const refused = await client.api('GET', '/user');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await code(refused)).toBe('429.0107');
    sandbox.settings.rateLimit.retryAfter = false;
    expect((await client.api('GET', '/user')).headers.get('retry-after')).toBeNull();
  });

  it('renames files, and says so in `modified` only under that reading', async () => {
    const file = await client.file('a.txt', 'x');
    const rename = async (name: string) =>
      client.json(await client.api('PUT', `/files/${file.id}`, { form: { name } }));
    expect(await rename('b.txt')).toMatchObject({ id: file.id, name: 'b.txt', modified: file.modified });
    sandbox.store.setModified('/b.txt', 1_000_000);
    sandbox.readings.renameChangesModified = true;
    expect(Date.parse((await rename('c.txt')).modified)).toBeGreaterThan(1_000_000);
    await client.folder('d');
    expect(await code(client.api('PUT', `/files/${file.id}`, { form: { name: 'd' } }))).toBe('403.0201');
  });

  it('counts entries as the reading says', async () => {
    const folder = await client.folder('a');
    await client.file('f', 'x', folder.id);
    const count = async () => (await client.json(await client.api('GET', `/folder/${folder.id}`))).numFiles;
    expect(await count()).toBe(1);
    sandbox.readings.counts = 'lagging';
    expect(await count()).toBe(0);
  });
});
