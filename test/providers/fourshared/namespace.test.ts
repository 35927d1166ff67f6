import { describe, expect, test } from 'vitest';
import { json } from '../mini-server.js';
import { miniAccount } from './mini-account.js';

const data = Buffer.from('content');

describe('changes of the namespace', () => {
  test('are one request each', async () => {
    const account = await miniAccount();
    const { provider } = account;
    const folder = await provider.createFolder('root', 'new');
    const file = account.add('a', data);
    const renamed = await provider.move(file, { parentId: 'root', name: 'b ü+&%' });
    const moved = await provider.move(renamed, { parentId: folder.id, name: 'c' });
    expect(moved).toMatchObject({ id: file.id, parentId: folder.id, name: 'c' });
    const copy = await provider.copy(file, { parentId: 'root', name: 'copy' });
    const trashed = await provider.trash(moved);
    expect(trashed).toMatchObject({ id: file.id });
    await provider.untrash(moved);
    await provider.remove(copy);
    expect(account.server.lines()).toEqual([
      'POST /v1_2/folders',
      `PUT /v1_2/files/${file.id}`,
      `POST /v1_2/files/${file.id}/move`,
      `POST /v1_2/files/${file.id}/copy`,
      `POST /v1_2/files/${file.id}/trash`,
      `POST /v1_2/files/${file.id}/untrash`,
      `DELETE /v1_2/files/${copy.id}`,
    ]);
    expect(account.server.seen[1]?.form.get('name')).toBe('b ü+&%');
  });

  test('whose answers are all lost are looked up before they fail', async () => {
    const account = await miniAccount({ deadlineMs: 600 });
    account.lose = (request) => request.method === 'PUT';
    const file = account.add('a', data);
    const renamed = await account.provider.move(file, { parentId: 'root', name: 'b' });
    expect(renamed).toMatchObject({ id: file.id, name: 'b' });
  });

  test('whose answers are lost are looked up, and done only once', async () => {
    const account = await miniAccount();
    const { provider } = account;
    let losing = true;
    account.lose = (request) => {
      if (!losing || request.method === 'GET') return false;
      losing = false;
      return true;
    };
    const again = <T>(work: Promise<T>): Promise<T> =>
      work.finally(() => {
        losing = true;
      });
    const folder = await again(provider.createFolder('root', 'new'));
    expect(account.folders).toHaveLength(1);
    const file = account.add('a', data);
    const renamed = await again(provider.move(file, { parentId: 'root', name: 'b' }));
    const moved = await again(provider.move(renamed, { parentId: folder.id, name: 'c' }));
    expect(moved).toMatchObject({ parentId: folder.id, name: 'c' });
    const copy = await again(
      provider.copy({ ...file, ...moved, kind: 'file' } as typeof file, { parentId: 'root', name: 'copy' }),
    );
    expect(account.files).toHaveLength(2);
    await again(provider.trash(moved));
    await again(provider.untrash(moved));
    await again(provider.remove(copy));
    expect(account.files.map((f) => [f.name, f.status])).toEqual([['c', 'normal']]);
    const posts = account.server.lines().filter((line) => line.startsWith('POST'));
    expect(new Set(posts).size).toBe(posts.length);
  });

  test('a taken name is the error exists, and its object stays as it was', async () => {
    const account = await miniAccount();
    const [one] = [account.add('one', data), account.add('two', data)];
    await expect(account.provider.move(one, { parentId: 'root', name: 'two' })).rejects.toMatchObject({
      code: 'exists',
    });
    await account.provider.createFolder('root', 'dir');
    await expect(account.provider.createFolder('root', 'dir')).rejects.toMatchObject({ code: 'exists' });
    expect(account.file('one')).toBeDefined();
  });

  test('a rename follows a move that ignored the name; a move whose rename fails is undone', async () => {
    const account = await miniAccount();
    const folder = await account.provider.createFolder('root', 'dir');
    account.before = (request, response) => {
      const stored = account.files.find((f) => request.path.includes(`/${f.id}/move`));
      if (stored === undefined) return false;
      stored.parentId = request.form.get('folderId') ?? '';
      json(response, { id: stored.id, name: stored.name, parentId: stored.parentId, size: stored.data.length });
      return true;
    };
    const file = account.add('a', data);
    await expect(account.provider.move(file, { parentId: folder.id, name: 'b' })).resolves.toMatchObject({
      name: 'b',
      parentId: folder.id,
    });
    const second = account.add('c', data);
    await expect(account.provider.move(second, { parentId: folder.id, name: 'b' })).rejects.toMatchObject({
      code: 'exists',
    });
    expect(account.file('c')?.parentId).toBe('root');
  });

  test.each(['', 'x'.repeat(256), 'bad \ud800'])('the name %o is refused without a request', async (name) => {
    const account = await miniAccount();
    await expect(account.provider.createFolder('root', name)).rejects.toMatchObject({ code: 'invalid-name' });
    expect(account.server.seen).toHaveLength(0);
  });
});
