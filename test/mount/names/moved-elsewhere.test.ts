/** Another client renames or moves a file while this mount has newer content of it that is not stored yet. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { AnySandboxOptions } from '../../../src/sandbox/index.js';
import { isChosen } from '../../support/extent.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

const services: readonly [string, AnySandboxOptions][] = [
  ['4shared', { provider: '4shared' }],
  // So that the content goes up in chunks, under a name of its own.
  ['4shared, a large file', { provider: '4shared', simpleUploadLimit: 3000 }],
  [
    '4shared that takes the names of new versions as they come',
    { provider: '4shared', readings: { updateNames: 'ignore' } },
  ],
  ['acronis', { provider: 'acronis' }],
];

describe.each(services.map((service, row) => [...service, row] as const))('on %s', (_what, options, row) => {
  cleanUpWorlds();
  let column = 0;
  /** In the quick run each service has one of them. */
  const turn = (name: string, test: () => Promise<void>): void => {
    if (isChosen(row, column++, 2)) it(name, test);
  };
  let world: World;
  beforeEach(async () => {
    world = await createServiceWorld(options);
    await world.sandbox.store.putFile('/d/a', 'base\n');
    await world.sandbox.store.putFile('/e/other', 'other\n');
    await world.mount('--dir-ttl', '1s');
    await world.out('ls d e');
    for (const method of ['POST', 'PUT']) world.sandbox.faults.add({ method, action: { kind: 'status', status: 403 } });
    expect((await world.sh('seq 2000 >> d/a')).code).not.toBe(0);
    expect(await world.status()).toMatchObject({ failed: [{ path: '/d/a' }] });
    world.sandbox.faults.clear();
  });

  /** The changed content is stored as the new version of the same object, and there is no other. */
  async function expectAt(path: string): Promise<void> {
    expect((await world.cli(['uploads', 'retry'])).code).toBe(0);
    await world.umount();
    const { store } = world.sandbox;
    expect([...store.md5s().keys()].sort()).toEqual([path, '/e/other'].sort());
    const content = await world.out('(echo base; seq 2000) | tee "$TOP/expected" | md5sum | cut -c1-32');
    expect(store.md5s().get(path)).toBe(content);
    await world.mount();
    expect(await world.out(`find . -type f | sort; cmp ".${path}" "$TOP/expected"`)).toBe(
      [`.${path}`, './e/other'].sort().join('\n'),
    );
  }

  turn('a changed file that another client renamed is stored under its new name', async () => {
    world.sandbox.store.rename('/d/a', 'b');
    await expectAt('/d/b');
  });

  turn('a changed file that another client moved is stored where it is now', async () => {
    world.sandbox.store.move('/d/a', '/e', 'b');
    await world.out('until [ -e e/b ]; do sleep 0.05; done');
    await expectAt('/e/b');
  });
});
