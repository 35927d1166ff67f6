/** Mounts over TLS: they store and read back, large files by the data threads too, and reject unknown certificates. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Tls } from '../../../src/sandbox/index.js';
import { selfSigned } from '../../support/self-signed.js';
import { describeEach, protocols } from '../subjects.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

let directory: string;
let certificate: string;
let tls: Tls;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'syncmount-tls-'));
  ({ tls, path: certificate } = await selfSigned(directory, 'IP:127.0.0.1'));
});

afterAll(() => rm(directory, { recursive: true }));

describeEach(protocols, '$provider over TLS', ({ provider }, { it }) => {
  cleanUpWorlds();

  it('logs in, stores small and large files, and reads them back', async () => {
    const world: World = await createServiceWorld({ provider, tls }, true);
    expect(world.sandbox.endpoints.api).toMatch(/^https:/);
    world.env.NODE_EXTRA_CA_CERTS = certificate;
    expect(await world.login()).toMatchObject({ code: 0, stderr: '' });
    await world.mount();
    const large = join(directory, 'large');
    await writeFile(large, randomBytes(24 << 20));
    await world.out(`mkdir d; echo small > d/small; cp '${large}' d/large`);
    await world.umount();
    await rm(world.env.SYNCMOUNT_CACHE_DIR ?? '', { recursive: true });
    await world.mount();
    expect(await world.out('cat d/small')).toBe('small');
    await world.out(`cmp '${large}' d/large`);
    await world.umount();
  });

  it('trusts no certificate that the machine does not know, and says how to trust it', async () => {
    const world = await createServiceWorld({ provider, tls }, true);
    const { code, stderr } = await world.login();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/certificate/);
    expect(stderr).toMatch(/NODE_EXTRA_CA_CERTS/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
