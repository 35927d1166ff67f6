/**
 * A large file loses its name while a program has it open, and nothing of it is on this machine. The removal downloads nothing, the
 * program goes on reading from the service, and after the last close the file is gone there.
 */
import { expect } from 'vitest';
import { describeEach, isDownload, openWorld, subjects } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const size = 24 << 20;
const kept = /^\/film \(open file kept by syncmount [0-9a-f]{12}\)\.mkv$/;

/** Each MiB begins with its number, so that a read can be recognised. */
const film = Buffer.concat(
  Array.from({ length: size >> 20 }, (_, i) => {
    const piece = Buffer.alloc(1 << 20, i);
    piece.writeUInt32BE(i);
    return piece;
  }),
);

const ways = {
  removed: "os.unlink('d/film.mkv')",
  replaced: "os.rename('d/other', 'd/film.mkv')",
  'replaced by what is not stored yet': "os.rename('d/new', 'd/film.mkv')",
} as const;
type Way = keyof typeof ways;

/** Opens the film, removes its name once `go` exists, reads on once `read` exists, ends with `end`. libfuse 2: not `opensAgain`. */
const program = (way: Way, opensAgain: boolean): string => `python3 -c "
import os, time
def wait(name):
    while not os.path.exists(os.environ['TOP'] + '/' + name): time.sleep(0.02)
fd = os.open('d/film.mkv', os.O_RDONLY)
print('open', flush=True)
wait('go')
begun = time.monotonic()
${ways[way]}
print('gone', round(time.monotonic() - begun), flush=True)
wait('read')
assert os.fstat(fd).st_nlink == 0 and os.fstat(fd).st_size == ${size}, os.fstat(fd)
for at in 23, 0, 11, 12, 22:
    assert os.pread(fd, 4, at << 20) == at.to_bytes(4, 'big'), at
    assert set(os.pread(fd, 1000, (at << 20) + 500000)) == {at}, at
again = os.open('/proc/self/fd/%d' % fd, os.O_RDONLY) if ${opensAgain ? 'True' : 'False'} else os.dup(fd)
assert os.pread(again, 1, (13 << 20) + 9) == bytes([13])
os.close(again)
print('read', flush=True)
wait('end')
"`;

describeEach(
  subjects.filter(({ provider }) => provider !== '5sync'),
  'a large unread file of $provider over $binding',
  (subject, { it }) => {
    cleanUpWorlds();

    const opened = async (way: Way, options: readonly string[] = []) => {
      const world = await openWorld(subject);
      await world.sandbox.store.putFile('/d/film.mkv', film);
      await world.sandbox.store.putFile('/d/other', 'other');
      await world.mount('--dir-ttl', '1s', ...options);
      await world.out('ls d');
      const running = world.start(program(way, way === 'removed' && subject.binding === 'kernel'));
      await running.first;
      return { world, running };
    };
    const names = (world: World): string[] => [...world.sandbox.store.md5s().keys()].sort();
    const signal = (world: World, name: string): Promise<string> => world.write(name, '');

    for (const way of Object.keys(ways) as Way[]) {
      it(`is ${way} without a read, and read on at the service`, async () => {
        const isUnstored = way === 'replaced by what is not stored yet';
        const { world, running } = await opened(way, isUnstored ? ['--write-back'] : []);
        if (isUnstored) {
          world.sandbox.faults.add({ method: 'POST', host: 'upload', action: { kind: 'status', status: 500 } });
          world.sandbox.faults.add({ route: '/upload$', action: { kind: 'status', status: 500 } });
          await world.out('echo new > d/new');
        }
        const requests = await world.requestsOf(async () => {
          await signal(world, 'go');
          await expect.poll(() => names(world).some((name) => kept.test(name))).toBe(true);
          await world.until(
            way === 'removed' ? '! test -e d/film.mkv' : '! ls d/other d/new 2>&1 | grep -q -e "^d/other" -e "^d/new"',
          );
        });
        expect(requests.filter(isDownload)).toEqual([]);
        // Nobody is shown it, and its folder can go.
        expect(await world.out('ls -A')).toBe('d');
        // Over libfuse 2 not while the file is open (docs/bindings.md).
        const goes = way === 'removed' && subject.binding === 'kernel';
        if (goes) expect(await world.out('rm d/other && rmdir d && ls -A')).toBe('');
        else if (way !== 'removed') expect(await world.out('cat d/film.mkv')).toBe(isUnstored ? 'new' : 'other');
        await signal(world, 'read');
        await signal(world, 'end');
        const { code, stdout, stderr } = await running.ended;
        expect({ code, stderr, stdout }).toMatchObject({ code: 0, stderr: '' });
        world.sandbox.faults.clear();
        const left =
          way === 'removed' ? (goes ? [] : ['/d/other']) : ['/d/film.mkv', ...(isUnstored ? ['/d/other'] : [])];
        await expect.poll(() => names(world).filter((name) => !left.includes(name))).toEqual([]);
        await world.umount();
        expect(names(world)).toEqual(left);
        const trashed = world.sandbox.store.trash().filter(({ name }) => name.startsWith('film'));
        expect(trashed).toHaveLength(1);
        expect((await world.log()).match(/"level":(40|50|60)[^\n]*(intent|open file|removed)/)).toBeNull();
      });
    }

    it('is gone after the mount has died and come again', async () => {
      const { world, running } = await opened('removed');
      await signal(world, 'go');
      await expect.poll(() => names(world).some((name) => kept.test(name))).toBe(true);
      await world.until('! test -e d/film.mkv');
      const { pid } = await world.status();
      process.kill(pid, 'SIGKILL');
      await world.shell(`while kill -0 ${pid} 2> /dev/null; do sleep 0.05; done`);
      await signal(world, 'read');
      await signal(world, 'end');
      await running.ended;
      await world.mount('--dir-ttl', '1s');
      await expect.poll(() => names(world)).toEqual(['/d/other']);
      expect(await world.out('ls -A . d')).toBe('.:\nd\n\nd:\nother');
      await world.umount();
    });

    it('has its name or is gone, and nothing in between, where no change is answered', async () => {
      const { world, running } = await opened('removed', ['--deadline', '3s']);
      // The removal is carried out, or not, and the answer never comes.
      world.sandbox.faults.add({ method: 'PUT', action: { kind: 'reset', when: 'after' } });
      world.sandbox.faults.add({ method: 'POST', action: { kind: 'reset', when: 'after' } });
      world.sandbox.faults.add({ method: 'DELETE', action: { kind: 'reset', when: 'after' } });
      for (const name of ['go', 'read', 'end']) await signal(world, name);
      const { code } = await running.ended;
      world.sandbox.faults.clear();
      await world.out('$SYNCMOUNT uploads retry');
      const after = code === 0 ? ['/d/other'] : ['/d/film.mkv', '/d/other'];
      await expect.poll(() => names(world)).toEqual(after);
      if (code !== 0) await expect.poll(() => world.out('head -c 4 d/film.mkv | wc -c')).toBe('4');
      await world.umount();
    });
  },
);
