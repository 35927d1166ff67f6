/** A company's proxy is the only way to the service: here only the proxy knows the service's name. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { Tls } from '../../../src/sandbox/index.js';
import { selfSigned } from '../../support/self-signed.js';
import { TunnelProxy } from '../../support/tunnel-proxy.js';
import { describeEach, protocols } from '../subjects.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

/** Of the service, as only the proxy knows it. */
const byName = 'storage.test';
/** Documentation alone uses it: RFC 5737. */
const byAddress = '192.0.2.1';

let directory: string;
let certificate: string;
let tls: Tls;
let proxy: TunnelProxy;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'syncmount-proxy-'));
  ({ tls, path: certificate } = await selfSigned(directory, `DNS:${byName},IP:${byAddress}`));
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  proxy = await TunnelProxy.start();
});
afterEach(() => proxy.close());

describeEach(protocols, '$provider behind a proxy', ({ provider }, { it }) => {
  cleanUpWorlds();

  /** `through`: the user, if any, and the proxy, as the environment names them. */
  async function behind(through: string, host = byName): Promise<World> {
    const world = await createServiceWorld({ provider, tls }, true);
    const endpoints = world.sandbox.endpoints as Record<string, string>;
    for (const [name, url] of Object.entries(endpoints)) endpoints[name] = url.replace('127.0.0.1', host);
    Object.assign(world.env, { NODE_EXTRA_CA_CERTS: certificate, HTTPS_PROXY: through });
    return world;
  }

  for (const host of [byName, byAddress])
    it(`logs in, stores and reads small, empty and large files at ${host}, and says nowhere with which password`, async () => {
      proxy.authorization = `Basic ${Buffer.from('me:s%ecret word').toString('base64')}`;
      const world = await behind(`http://me:s%25ecret%20word@127.0.0.1:${proxy.port}`, host);
      expect(await world.login()).toMatchObject({ code: 0, stderr: '' });
      const { stdout } = await world.cli(['doctor']);
      expect(stdout).toMatch(new RegExp(`^ok +account work: .*, through the proxy 127.0.0.1:${proxy.port}$`, 'm'));
      expect(stdout).not.toContain('ecret');
      await world.mount('--log-level', 'debug');
      const large = join(directory, 'large');
      await writeFile(large, randomBytes(24 << 20));
      await world.out(`mkdir d; echo small > d/small; : > d/empty; cp '${large}' d/large`);
      await world.umount();
      await rm(world.env.SYNCMOUNT_CACHE_DIR ?? '', { recursive: true });
      await world.mount();
      expect(await world.out('cat d/small d/empty')).toBe('small');
      await world.out(`cmp '${large}' d/large`);
      await world.umount();
      const hosts = new Set(proxy.asked.map((asked) => asked.split(':')[0]));
      expect([...hosts]).toEqual([host]);
      const logged = await world.out(`cd "$SYNCMOUNT_STATE_DIR"; grep -rc "ecret" . | grep -v ':0$' || true`);
      expect(logged).toBe('');
    });

  it('a proxy that wants a password is named in one line, at once', async () => {
    proxy.authorization = 'Basic something else';
    const world = await behind(`127.0.0.1:${proxy.port}`);
    const { code, stderr } = await world.login();
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(`the proxy 127.0.0.1:${proxy.port} wants a user name and a password`);
    expect(proxy.asked).toHaveLength(1);
  });

  it('NO_PROXY leaves it out', async () => {
    const world = await behind(`http://127.0.0.1:${proxy.port}`);
    world.env.NO_PROXY = 'elsewhere.test,.test';
    const { code, stderr } = await world.login();
    expect(code).toBe(1);
    expect(stderr).toMatch(/no connection \((ENOTFOUND|EAI_AGAIN)\)/);
    expect(proxy.asked).toEqual([]);
  });
});
