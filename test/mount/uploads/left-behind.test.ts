/** 5sync: an upload stores temporary files beside its content. If the mount is killed meanwhile, the next mount removes them. */
import { describe, expect, it } from 'vitest';
import { kill } from '../kill.js';
import { openWorld } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const subject = { provider: '5sync', binding: 'kernel' } as const;
const flags = ['--write-back', '--deadline', '5s', '--metadata', 'local'];

describe('what a killed upload has left at 5sync', () => {
  cleanUpWorlds();
  const temporaries = (world: World): string[] =>
    world.storedFiles().filter((path) => /\/\.syncmount-[^/]*$/.test(path));
  const stall = { kind: 'stall', ms: 3_600_000 } as const;

  /** Killed while the probe is at the service, which tells how a large file gets into a folder. */
  const killedWithProbe = async (multipartPath: string): Promise<World> => {
    const world = await openWorld(subject, {
      simpleUploadLimit: 1_000_000,
      readings: { multipartPath, tooLarge: '413' },
    });
    await world.sandbox.store.putFile('/d/there', 'there');
    await world.mount(...flags);
    world.sandbox.faults.add({ method: 'DELETE', action: stall });
    await world.out('head -c 2000000 /dev/zero > d/large');
    await expect.poll(() => temporaries(world), { timeout: 20_000 }).toEqual([expect.stringMatching(/\.probe$/)]);
    await kill(world);
    world.sandbox.faults.clear();
    return world;
  };

  it.each(['field', 'filename', 'root'])('a probe goes with the next mount (path of an upload: %s)', async (path) => {
    const world = await killedWithProbe(path);
    await world.mount(...flags);
    // Without metadata in the account a server that stores such a file in the root only is refused.
    await world.untilWaiting(0, path === 'root' ? 1 : 0);
    expect(temporaries(world)).toEqual([]);
    expect(await world.out('ls -s --block-size=1 d/large; ls d')).toMatch(/^2\d+ d\/large\nlarge\nthere$/);
  });

  it('a probe goes where the content is given up', async () => {
    const world = await killedWithProbe('field');
    world.sandbox.faults.add({ method: 'POST', route: 'multipart', action: { kind: 'status', status: 507 } });
    await world.mount(...flags);
    await world.out('rm d/large');
    await expect.poll(() => world.storedFiles().sort(), { timeout: 20_000 }).toEqual(['/d/there']);
    await world.umount();
  });

  /** Broken off while the file is at the service that shows whether a folder is kept under its path. */
  const withProbeIn = async (folder: string): Promise<World> => {
    const world = await openWorld(subject);
    await world.mount(...flags);
    world.sandbox.faults.add({ method: 'DELETE', action: stall });
    await world.out(`mkdir ${folder}; echo new > ${folder}/file`);
    await expect.poll(() => temporaries(world), { timeout: 20_000 }).toHaveLength(1);
    return world;
  };

  it('a probe of a folder goes with the next mount', async () => {
    const world = await withProbeIn('d:e');
    await kill(world);
    world.sandbox.faults.clear();
    await world.mount(...flags);
    await world.untilWaiting(0, 0);
    expect(world.storedFiles()).toEqual(['/d:e/file']);
  });

  it('a probe of a folder is in nobody’s way, and goes where the content is given up', async () => {
    const world = await withProbeIn('d:e');
    await world.out('rm d:e/file');
    world.sandbox.faults.clear();
    // The mount learns of it by the feed.
    await world.until('! rmdir d:e 2> "$TOP/error"; [ ! -e d:e ]');
    await world.umount();
    await world.mount(...flags);
    await expect.poll(() => world.storedFiles(), { timeout: 20_000 }).toEqual([]);
    expect(await world.out('ls -A')).toBe('');
  });

  it('a directory that shows nothing is removed with the probe of a machine that has died', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/.syncmount-0123456789ab-probe', 'x');
    await world.sandbox.store.putFile('/e/.syncmount-0123456789ab.part', 'x');
    await world.mount(...flags);
    expect(await world.out('ls d e; rmdir d e 2>&1; ls')).toMatch(/^d:\n\ne:\nrmdir: .*'e'.*not empty\ne$/);
    expect(world.storedFiles()).toEqual(['/e/.syncmount-0123456789ab.part']);
  });

  it.each([
    ['the old version is there', { method: 'DELETE', action: stall }],
    ['the old version is gone', { route: '^PUT /files$', after: 3, action: stall }],
  ])('a copy goes with the next mount, where it was killed while %s', async (_, fault) => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/file', 'old');
    await world.mount(...flags);
    // A server that allows one file a name, and does not replace it.
    world.sandbox.faults.add(fault);
    world.sandbox.faults.add({ route: '^PUT /files$', times: 2, action: { kind: 'status', status: 409 } });
    const isOld = (): boolean => world.sandbox.store.stat('/d/file') !== undefined;
    const keepsOld = 'method' in fault;
    await world.out('cat d/file; echo new > d/file');
    await expect.poll(() => [temporaries(world).length, isOld()], { timeout: 20_000 }).toEqual([1, keepsOld]);
    await kill(world);
    world.sandbox.faults.clear();
    await world.mount(...flags);
    await world.untilWaiting(0, 0);
    await expect.poll(() => world.storedFiles()).toEqual(['/d/file']);
    expect(await world.out('cat d/file')).toBe('new');
    await world.umount();
  });
});
