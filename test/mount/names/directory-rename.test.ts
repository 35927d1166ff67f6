/** rename(2) of directories on the service that has none. */
import { describe, expect, it } from 'vitest';
import { openWorld } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** rename(2) alone: `mv` would copy where it fails. */
const rename = (from: string, to: string): string => `python3 -c "import os; os.rename('${from}', '${to}')"`;

describe('a directory is renamed on 5sync', () => {
  cleanUpWorlds();

  const open = async (...options: readonly string[]): Promise<World> => {
    const world = await openWorld({ provider: '5sync', binding: 'kernel' });
    for (let n = 0; n < 10; n++) await world.sandbox.store.putFile(`/old/sub/f${n}`, `content ${n}`);
    await world.mount(...options);
    await world.out('ls -R');
    return world;
  };
  const paths = (world: World): string[] =>
    world.sandbox.store
      .tree()
      .filter(({ kind }) => kind === 'file')
      .map(({ path }) => path)
      .sort();
  const files = (top: string): string[] => Array.from({ length: 10 }, (_, n) => `/${top}/sub/f${n}`);

  it('with three requests a file, and all that programs see of it stays', async () => {
    const world = await open();
    const before = await world.out("find old -printf '%P %i %s %T@ %C@\\n' | sort | grep -v '^ '; cat old/sub/*");
    const routes = await world.routesOf(() => world.out(rename('old', 'new')));
    const changes = routes.filter((route) => route !== 'GET /changes' && !/download/.test(route));
    expect(changes.length).toBeLessThanOrEqual(3 * 10);
    expect(await world.out("find new -printf '%P %i %s %T@ %C@\\n' | sort | grep -v '^ '; cat new/sub/*")).toBe(before);
    expect(await world.out('ls')).toBe('new');
    expect(paths(world)).toEqual(files('new'));
    await world.umount();
    await world.mount();
    expect(await world.out("find new -printf '%P %i %s %T@ %C@\\n' | sort | grep -v '^ '; cat new/sub/*")).toBe(before);
  });

  it.each([
    ['a file', 'old/sub/f3', 'moved'],
    ['a directory', 'old', 'new'],
  ])('%s, and removes no newer version that another client stores meanwhile', async (_what, from, to) => {
    const world = await openWorld({ provider: '5sync', binding: 'kernel' });
    for (let n = 0; n < 10; n++) await world.sandbox.store.putFile(`/old/sub/f${n}`, `content ${n}`);
    await world.mount('--dir-ttl', '1s');
    await world.out('ls -R');
    const stall = { kind: 'stall', ms: 2000, performed: true } as const;
    const rule = world.sandbox.faults.add({ route: '^PUT /files$', times: 1, action: stall });
    const renaming = world.start(rename(from, to));
    await expect.poll(() => world.sandbox.faults.fired(rule)).toBe(1);
    await world.sandbox.store.putFile('/old/sub/f3', 'of another client');
    expect((await renaming.ended).code).toBe(0);
    await world.umount();
    const contents = await Promise.all(paths(world).map(async (path) => `${await world.sandbox.store.readFile(path)}`));
    expect(contents).toContain('of another client');
  });

  it('fails where another client has removed a file in it, of which nothing is left here either', async () => {
    const world = await open();
    await world.sandbox.store.remove('/old/sub/f3');
    await world.sh(rename('old', 'new'));
    await world.until('! [ -e old/sub/f3 ] && ! [ -e new/sub/f3 ]');
    expect(await world.out('cat */sub/f2; ls */sub | wc -l')).toBe('content 29');
    expect(paths(world).filter((path) => path.endsWith('f3'))).toEqual([]);
  });

  it('leaves the empty directory that it was to replace, where a file cannot be stored', async () => {
    const world = await open();
    await world.out('mkdir -m 750 new');
    const inode = await world.out('stat -c "%i %a" new');
    const { faults } = world.sandbox;
    faults.add({ route: '^PUT /files$', after: 4, action: { kind: 'status', status: 507 } });
    expect((await world.sh(rename('old', 'new'))).stderr).toContain('No space left');
    expect(await world.out('ls; ls new; stat -c "%i %a" new; cat old/sub/* | wc -c')).toBe(`new\nold\n${inode}\n90`);
    await expect.poll(() => paths(world)).toEqual(files('old'));
    faults.clear();
    await world.out(rename('old', 'new'));
    expect(await world.out('ls; cat new/sub/* | wc -c')).toBe('new\n90');
    expect(paths(world)).toEqual(files('new'));
  });

  it('is gone under its old name, also for those who have looked while its old files were removed', async () => {
    const world = await open('--dir-ttl', '1s');
    const { faults } = world.sandbox;
    faults.add({ route: '^DELETE ', times: 4, action: { kind: 'stall', ms: 3000, performed: true } });
    const renaming = world.start(rename('old', 'new'));
    await world.until('test -e new');
    await world.out('for i in 1 2 3 4 5 6 7 8; do ls -R > /dev/null; sleep 0.3; done');
    expect((await renaming.ended).code).toBe(0);
    await world.until('[ "$(ls)" = new ]');
    expect(paths(world)).toEqual(files('new'));
  });

  it('has the newest version of a file that another client stores, and that is seen, meanwhile', async () => {
    const world = await open('--dir-ttl', '1s', '--deadline', '10s');
    const { faults } = world.sandbox;
    // The last copy waits for half of the deadline: the machine sees the new version before.
    const stall = { kind: 'stall', ms: 60_000, when: 'after' } as const;
    const rule = faults.add({ route: '^PUT /files$', after: 9, times: 1, action: stall });
    const renaming = world.start(rename('old', 'new'));
    await expect.poll(() => faults.fired(rule)).toBe(1);
    await world.sandbox.store.putFile('/old/sub/f0', 'of another client');
    expect(await renaming.ended).toMatchObject({ code: 0 });
    expect(await world.out('cat new/sub/f0')).toBe('of another client');
    await world.until('[ "$(ls)" = new ]');
    expect(paths(world)).toEqual(files('new'));
  });

  it.each([
    ['PUT /files', 'old'],
    ['DELETE /files/{id}', 'new'],
  ])('and a mount that is killed at its fifth "%s" leaves %s whole', async (route, name) => {
    const world = await open();
    const { faults } = world.sandbox;
    const pattern = `^${route.replace(/[{}]/g, '\\$&')}$`;
    const rule = faults.add({ route: pattern, after: 4, action: { kind: 'stall', ms: 600_000, when: 'after' } });
    const renaming = world.start(rename('old', 'new'));
    await expect.poll(() => faults.fired(rule)).toBeGreaterThan(0);
    const { pid } = await world.status();
    await world.shell(`kill -9 ${pid}; umount -l "$MNT"`);
    await renaming.ended;
    faults.clear();
    await world.mount();
    await expect.poll(() => paths(world)).toEqual(files(name));
    await world.until(`[ "$(ls)" = ${name} ]`);
    expect(await world.out(`cat ${name}/sub/* | wc -c`)).toBe('90');
    expect((await world.status()).pending).toEqual([]);
  });
});
