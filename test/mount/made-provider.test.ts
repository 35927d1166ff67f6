import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import { AccountStore, type StoredAccount } from '../../src/config/accounts.js';
import { LiveProvider } from '../../src/mount/live-provider.js';
import { makeProvider, type ProviderOptions, renewedProvider } from '../../src/mount/made-provider.js';
import { type AcronisSandbox, startSandbox } from '../../src/sandbox/index.js';

describe('a provider that renews its tokens', () => {
  let directory: string;
  let sandbox: AcronisSandbox;
  let options: ProviderOptions;
  let provider: LiveProvider;
  const stored = (): StoredAccount => options.accounts.load('work');

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'syncmount-made-'));
    sandbox = (await startSandbox({ provider: 'acronis' })) as AcronisSandbox;
    const accounts = new AccountStore({ config: directory });
    const { endpoints, credentials } = sandbox;
    accounts.save('work', { provider: 'acronis', endpoints, credentials: { ...credentials }, userId: 'me', label: '' });
    options = { account: 'work', accounts, options: { deadline: 2000, delete: 'trash' }, log: silentLog };
    const renew: ConstructorParameters<typeof LiveProvider>[1] = (current) => renewedProvider(current, options);
    provider = new LiveProvider(makeProvider(stored(), options), renew, 'syncmount login work', silentLog);
  });
  afterEach(async () => {
    await provider.close();
    await sandbox.close();
    await rm(directory, { recursive: true });
  });

  it('takes none of them for a new login: what is refused for good is refused after a few requests', async () => {
    sandbox.faults.add({ route: '^GET /sync_and_share_nodes', action: { kind: 'status', status: 401 } });
    const { root } = await provider.account().catch(() => ({ root: null }));
    expect(root).toBeNull();
    // Renewed with the first try and after the next two.
    expect(sandbox.log.entries().map(({ route }) => route)).toHaveLength(6);
    expect(stored().credentials.accessToken).toBeTypeOf('string');
    expect(provider.isRefused).toBe(true);
    sandbox.faults.clear();
    await provider.account();
    expect(provider.isRefused).toBe(false);
  });

  it('keeps a login that came meanwhile, and takes it up when the next request is refused', async () => {
    await provider.account();
    const login: StoredAccount = { ...stored(), credentials: { ...sandbox.credentials, clientId: 'another' } };
    options.accounts.save('work', login);
    sandbox.tokens.revoke();
    await provider.account();
    expect(stored()).toEqual(login);
  });
});
