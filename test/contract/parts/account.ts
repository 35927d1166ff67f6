import { expect, test } from 'vitest';
import { ProviderError } from '../../../src/providers/errors.js';
import { type ContractSetup, expectActs, failure, type Rooms, testIf } from '../bench.js';

export function accountContract(rooms: Rooms, setup: ContractSetup): void {
  const { capabilities } = setup;

  test('account is one request that tells the root, and a person whom to expect', async () => {
    const room = rooms();
    const { provider, server, store } = room;
    const account = await provider.account();
    expect(account.root).toMatchObject({ kind: 'folder', id: store.rootId, parentId: null, access: 'write' });
    expect(account.userId).not.toBe('');
    expect(account.label).not.toBe('');
    expectActs(room, setup, 'account');
    expect(provider.metrics().total).toBe(server.requests().length);
    expect(provider.name).toBe(setup.provider);
    expect(provider.capabilities).toEqual(capabilities);
  });

  testIf(capabilities.quota, 'the provider has no quota')('quota follows what is stored', async () => {
    const { provider, store, path } = rooms();
    const before = (await provider.account()).quota;
    await store.putFile(`${path}/a`, Buffer.alloc(1000));
    const after = (await provider.account()).quota;
    expect(after?.total).toBe(before?.total);
    expect(after?.free).toBe((before?.free ?? 0) - 1000);
  });

  test('dead or wrong credentials are auth, once and for all', async () => {
    const { server } = rooms();
    for (const credentials of setup.badCredentials) {
      server.forget();
      const { error } = await failure(server.connect({ credentials }).account());
      expect(error).toBeInstanceOf(ProviderError);
      expect(error).toMatchObject({ code: 'auth' });
      expect(server.requests()).toHaveLength(1);
    }
  });

  test('a server that is not there is network within the deadline', async () => {
    const { server } = rooms();
    const nobody = Object.fromEntries(
      Object.entries(setup.paths).map(([key, path]) => [key, `http://127.0.0.1:9${path}`]),
    );
    const { error } = await failure(server.connect({ endpoints: nobody, deadlineMs: 3000 }).account());
    expect(error).toMatchObject({ code: 'network' });
  });

  test('requests are counted by their templates', async () => {
    const { provider, server, folder } = rooms();
    await provider.account();
    await provider.list(folder);
    const { total, byRoute } = provider.metrics();
    expect(total).toBe(server.requests().length);
    expect(Object.values(byRoute).reduce((sum, count) => sum + count, 0)).toBe(total);
    expect(Object.keys(byRoute).join()).not.toContain(folder.id);
  });

  test('after close every call is refused as aborted', async () => {
    const { provider, server, folder } = rooms();
    await provider.list(folder);
    await provider.close();
    server.forget();
    const { error } = await failure(provider.list(folder));
    expect(error).toMatchObject({ code: 'aborted' });
    expect(server.requests()).toHaveLength(0);
  });
}
