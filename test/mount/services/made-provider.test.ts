import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { silentLog } from '../../../src/base/log.js';
import { AccountStore, type StoredAccount } from '../../../src/config/accounts.js';
import { makeProvider, type ProviderOptions, renewedProvider } from '../../../src/mount/session/provider-factory.js';
import { RenewingProvider } from '../../../src/mount/session/renewing-provider.js';
import { ProviderError } from '../../../src/providers/errors.js';
import type { RemoteEntry } from '../../../src/providers/provider.js';
import { type AcronisSandbox, startSandbox } from '../../../src/sandbox/index.js';
import { fileAt, root } from '../../providers/fivesync/fivesync-account.js';
import { miniFiveSync } from '../../providers/fivesync/mini-fivesync.js';

describe('a provider whose credentials are replaced', () => {
  it('goes on hiding what it was told to hide', async () => {
    const [old, renewed] = [await miniFiveSync(), await miniFiveSync()];
    renewed.add('/', 'removed', 'while open');
    renewed.add('/', 'other', '');
    old.before = () => ({ status: 401, value: { error: { type: 'unauthorized', message: 'revoked' } } });
    const made = { provider: old.provider, fingerprint: 'old' };
    const renew = () => ({ provider: renewed.provider, fingerprint: 'new' });
    const provider = new RenewingProvider(made, renew, 'syncmount login work', silentLog);
    provider.hide?.(await fileAt(renewed, '/', 'removed'));
    expect((await provider.list(root)).map(({ name }) => name)).toEqual(['other']);
  });
});

describe('a provider that is replaced while a request is under way', () => {
  it('is closed once that has ended', async () => {
    const [old, renewed] = [await miniFiveSync(), await miniFiveSync()];
    let answer: (entries: RemoteEntry[]) => void = () => {};
    let isClosed = false;
    const slow = { ...old.provider, metrics: () => old.provider.metrics() };
    slow.list = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    slow.account = () => Promise.reject(new ProviderError('auth', 'revoked', { data: {} }));
    slow.close = async () => {
      isClosed = true;
      await old.provider.close();
    };
    const made = { provider: slow, fingerprint: 'old' };
    const renew = () => ({ provider: renewed.provider, fingerprint: 'new' });
    const provider = new RenewingProvider(made, renew, 'syncmount login work', silentLog);
    const listing = provider.list(root);
    await provider.account();
    expect(isClosed).toBe(false);
    answer([]);
    expect(await listing).toEqual([]);
    await expect.poll(() => isClosed).toBe(true);
  });
});

describe('a provider that renews its tokens', () => {
  let directory: string;
  let sandbox: AcronisSandbox;
  let options: ProviderOptions;
  let provider: RenewingProvider;
  const stored = (): StoredAccount => options.accounts.load('work');

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'syncmount-made-'));
    sandbox = (await startSandbox({ provider: 'acronis' })) as AcronisSandbox;
    const accounts = new AccountStore({ config: directory });
    const { endpoints, credentials } = sandbox;
    accounts.save('work', { provider: 'acronis', endpoints, credentials: { ...credentials }, userId: 'me', label: '' });
    options = { account: 'work', accounts, options: { deadline: 2000, delete: 'trash' }, log: silentLog };
    const renew: ConstructorParameters<typeof RenewingProvider>[1] = (current) => renewedProvider(current, options);
    provider = new RenewingProvider(makeProvider(stored(), options), renew, 'syncmount login work', silentLog);
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

  it('takes up a login of the same user that came meanwhile, and stores what that renews', async () => {
    await provider.account();
    const { username, password } = sandbox.credentials;
    options.accounts.save('work', { ...stored(), credentials: { username, password } });
    sandbox.tokens.revoke();
    await provider.account();
    expect(stored().credentials).toEqual({
      ...{ username, password },
      accessToken: expect.any(String),
      refreshToken: expect.any(String),
      expiresAt: expect.any(String),
    });
  });

  it('leaves the login of another user alone', async () => {
    await provider.account();
    const login: StoredAccount = { ...stored(), userId: 'another', credentials: { accessToken: 'theirs' } };
    options.accounts.save('work', login);
    sandbox.tokens.revoke();
    await expect(provider.account()).rejects.toMatchObject({ code: 'auth' });
    expect(stored()).toEqual(login);
  });

  /** Another process that has read the file when this one did. */
  const another = (more: Partial<ProviderOptions> = {}): RenewingProvider => {
    const made = makeProvider(stored(), { ...options, ...more });
    const also = new RenewingProvider(made, () => null, 'syncmount login work', silentLog);
    onTestFinished(() => also.close());
    return also;
  };

  const withTokensAlone = (): void => {
    const { clientId, clientSecret } = sandbox.credentials;
    const { accessToken, refreshToken = '' } = sandbox.tokens.grant(clientId);
    const credentials = { clientId, clientSecret, accessToken, refreshToken };
    options.accounts.save('work', { ...stored(), credentials });
  };
  const renewals = (): number => sandbox.log.entries().filter(({ route }) => route.endsWith('/token')).length;

  it('shares a rotating refresh token with others: it is used once, and all go on with what it brought', async () => {
    withTokensAlone();
    const several = [another(), another(), another(), another()];
    sandbox.tokens.expire();
    await Promise.all(several.map((one) => one.account()));
    expect(renewals()).toBe(1);
    sandbox.tokens.expire();
    for (const one of several) await one.account();
    expect(renewals()).toBe(2);
    sandbox.tokens.expire();
    await another().account();
  });

  it.each(['login', 'logout'] as const)('stores nothing over a %s that comes while it renews', async (what) => {
    withTokensAlone();
    const login: StoredAccount = { ...stored(), credentials: { accessToken: 'of the login' } };
    sandbox.tokens.expire();
    sandbox.faults.add({ route: '/token$', action: { kind: 'stall', ms: 500, when: 'after' } });
    const asked = another().account();
    await expect.poll(renewals).toBe(1);
    // As the commands do it.
    await options.accounts.exclusively('work', async () => {
      if (what === 'login') options.accounts.save('work', login);
      else options.accounts.remove('work');
    });
    await asked;
    expect(options.accounts.names()).toEqual(what === 'login' ? ['work'] : []);
    if (what === 'login') expect(stored()).toEqual(login);
  });

  it('waits for the answer to a refresh token when it is closed, and stores it', async () => {
    withTokensAlone();
    sandbox.tokens.expire();
    sandbox.faults.add({ route: '/token$', action: { kind: 'stall', ms: 1500, when: 'after' } });
    const brief = another({ options: { deadline: 1000, delete: 'trash' } });
    await expect(brief.account()).rejects.toMatchObject({ code: 'timeout' });
    await brief.close();
    sandbox.faults.clear();
    await another().account();
    expect(renewals()).toBe(1);
  });

  it('spends no token in a command that cannot store the next one, while a mount lives on with it', async () => {
    withTokensAlone();
    const before = stored();
    sandbox.tokens.expire();
    const brief = another({ isBrief: true });
    const mount = another();
    // Root writes where nobody may: a file in the place of the directory stops everybody.
    await rename(join(directory, 'accounts'), join(directory, 'aside'));
    await writeFile(join(directory, 'accounts'), '');
    await expect(brief.account()).rejects.toMatchObject({ message: expect.stringMatching(/cannot .*accounts/) });
    expect(renewals()).toBe(0);
    await mount.account();
    expect(renewals()).toBe(1);
    await rm(join(directory, 'accounts'));
    await rename(join(directory, 'aside'), join(directory, 'accounts'));
    expect(stored()).toEqual(before);
  });
});
