import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AnySandboxOptions } from '../../../src/sandbox/index.js';
import { cleanUpWorlds, createServiceWorld, createWorld, type World } from '../world.js';

interface Begun {
  /** The printed URL that the person must open. */
  readonly page: string;
  /** The URL to which the browser comes back, without its query. */
  readonly callback: string;
  readonly ended: Promise<{ code: number; said: string }>;
}

/** Runs `syncmount login` until it waits for the browser. */
async function begin(world: World, credentials: object): Promise<Begun> {
  const { provider, endpoints } = world.sandbox;
  const flags = Object.entries(endpoints).flatMap(([key, url]) => ['--endpoint', `${key}=${url}`]);
  const args = [resolve('bin/syncmount.js'), 'login', 'work', '--provider', provider, '--credentials', '-', ...flags];
  const child = spawn(process.execPath, args, { env: world.env });
  child.stdin.end(JSON.stringify(credentials));
  let said = '';
  const ended = new Promise<{ code: number; said: string }>((end) =>
    child.on('close', (code) => end({ code: code ?? 128, said })),
  );
  child.stderr.on('data', (data) => {
    said += data;
  });
  const page = await new Promise<string>((found) => {
    child.stdout.on('data', (data) => {
      said += data;
      const url = /http:\S+authorize\S+/.exec(said)?.[0];
      if (url !== undefined) found(url);
    });
  });
  // The sandbox allows it at once: where it sends the browser is where the program listens.
  const answer = await fetch(page, { redirect: 'manual' });
  const location = new URL(answer.headers.get('location') ?? '');
  return { page, callback: location.href, ended };
}

describe('a file of credentials', () => {
  cleanUpWorlds();

  it.each(['4shared', '5sync', 'acronis'] as const)('of %s may hold keys without a value', async (provider) => {
    const world = await createServiceWorld({ provider } as AnySandboxOptions, true);
    const { credentials } = world.sandbox;
    const nulls = { token: null, apiKey: null, accessToken: null, refreshToken: null, expiresAt: null, other: null };
    expect(await world.login('work', { ...nulls, ...credentials })).toMatchObject({ code: 0, stderr: '' });
    expect(await world.cli(['mount', 'work:', world.mnt])).toMatchObject({ code: 0, stderr: '' });
  });

  it('names the key that is wrong, also where a person could be asked for the rest', async () => {
    const world = await createServiceWorld({ provider: 'acronis' } as AnySandboxOptions, true);
    for (const given of [world.sandbox.credentials, { clientId: 'a', clientSecret: 'b' }]) {
      const { code, stderr } = await world.login('work', { ...given, refreshToken: 5 });
      expect([code, stderr]).toEqual([2, 'syncmount: the credentials of acronis lack a valid refreshToken\n']);
    }
  });
});

describe('a login that waits for the browser', () => {
  cleanUpWorlds();

  const services = [
    [
      '4shared',
      ['oauth_token', 'denied'],
      ({ consumerKey, consumerSecret }: Record<string, string>) => ({ consumerKey, consumerSecret }),
    ],
    ['acronis', ['state'], ({ clientId, clientSecret }: Record<string, string>) => ({ clientId, clientSecret })],
  ] as const;

  it.each(services)('of %s refuses what is no answer to it, and goes on waiting', async (provider, keys, part) => {
    const world = await createServiceWorld({ provider, readings: { autoApprove: true } } as AnySandboxOptions, true);
    const given = part(world.sandbox.credentials as unknown as Record<string, string>);
    const { callback, ended } = await begin(world, given);
    const address = callback.slice(0, callback.indexOf('?'));
    const forged = [
      '',
      ...keys.flatMap((key) => [
        `?${key}=wrong`,
        `?${key}=wrong&error=access_denied&code=1&oauth_verifier=1`,
        `?${key}=`,
      ]),
    ];
    for (const query of forged) expect([query, (await fetch(address + query)).status]).toEqual([query, 400]);
    expect((await fetch(callback, { method: 'POST' })).status).toBe(400);
    expect((await fetch(`${new URL(address).origin}//[`)).status).toBe(404);
    expect((await fetch(callback)).status).toBe(200);
    expect(await ended).toMatchObject({ code: 0, said: expect.stringMatching(/Logged in to/) });
  });

  it('of 4shared ends where the person refuses, and where no token comes back the callback is known by itself', async () => {
    const world = await createWorld({ loggedOut: true, readings: { autoApprove: true, verifier: 'unused' } });
    const { consumerKey, consumerSecret } = world.sandbox.credentials;
    const refused = await begin(world, { consumerKey, consumerSecret });
    const url = new URL(refused.callback);
    url.searchParams.set('denied', url.searchParams.get('oauth_token') ?? '');
    url.searchParams.delete('oauth_token');
    expect(await (await fetch(url)).text()).toMatch(/not allowed/);
    expect(await refused.ended).toMatchObject({ code: 1, said: expect.stringMatching(/access was not allowed/) });
    const allowed = await begin(world, { consumerKey, consumerSecret });
    const bare = new URL(allowed.callback);
    bare.searchParams.delete('oauth_token');
    expect((await fetch(bare)).status).toBe(200);
    expect((await allowed.ended).code).toBe(0);
  });
});

describe('the login that a person walks through', () => {
  cleanUpWorlds();

  it.each(['used', 'unused'] as const)(
    'prints a page, waits for the browser to come back, and stores what works (verifier %s)',
    async (verifier) => {
      const world = await createWorld({ loggedOut: true, readings: { autoApprove: true, verifier } });
      const { endpoints, credentials } = world.sandbox;
      const { consumerKey, consumerSecret } = credentials;
      const child = spawn(
        process.execPath,
        [
          ...[resolve('bin/syncmount.js'), 'login', 'work', '--provider', '4shared', '--credentials', '-'],
          ...['--endpoint', `api=${endpoints.api}`, '--endpoint', `upload=${endpoints.upload}`],
        ],
        { env: world.env },
      );
      child.stdin.end(JSON.stringify({ consumerKey, consumerSecret }));
      let said = '';
      const ended = new Promise((end) => child.on('close', end));
      const url = await new Promise<string>((found) => {
        child.stdout.on('data', (data) => {
          said += data;
          const page = /http:\S+authorize\S+/.exec(said)?.[0];
          if (page !== undefined) found(page);
        });
      });
      // The person's browser: it follows the provider's redirect back to the program.
      const page = await fetch(url);
      expect(await page.text()).toMatch(/has access now/);
      expect(await ended).toBe(0);
      expect(said).toMatch(/Logged in to 4shared/);
      expect(said).not.toContain(consumerSecret);
      await world.mount();
      await world.out('echo x > file && cat file');
    },
  );
});
