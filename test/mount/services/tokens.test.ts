import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type {
  AcronisOptions,
  AcronisSandbox,
  AnySandboxOptions,
  FiveSyncSandbox,
  LogEntry,
  ProviderName,
} from '../../../src/sandbox/index.js';
import { long } from '../../support/extent.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

const size = 200_000_000;
const upload = 'POST /sync_and_share_nodes/{node_uuid}/upload';
const download = 'GET /sync_and_share_nodes/{node_uuid}/download';
const token = 'POST /api/2/idp/token';

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

/** The requests of a transfer, and the tokens that were granted while it ran. */
function during(entries: readonly LogEntry[], route: string): { transfers: LogEntry[]; renewals: LogEntry[] } {
  const transfers = entries.filter((entry) => entry.route === route);
  const [first = 0, last = 0] = [transfers[0]?.n, transfers.at(-1)?.n];
  return { transfers, renewals: entries.filter((entry) => entry.route === token && entry.n > first && entry.n < last) };
}

describe('an access token that expires in the middle of', () => {
  cleanUpWorlds();

  const acronisWorld = async (options: Partial<AcronisOptions>): Promise<World> => {
    const world = await createServiceWorld({ provider: 'acronis', ...options } as AnySandboxOptions);
    await world.out(`head -c ${size} /dev/urandom > "$TOP/large"`);
    return world;
  };

  it('a write of 200 MB is renewed, and the program sees nothing of it', long, async () => {
    const world = await acronisWorld({ tokenLifetimeSeconds: 2, bandwidth: 60_000_000 });
    await world.mount();
    // Credentials travel with the head of a request: they are asked for again where the line breaks after they have died.
    world.sandbox.faults.add({
      route: '/upload$',
      times: 1,
      action: { kind: 'reset', when: 'middle', at: 150_000_000 },
    });
    const entries = await world.requestsOf(() => world.out('cp "$TOP/large" large'));
    const { transfers, renewals } = during(entries, upload);
    expect(transfers.map(({ status }) => status)).toEqual([0, 201]);
    expect(renewals.map(({ status }) => status)).toEqual([200]);
    expect(world.sandbox.store.stat('/large')?.md5).toBe(await md5Of(`${world.directory}/large`));
    expect(await world.status()).toMatchObject({ pending: [], failed: [] });
  });

  it('a read of 200 MB is renewed, and the program sees nothing of it', long, async () => {
    const world = await acronisWorld({ tokenLifetimeSeconds: 3600, bandwidth: 10_000_000 });
    const large = await world.sandbox.store.putFile('/large', createReadStream(`${world.directory}/large`));
    await world.mount();
    const sandbox = world.sandbox as unknown as AcronisSandbox;
    const entries = await world.requestsOf(async () => {
      const read = world.out('md5sum < large');
      await expect
        .poll(() => world.sandbox.log.entries().filter(({ route }) => route === download).length)
        .toBeGreaterThan(4);
      sandbox.tokens.expire();
      expect((await read).slice(0, 32)).toBe(large.md5);
    });
    const { transfers, renewals } = during(entries, download);
    expect(transfers.some(({ status }) => status === 401)).toBe(true);
    expect(renewals.map(({ status }) => status)).toEqual([200]);
  });
});

/** Makes everything that was granted useless, and answers the credentials of a new login. */
function revoked(provider: ProviderName, world: World): { kill(): void; fresh(): object } {
  const { credentials, tokens } = world.sandbox;
  if (provider === '5sync') {
    const keys = (world.sandbox as unknown as FiveSyncSandbox).tokens;
    return { kill: () => keys.revoke(), fresh: () => ({ apiKey: keys.issue() }) };
  }
  if (provider === 'acronis') {
    const { tokens: granted } = world.sandbox as unknown as AcronisSandbox;
    return { kill: () => granted.revoke(), fresh: () => credentials };
  }
  return {
    kill: () => tokens.revoke(),
    fresh: () => {
      const { token: key, secret } = tokens.grant();
      return { ...credentials, token: key, tokenSecret: secret };
    },
  };
}

