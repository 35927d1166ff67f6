/** Calls that need the whole stored file without reading it: the number of their requests, and their refusal if too few are left. */
import { describe, expect, it } from 'vitest';
import { openWorld } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const MIB = 1024 * 1024;
const SIZE = 30 * MIB;

describe('all of a file of 30 MiB that is not here', () => {
  cleanUpWorlds();

  const open = async (plan?: number): Promise<World> => {
    const world = await openWorld({ provider: '5sync', binding: 'kernel' }, { readings: { validator: 'none' } });
    const content = Buffer.alloc(SIZE);
    for (let at = 0; at < SIZE; at += 4096) content.writeUInt32LE(at, at);
    await world.sandbox.store.putFile('/d/film', content);
    await world.sandbox.store.putFile('/d/other', 'x');
    if (plan !== undefined) Object.assign(world.sandbox.settings, { requestsPerHour: plan });
    await world.mount();
    await world.out('ls d');
    return world;
  };

  it.each([
    ['mv', 'mv d/film d/moved', '/d/moved', '', 3],
    ['>>', 'printf more >> d/film', '/d/film', 'more', 2],
    ['a trash that renames into a folder', 'mkdir .Trash && mv d/film .Trash/film', '/.Trash/film', '', 3],
  ])('%s: four ranges, one question, and what stores it', async (_what, script, path, end, storing) => {
    const world = await open();
    const begun = performance.now();
    const routes = await world.routesOf(() => world.out(script));
    const seconds = Math.floor((performance.now() - begun) / 1000);
    expect(routes.filter((route) => /download/.test(route)).length).toBeLessThanOrEqual(4);
    // One question for all ranges that are asked for together, and another one a second.
    const questions = 1 + seconds;
    expect(routes.filter((route) => route !== 'GET /changes').length).toBeLessThanOrEqual(4 + questions + storing);
    const { md5 } = world.sandbox.store.stat(path) ?? {};
    const expected = await world.out(
      `python3 -c "import hashlib, struct; print(hashlib.md5(b''.join(struct.pack('<I', i * 4096) + bytes(4092) for i in range(${SIZE / 4096})) + b'${end}').hexdigest())"`,
    );
    expect(md5).toBe(expected);
  });

  it.each([
    ['mv', 'mv d/film d/moved', /renaming \/d\/film takes about 9 requests, and \d of 12 are left until/],
    ['>>', 'printf more >> d/film', /storing \/d\/film takes about 8 requests, and \d of 12 are left until/],
  ])('%s is refused before its first request where the hour has too few', async (_what, script, reason) => {
    const world = await open(12);
    while (((await world.status()).rateLimit?.remaining ?? 0) > 7)
      await world.out('mkdir -p d/e; printf x > d/e/f; rm d/e/f');
    const routes = await world.routesOf(async () => {
      const { code, stderr } = await world.sh(`${script} && true`);
      if (script.startsWith('mv')) expect([code, stderr]).toEqual([1, expect.stringMatching(/busy/)]);
    });
    expect(routes).toEqual([]);
    expect((await world.status()).rateLimit?.refused).toMatch(reason);
    expect((await world.cli(['status'])).stdout).toMatch(reason);
    expect(await world.log()).toMatch(reason);
    if (script.includes('>>'))
      expect(await world.status()).toMatchObject({ failed: [{ path: '/d/film', code: 'EBUSY' }] });
    expect(world.sandbox.store.stat('/d/film')).toMatchObject({ size: SIZE });
  });
});
