import { beforeEach, describe, expect, it } from 'vitest';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

/** DESIGN §6: requests are the true cost, and they can be counted without noise. */
describe('the request budget', () => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });

  const routes = (script: string): Promise<string[]> => world.routesOf(() => world.out(script));

  it('a cold ls -l of 250 files and 3 folders costs four requests, and a warm one none', async () => {
    for (const name of ['x', 'y', 'z']) world.sandbox.store.makeFolder(`/d/${name}`);
    for (let i = 0; i < 250; i++) await world.sandbox.store.putFile(`/d/file-${i}.txt`, `content ${i}`);
    await world.mount();
    await world.out('ls');
    const cold = await routes('ls -l d | wc -l');
    expect(cold.toSorted()).toEqual([
      'GET /folder/{id}/children',
      'GET /folder/{id}/files',
      'GET /folder/{id}/files',
      'GET /folder/{id}/files',
    ]);
    expect(await routes('ls -l d; find . ; stat d/file-7.txt; df .; test ! -e d/missing')).toEqual([]);
  });

  it('a folder whose parts are known to be empty costs nothing for them', async () => {
    await world.sandbox.store.putFile('/only-files/a', 'a');
    world.sandbox.store.makeFolder('/only-folders/sub');
    world.sandbox.store.makeFolder('/empty');
    await world.mount();
    await world.out('ls');
    expect(await routes('ls only-files')).toEqual(['GET /folder/{id}/files']);
    expect(await routes('ls only-folders')).toEqual(['GET /folder/{id}/children']);
    expect(await routes('ls empty')).toEqual([]);
  });

  it('a whole tree of 20 folders with 30 files each costs one request a folder and two for the root', async () => {
    await world.sandbox.store.populate({ folders: 20, filesEach: 30, size: 10 });
    await world.mount();
    const cold = await routes('find . -type f | wc -l');
    expect(cold.filter((route) => route === 'GET /folder/{id}/files').length).toBeLessThanOrEqual(21);
    expect(cold.filter((route) => route === 'GET /folder/{id}/children').length).toBeLessThanOrEqual(1);
    expect(cold.length).toBeLessThanOrEqual(22);
  });

  it('a small file costs one request to create, to overwrite, to read cold, and to remove', async () => {
    await world.sandbox.store.putFile('/seen.txt', 'seen from elsewhere');
    await world.mount();
    await world.out('ls');
    expect(await routes('echo first > new.txt')).toEqual(['POST /files']);
    expect(await routes('echo second > new.txt')).toEqual(['PUT /files/{id}']);
    expect(await routes('cat seen.txt')).toEqual(['GET /files/{id}/download']);
    expect(await routes('cat seen.txt new.txt')).toEqual([]);
    expect(await routes('rm new.txt')).toEqual(['POST /files/{id}/trash']);
  });

  it('cp of a small file costs one request', async () => {
    await world.mount();
    await world.out('ls');
    expect(await routes('cp -p "$TOP/config/accounts/work.json" copy.json')).toEqual(['POST /files']);
  });

  it('a folder costs one request to make and one to remove', async () => {
    await world.mount();
    await world.out('ls');
    expect(await routes('mkdir folder')).toEqual(['POST /folders']);
    expect(await routes('rmdir folder')).toEqual(['POST /folders/{id}/trash']);
  });

  it('a rename within a folder, across folders, and across folders with a new name costs one request each', async () => {
    await world.sandbox.store.putFile('/a/file.txt', 'x');
    world.sandbox.store.makeFolder('/b');
    await world.mount();
    await world.out('ls a b');
    expect(await routes('mv a/file.txt a/other.txt')).toEqual(['PUT /files/{id}']);
    expect(await routes('mv a/other.txt b/other.txt')).toEqual(['POST /files/{id}/move']);
    expect(await routes('mv b/other.txt a/third.txt')).toEqual(['POST /files/{id}/move']);
    expect(await routes('mv a b/moved')).toEqual(['POST /folders/{id}/move']);
    expect(await routes('mv b c')).toEqual(['PUT /folders/{id}']);
    expect(world.sandbox.store.stat('/c/moved/third.txt')?.kind).toBe('file');
  });

  it('a rename over an existing file costs at most three requests', async () => {
    await world.sandbox.store.putFile('/old', 'old');
    await world.sandbox.store.putFile('/new', 'new');
    await world.mount();
    await world.out('ls');
    expect((await routes('mv -f new old')).length).toBeLessThanOrEqual(3);
    expect(`${await world.sandbox.store.readFile('/old')}`).toBe('new');
    expect(world.sandbox.store.list('/').map(({ name }) => name)).toEqual(['old']);
  });

  it('chmod, chown, touch and extended attributes cost nothing', async () => {
    await world.sandbox.store.putFile('/file', 'x');
    await world.mount();
    await world.out('ls');
    expect(
      await routes('chmod 600 file; chown 12:34 file; touch -d 2001-02-03 file; setfattr -n user.a -v b file'),
    ).toEqual([]);
    expect(await world.out('stat -c "%a %u %g" file; getfattr --only-values -n user.a file')).toBe('600 12 34\nb');
  });
});