describe.each(['4shared', '5sync', 'acronis'] as const)('credentials of %s that have died', (provider) => {
  cleanUpWorlds();

  it('leave the mount and its cache alone, are named with the command that mends them, and are replaced while it runs', async () => {
    const world = await createServiceWorld({ provider } as AnySandboxOptions, true);
    let first: object = world.sandbox.credentials;
    if (provider === 'acronis') {
      // Without a password nothing but a new login brings another token.
      const { accessToken, refreshToken } = (world.sandbox as unknown as AcronisSandbox).tokens.grant(
        (world.sandbox as unknown as AcronisSandbox).credentials.clientId,
      );
      const { clientId, clientSecret } = (world.sandbox as unknown as AcronisSandbox).credentials;
      first = { clientId, clientSecret, accessToken, refreshToken };
    }
    expect((await world.login('work', first)).code).toBe(0);
    const { kill, fresh } = revoked(provider, world);
    await world.mount('--dir-ttl', '1s');
    await world.out('echo before > before.txt');
    kill();
    expect((await world.sh('cp before.txt after.txt')).stderr).toMatch(/Permission denied/);
    const command = `syncmount login work --provider ${provider}`;
    expect((await world.status()).login).toBe(command);
    expect((await world.log()).split('\n').filter((line) => line.includes(`to mend it: ${command}`))).toHaveLength(1);
    expect(await world.out('cat before.txt; ls')).toBe('before\nafter.txt\nbefore.txt');
    expect(await world.login('work', fresh())).toMatchObject({ code: 0 });
    await world.out('cp before.txt later.txt');
    expect((await world.status()).login).toBeUndefined();
    await world.cli(['uploads', 'retry', world.mnt]);
    await world.umount();
    await world.mount();
    expect(await world.out('cat after.txt later.txt')).toBe('before\nbefore');
    expect([...world.sandbox.store.md5s().keys()].sort()).toEqual(['/after.txt', '/before.txt', '/later.txt']);
  });
});

describe('doctor', () => {
  cleanUpWorlds();

  it('stores what it renews: the login lives on, mounted and not', async () => {
    const world = await createServiceWorld({ provider: 'acronis' } as AnySandboxOptions, true);
    const { tokens, credentials } = world.sandbox as unknown as AcronisSandbox;
    const { clientId, clientSecret } = credentials;
    const { accessToken, refreshToken } = tokens.grant(clientId);
    await world.login('work', { clientId, clientSecret, accessToken, refreshToken });
    const doctor = async (): Promise<void> => {
      tokens.expire();
      expect((await world.cli(['doctor'])).stdout).toMatch(/ok {4}account work: acronis/);
    };
    await doctor();
    await doctor();
    await world.mount();
    await doctor();
    await world.out('echo x > file && cat file');
    tokens.expire();
    await world.out('echo y > file && cat file');
    await doctor();
  });
});

describe('a new API key of 5sync', () => {
  cleanUpWorlds();

  it('keeps what waits for its upload under the old one; an account without our files is another', async () => {
    const world = await createServiceWorld({ provider: '5sync' } as AnySandboxOptions);
    const { store, faults } = world.sandbox;
    const { tokens: keys } = world.sandbox as unknown as FiveSyncSandbox;
    await world.mount('--deadline', '3s');
    await world.out('echo stored > stored.txt');
    faults.add({ method: 'PUT', action: { kind: 'status', status: 403 } });
    expect((await world.sh('cp stored.txt waits.txt')).code).toBe(1);
    expect((await world.cli(['umount', world.mnt])).code).toBe(3);
    faults.clear();
    keys.revoke();
    expect((await world.login('work', { apiKey: keys.issue() })).stdout).toMatch(/^Logged in/);
    await world.mount();
    expect(await world.out('cat waits.txt')).toBe('stored');
    await world.umount();
    expect([...store.md5s().keys()]).toEqual(['/stored.txt', '/waits.txt']);
    for (const path of store.md5s().keys()) store.remove(path);
    expect((await world.login('work', { apiKey: keys.issue() })).stdout).toMatch(
      /another account than 'work' was before/,
    );
    await world.mount();
    expect(await world.out('ls')).toBe('');
  });
});
