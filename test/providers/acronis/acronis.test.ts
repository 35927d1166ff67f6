import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.js';
import { beginAuthorization, finishAuthorization, passwordLogin } from '../../../src/providers/acronis/login.js';
import type { RemoteEntry, RemoteFile, RemoteFolder } from '../../../src/providers/provider.js';
import { collect, source } from '../fourshared/mini-account.js';
import { type AcronisReadings, login, type MiniAcronis, miniAcronis, root } from './mini-acronis.js';

const entry = async (mini: MiniAcronis, name: string, folder = root): Promise<RemoteEntry> =>
  (await mini.provider.list(folder)).find((candidate) => candidate.name === name) as RemoteEntry;
const tree = (mini: MiniAcronis): string[] =>
  [...mini.nodes.values()].map((node) => `${mini.nodes.get(node.parent)?.name ?? ''}/${node.name}`).sort();

const contents = (mini: MiniAcronis): string[] =>
  [...mini.nodes.values()]
    .map((node) => `${mini.nodes.get(node.parent)?.name ?? ''}/${node.name} ${node.data}`.trim())
    .sort();

/** A promise that the test resolves. */
function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give!: () => void;
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}

describe('Acronis lists', () => {
  test.each([
    [{}, 1],
    [{ page: 100 }, 3],
    [{ page: 125 }, 3],
    [{ page: 100, refusesPerPage: true }, 6],
  ] as [AcronisReadings, number][])('lists have every page under %o', async (readings, requests) => {
    const mini = await miniAcronis(readings);
    for (let i = 0; i < 250; i++) mini.add('0', `${i}`, `${i}`);
    expect(await mini.provider.list(root)).toHaveLength(250);
    // The first request logs in.
    expect(mini.server.seen).toHaveLength(requests + 1);
    const asked = mini.server.seen.length;
    await mini.provider.list(root);
    expect(mini.server.seen.length - asked).toBeLessThanOrEqual(3);
  });

  test('a folder that refuses every page size does not change the page size of others', async () => {
    const mini = await miniAcronis();
    const odd = mini.add('0', 'odd');
    const folder = (await entry(mini, 'odd')) as typeof root;
    const invalid = { error: { domain: 'Files', code: 15, message: 'Object Invalid' } };
    mini.before = ({ path }) => (path.includes(odd.uuid) ? { status: 400, value: invalid } : undefined);
    // The request contains no name that could be wrong.
    await expect(mini.provider.list(folder)).rejects.toMatchObject({ code: 'protocol' });
    await mini.provider.list(root);
    expect(mini.server.seen.at(-1)?.query.get('per_page')).toBe('1000');
  });

  test('the account, its quota, and who may write', async () => {
    const mini = await miniAcronis();
    mini.add('0', 'd').readOnly = true;
    mini.add('0', 'e');
    const account = await mini.provider.account();
    expect(account).toMatchObject({ label: login.username, quota: { total: 500, free: 400 }, root: { id: '0' } });
    const folder = await entry(mini, 'd');
    expect(folder).toMatchObject({ kind: 'folder', access: 'read' });
    const asked = mini.server.seen.length;
    const upload = mini.provider.upload({ parentId: folder.id, name: 'x' }, source(Buffer.from('x')));
    await expect(upload).rejects.toMatchObject({ code: 'permission' });
    expect(mini.server.seen).toHaveLength(asked);
  });

  test.each([403, 404] as const)('missing nodes answer %i', async (missing) => {
    const mini = await miniAcronis({ missing });
    const node = mini.add('0', 'd');
    const file = mini.add('0', 'f', 'content');
    const folder = await entry(mini, 'd');
    const remote = (await entry(mini, 'f')) as RemoteFile;
    mini.nodes.delete(node.uuid);
    mini.nodes.delete(file.uuid);
    await expect(mini.provider.list(folder as typeof root)).rejects.toMatchObject({ code: 'not-found' });
    await expect(mini.provider.read(remote, { offset: 0, length: 7 })).rejects.toMatchObject({ code: 'not-found' });
    await expect(mini.provider.stat(remote)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a node is found after a restart, without its folder', async () => {
    const mini = await miniAcronis();
    const deep = mini.add(mini.add('0', 'd').uuid, 'f', 'x');
    expect(await mini.provider.stat({ kind: 'file', id: deep.uuid })).toMatchObject({ name: 'f' });
  });
});

describe('Acronis contents', () => {
  test.each([0, 1, 300_000])(
    '%i bytes are sent with chunked encoding and their md5, and make revisions',
    async (size) => {
      const mini = await miniAcronis();
      const data = Buffer.alloc(size, 'ab');
      const first = await mini.provider.upload({ parentId: '0', name: 'f' }, source(data));
      expect(first).toMatchObject({ size, name: 'f', parentId: '0' });
      await expect(mini.provider.upload({ parentId: '0', name: 'F' }, source(data))).rejects.toMatchObject({
        code: 'exists',
      });
      const asked = mini.server.seen.length;
      const second = await mini.provider.upload(
        { parentId: '0', name: 'f', replaces: first },
        source(Buffer.from('new')),
      );
      expect(second.id).toBe(first.id);
      expect(mini.server.seen).toHaveLength(asked + 1);
      expect(tree(mini)).toEqual(['/f']);
    },
  );

  test('a lost answer is looked up, not sent again', async () => {
    const mini = await miniAcronis();
    let lost = 0;
    mini.lose = (request) => request.path.endsWith('/upload') && lost++ < 1;
    await mini.provider.upload({ parentId: '0', name: 'f' }, source(Buffer.from('content')));
    expect(mini.lines().filter((line) => line.includes('upload'))).toHaveLength(1);
  });

  test.each([{}, { ranges: false }, { downloads: 'elsewhere' }] as AcronisReadings[])(
    'reads under %o',
    async (readings) => {
      const mini = await miniAcronis(readings);
      mini.add('0', 'f', '0123456789');
      const file = (await entry(mini, 'f')) as RemoteFile;
      const { offset, body } = await mini.provider.read(file, { offset: 3, length: 4 });
      const isWhole = readings.ranges === false || readings.downloads === 'elsewhere';
      expect([offset, (await collect(body)).toString()]).toEqual(isWhole ? [0, '0123456789'] : [3, '3456']);
      expect(mini.elsewhere?.seen[0]?.headers.authorization).toBeUndefined();
    },
  );
});

describe('Acronis names', () => {
  test('a name that another client has taken away is free, also where only its new place was listed', async () => {
    const mini = await miniAcronis();
    const [from, to] = [mini.add('0', 'from'), mini.add('0', 'to')];
    const moved = mini.add(from.uuid, 'name', 'x');
    const other = mini.add('0', 'other', 'y');
    const file = (await entry(mini, 'other')) as RemoteFile;
    const folder = (uuid: string): RemoteFolder => ({ ...root, id: uuid, parentId: '0' });
    await mini.provider.list(folder(from.uuid));
    moved.parent = to.uuid;
    await mini.provider.list(folder(to.uuid));
    expect(await mini.provider.createFolder(from.uuid, 'name')).toMatchObject({ name: 'name', parentId: from.uuid });
    await expect(mini.provider.move(file, { parentId: to.uuid, name: 'name' })).rejects.toMatchObject({
      code: 'exists',
    });
    mini.nodes.delete(moved.uuid);
    expect(await mini.provider.move(file, { parentId: to.uuid, name: 'name' })).toMatchObject({ id: other.uuid });
  });

  test('creating a folder never renames one that differs in letter case', async () => {
    const mini = await miniAcronis();
    mini.add('0', 'Folder');
    await expect(mini.provider.createFolder('0', 'folder')).rejects.toMatchObject({ code: 'exists' });
    // A folder that another client has made after our lookup.
    mini.add('0', 'Other');
    const later = [...mini.nodes.values()].at(-1);
    await mini.provider.list(root);
    if (later !== undefined) later.name = 'Later';
    await mini.provider.createFolder('0', 'fresh');
    expect(tree(mini)).toEqual(['/Folder', '/Later', '/fresh']);
  });

  test.each([
    ['free', [], ['/d', 'd/new']],
    ['the new name taken here', ['/new'], ['/d', '/new', 'd/new']],
    ['both names taken', ['/new', 'd/old'], ['/d', '/new', 'd/new', 'd/old']],
  ] as [string, string[], string[]][])('move with rename: %s', async (_, others, after) => {
    const mini = await miniAcronis();
    const folder = mini.add('0', 'd');
    mini.add('0', 'old', 'content');
    for (const other of others) mini.add(other.startsWith('d') ? folder.uuid : '0', other.split('/')[1] ?? '', 'other');
    const file = await entry(mini, 'old');
    const moved = await mini.provider.move(file, { parentId: folder.uuid, name: 'new' });
    expect(moved).toMatchObject({ id: file.id, parentId: folder.uuid, name: 'new' });
    expect(tree(mini)).toEqual(after);
    await expect(mini.provider.stat(moved)).resolves.toMatchObject({ name: 'new' });
  });

  test('an undocumented success answer is checked by a lookup', async () => {
    const mini = await miniAcronis();
    const { uuid } = mini.add('0', 'a', 'x');
    const file = await entry(mini, 'a');
    let lies = 1;
    mini.before = ({ method }) => (method === 'PUT' && lies-- > 0 ? { status: 200 } : undefined);
    await mini.provider.move(file, { parentId: '0', name: 'b' });
    expect(mini.nodes.get(uuid)?.name).toBe('b');
    lies = 99;
    const moved = await entry(mini, 'b');
    await expect(mini.provider.move(moved, { parentId: '0', name: 'c' })).rejects.toMatchObject({ code: 'protocol' });
    expect(mini.nodes.get(uuid)?.name).toBe('b');
  });

  test('move with rename, while another file is uploaded under its intermediate name', async () => {
    const mini = await miniAcronis();
    const folder = mini.add('0', 'd');
    mini.add('0', 'old', 'content');
    const file = await entry(mini, 'old');
    let upload: Promise<unknown> | undefined;
    mini.before = (request) => {
      if (request.path.endsWith('/move')) {
        expect(tree(mini)).toContain('/new');
        upload ??= mini.provider.upload({ parentId: '0', name: 'new' }, source(Buffer.from('another')));
      }
      return undefined;
    };
    await mini.provider.move(file, { parentId: folder.uuid, name: 'new' });
    await upload;
    expect(contents(mini)).toEqual(['/d', '/new another', 'd/new content']);
  });

  test('move with rename, while an upload under way would take its intermediate name', async () => {
    const mini = await miniAcronis();
    const folder = mini.add('0', 'd');
    mini.add('0', 'old', 'content');
    const file = await entry(mini, 'old');
    const begun = signal();
    const moved = signal();
    const content = source(Buffer.from('another'));
    const slow = {
      ...content,
      async *read(offset: number, length: number) {
        begun.give();
        await moved.given;
        yield* content.read(offset, length);
      },
    };
    const upload = mini.provider.upload({ parentId: '0', name: 'new' }, slow);
    await begun.given;
    let between: string[] = [];
    mini.before = (request) => {
      if (request.path.endsWith('/move')) between = tree(mini);
      return undefined;
    };
    await mini.provider.move(file, { parentId: folder.uuid, name: 'new' });
    moved.give();
    await upload;
    expect(between).toEqual(['/d', '/old']);
    expect(contents(mini)).toEqual(['/d', '/new another', 'd/new content']);
  });

  test('a move that fails halfway is undone', async () => {
    const mini = await miniAcronis();
    const folder = mini.add('0', 'd');
    mini.add('0', 'old', 'content');
    const file = await entry(mini, 'old');
    mini.before = (request) => (request.path.endsWith('/move') ? { status: 403 } : undefined);
    const moved = mini.provider.move(file, { parentId: folder.uuid, name: 'new' });
    await expect(moved).rejects.toMatchObject({ code: 'permission' });
    expect(tree(mini)).toEqual(['/d', '/old']);
  });

  test('a copy is found, and gets its name', async () => {
    const mini = await miniAcronis();
    const folder = mini.add('0', 'd');
    mini.add('0', 'f', 'content');
    const file = (await entry(mini, 'f')) as RemoteFile;
    const copy = await mini.provider.copy(file, { parentId: folder.uuid, name: 'g' });
    expect(copy).toMatchObject({ name: 'g', md5: file.md5 });
    expect(tree(mini)).toEqual(['/d', '/f', 'd/g']);
    const within = mini.provider.copy(file, { parentId: '0', name: 'h' });
    await expect(within).rejects.toMatchObject({ code: 'unsupported' });
  });

  test.each(['delete', 'action', 'pretends', 'no'] as const)(
    'delete, on a server with deletion: %s',
    async (deletes) => {
      const mini = await miniAcronis({ deletes });
      for (const name of ['a', 'b']) mini.add('0', name, name);
      const [a, b] = (await mini.provider.list(root)) as [RemoteFile, RemoteFile];
      const can = deletes === 'delete' || deletes === 'action';
      for (const file of [a, b]) {
        const removed = mini.provider.remove(file);
        if (can) await removed;
        else await expect(removed).rejects.toMatchObject({ code: 'unsupported', message: /no way to delete/ });
      }
      expect(mini.nodes.size).toBe(can ? 0 : 2);
      expect(mini.provider.capabilities.permanentDelete).toBe(can);
      if (!can) expect(mini.lines().filter((line) => line.startsWith('DELETE'))).toHaveLength(1);
      await expect(mini.provider.remove(a)).rejects.toMatchObject({ code: can ? 'not-found' : 'unsupported' });
    },
  );

  test.each(['f', 'f (open file kept by syncmount 0123456789ab)'])(
    'removed without a deletion, %s has no other name in its folder at any moment',
    async (name) => {
      const mini = await miniAcronis({ deletes: 'no' }, { disposal: 'trash' });
      const inRoot = (): string[] => tree(mini).filter((path) => path.startsWith('/') && !path.startsWith('/Removed'));
      for (const content of ['older', 'newer']) {
        mini.add('0', content === 'older' ? 'f' : name, content);
        const [file] = (await mini.provider.list(root)).filter(({ kind }) => kind === 'file') as [RemoteFile];
        // The first removal tells that there is no deletion.
        await expect(mini.provider.remove(file)).rejects.toMatchObject({ code: 'unsupported' });
        const names = new Set<string>();
        mini.before = () => {
          for (const path of inRoot()) names.add(path);
          return undefined;
        };
        await mini.provider.trash(file);
        expect([...names]).toEqual([`/${file.name}`]);
        expect(inRoot()).toEqual([]);
      }
      const removed = tree(mini).filter((path) => path.startsWith('Removed files'));
      expect(removed.sort()).toEqual([
        expect.stringMatching(/\/f$/),
        expect.stringMatching(/\/f \(removed [0-9a-f]{8}\)$/),
      ]);
      const newest = [...mini.nodes.values()].find((node) => node.name === 'f');
      expect(String(newest?.data)).toBe('newer');
    },
  );
});

describe('Acronis logins', () => {
  test('concurrent requests share one login, and one more after the token was revoked', async () => {
    const mini = await miniAcronis();
    await Promise.all([1, 2, 3, 4].map(() => mini.provider.list(root)));
    expect(mini.issued).toHaveLength(1);
    mini.tokens.clear();
    await Promise.all([1, 2, 3, 4].map(() => mini.provider.list(root)));
    expect(mini.issued).toHaveLength(2);
  });

  test.each(['none', 'fixed', 'rotating'] as const)(
    'tokens are renewed before they expire; refresh tokens: %s',
    async (kind) => {
      let offset = 0;
      const clock = { ...systemClock, now: () => Date.now() + offset, monotonic: undefined };
      const mini = await miniAcronis({ refreshTokens: kind, expiresIn: 3600 }, { clock });
      for (let round = 1; round <= 3; round++) {
        await mini.provider.list(root);
        expect(mini.issued).toHaveLength(round);
        offset += 3_590_000;
      }
      expect(mini.server.seen.filter((request) => request.headers.authorization === undefined)).toHaveLength(3);
      expect(mini.issued.at(-1)).toMatchObject({ ...login, accessToken: [...mini.tokens][0] });
      expect(mini.issued.at(-1)?.refreshToken).toBe(kind === 'none' ? undefined : mini.refreshToken);
      const grants = mini.server.seen.map((request) => request.form.get('grant_type')).filter((type) => type !== null);
      expect(grants).toEqual(
        kind === 'none' ? ['password', 'password', 'password'] : ['password', 'refresh_token', 'refresh_token'],
      );
    },
  );

  test('after a refused refresh token we use the password; without one the login is over after one request', async () => {
    const dead = { accessToken: 'old-access-token', refreshToken: 'dead-refresh' };
    const mini = await miniAcronis({}, { credentials: { ...login, ...dead } });
    await mini.provider.list(root);
    const lost = await miniAcronis({}, { credentials: { clientId: 'app-client', ...dead } });
    for (let i = 0; i < 3; i++) await expect(lost.provider.list(root)).rejects.toMatchObject({ code: 'auth' });
    expect(lost.lines().filter((line) => line.includes('token'))).toHaveLength(1);
    const stale = await miniAcronis({}, { credentials: { accessToken: 'old-access-token' } });
    await expect(stale.provider.list(root)).rejects.toMatchObject({ code: 'auth' });
  });

  test('no message contains a secret', async () => {
    const mini = await miniAcronis({}, { credentials: { ...login, password: 'wrong-password' } });
    mini.before = (request) =>
      request.path.endsWith('/token')
        ? { status: 400, value: { error: 'invalid_grant', error_description: `${request.form.get('password')} no` } }
        : undefined;
    const error: unknown = await mini.provider.account().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'auth', message: expect.not.stringContaining('wrong-password') });
  });

  test.each(['header', 'form'] as const)('by password and by browser, with the client in the %s', async (clientIn) => {
    const mini = await miniAcronis({ clientIn, refreshTokens: 'rotating' });
    const endpoints = { token: `${mini.server.origin}/api/2/idp/token`, authorize: 'https://x.example/authorize' };
    const client = { clientId: 'app', clientSecret: 'app-secret' };
    const byPassword = await passwordLogin({ endpoints, ...client, ...login });
    expect(byPassword).toMatchObject({ ...login, ...client, refreshToken: mini.refreshToken });
    const redirectUri = 'http://127.0.0.1:8123/callback';
    const begun = beginAuthorization({ endpoints, clientId: 'app', redirectUri });
    const url = new URL(begun.authorizeUrl);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      response_type: 'code',
      client_id: 'app',
      redirect_uri: redirectUri,
      state: begun.state,
    });
    const finish = (answer: { code?: string; state?: string; error?: string }): Promise<object> =>
      finishAuthorization({ endpoints, ...client, redirectUri, begun, answer });
    expect(await finish({ code: 'the-code', state: begun.state })).toMatchObject({
      ...client,
      refreshToken: mini.refreshToken,
    });
    await expect(finish({ code: 'the-code', state: 'forged' })).rejects.toMatchObject({ code: 'auth' });
    await expect(finish({ error: 'access_denied', state: begun.state })).rejects.toMatchObject({ code: 'auth' });
    await expect(finish({ code: 'another', state: begun.state })).rejects.toMatchObject({ code: 'auth' });
  });
});
