/** A program gets only an errno. The log tells an administrator the call, the file and the reason. */
import { expect } from 'vitest';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly operation?: string;
  readonly path?: string;
  readonly errno?: string;
}

const warned = async (world: World): Promise<Line[]> =>
  (await world.log())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
    .filter(({ level }) => level >= 40);

describeEach(overKernel, 'the log of a mount of $provider', (subject, { it }) => {
  cleanUpWorlds();

  it('names the cause of a listing and of a read that failed, once for a program that tries again', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/e/file', Buffer.alloc(3 << 20, 'x'));
    await world.mount('--deadline', '1s');
    const isListed = subject.provider === '5sync';
    if (!isListed) {
      await world.out('ls d');
      world.sandbox.faults.add({
        method: 'GET',
        route: 'children$|/files$|contents$',
        action: { kind: 'status', status: 500 },
      });
      expect((await world.sh('ls d/e; ls d/e')).code).not.toBe(0);
      const [line, ...more] = (await warned(world)).filter(({ path }) => path?.startsWith('/d/e'));
      expect(line).toMatchObject({
        path: '/d/e',
        errno: 'EIO',
        msg: expect.stringMatching(/^(readdir|lookup) \/d\/e: EIO, GET .*(500|server)/),
      });
      expect(more.filter(({ msg }) => msg === line?.msg)).toEqual([]);
      world.sandbox.faults.clear();
    }
    await world.out('ls d/e');
    world.sandbox.faults.add({ method: 'GET', route: 'download$', action: { kind: 'status', status: 500 } });
    expect((await world.sh('cat d/e/file; cat d/e/file')).code).not.toBe(0);
    const reads = (await warned(world)).filter(({ operation }) => operation === 'read');
    expect(reads).toEqual([
      expect.objectContaining({
        path: '/d/e/file',
        errno: 'EIO',
        msg: expect.stringMatching(/^read \/d\/e\/file: EIO, GET .*download/),
      }),
    ]);
  });

  it('says nothing of listings that the end of the mount cancels, nor of ordinary answers', async () => {
    const world = await openWorld(subject);
    for (let i = 0; i < 30; i++) await world.sandbox.store.putFile(`/d${i}/file`, 'x');
    await world.mount('--dir-ttl', '1s');
    await world.out('find . | wc -l');
    await world.umount();
    await world.mount('--dir-ttl', '1s');
    world.sandbox.faults.add({ method: 'GET', action: { kind: 'stall', ms: 60_000 } });
    const { total } = (await world.status()).requests;
    // Listings of the earlier mount are asked for again; 5sync's one list of all files is not.
    do await world.out('find . | wc -l; ! cat nothing');
    while (subject.provider !== '5sync' && (await world.status()).requests.total < total + 4);
    await world.cli(['umount', '--force', world.mnt]);
    expect(await warned(world)).toEqual([]);
  });
});
