/**
 * 5sync can neither move nor copy. If a large file loses its name while a program has it open, and it is not on this machine, it
 * stays in place at the service. It is hidden at once, its reader goes on by ranges, and it is deleted after the last close. A new
 * file under its name would overwrite it: only then the mount first fetches the rest.
 */
import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../../../src/sandbox/index.js';
import { long } from '../../support/extent.js';
import { isDownload, openWorld } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const size = 24 << 20;

/** Each MiB begins with its number, so that a read can be recognised. */
const film = Buffer.concat(
  Array.from({ length: size >> 20 }, (_, i) => {
    const piece = Buffer.alloc(1 << 20, i);
    piece.writeUInt32BE(i);
    return piece;
  }),
);

/** Has the film open, takes its name away once `go` is there, reads all of it once `read` is, and ends with `end`. */
const program = (act: string): string => `python3 -c "
import errno, os, time
def wait(name):
    while not os.path.exists(os.environ['TOP'] + '/' + name): time.sleep(0.02)
fd = os.open('d/film.mkv', os.O_RDONLY)
print('open', flush=True)
wait('go')
begun = time.monotonic()
${act}
# To fetch the rest, or to wait for a request that is not answered, takes longer on any machine.
print('gone at once' if time.monotonic() - begun < 5 else 'gone late', flush=True)
wait('read')
try:
    assert os.fstat(fd).st_nlink == 0 and os.fstat(fd).st_size == ${size}, os.fstat(fd)
    again = os.open('/proc/self/fd/%d' % fd, os.O_RDONLY)
    for at in range(${size >> 20}):
        piece = os.pread(again, 1 << 20, at << 20)
        assert piece == at.to_bytes(4, 'big') + bytes([at]) * ((1 << 20) - 4), at
    os.close(again)
    print('read', flush=True)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
wait('end')
"`;

const removes = "os.unlink('d/film.mkv')";
const isDelete = ({ route }: LogEntry): boolean => route.startsWith('DELETE');

describe('a large unread file of 5sync', () => {
  cleanUpWorlds();

  const opened = (act: string, ...options: readonly string[]) => openedIn({}, act, ...options);
  const openedIn = async (sandbox: object, act: string, ...options: readonly string[]) => {
    const world = await openWorld({ provider: '5sync', binding: 'kernel' }, sandbox);
    await world.sandbox.store.putFile('/d/film.mkv', film);
    await world.mount('--dir-ttl', '1s', ...options);
    await world.out('ls d');
    const running = world.start(program(act));
    await running.first;
    return { world, running };
  };
  const signal = (world: World, name: string): Promise<string> => world.write(name, '');
  const names = (world: World): string[] => [...world.storedMd5s().keys()].sort();
  const isGone = (world: World): Promise<void> => world.until('! test -e d/film.mkv');
  const ended = async ({ world, running }: Awaited<ReturnType<typeof opened>>): Promise<string> => {
    await signal(world, 'read');
    await signal(world, 'end');
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout;
  };

  it('is removed without a request, read to its end, and deleted once', long, async () => {
    const both = await opened(removes);
    const { world } = both;
    const during = await world.requestsOf(async () => {
      await signal(world, 'go');
      await isGone(world);
      // Its folder is there through it alone, as the service has it, and can go here.
      expect(await world.out('ls -A d; rmdir d; ls -A')).toBe('');
    });
    expect(during.filter(({ route }) => route !== 'GET /changes')).toEqual([]);
    expect(names(world)).toEqual(['/d/film.mkv']);
    // Nor does a later listing bring it back.
    const polls = (): number => world.sandbox.log.entries().filter(({ route }) => route === 'GET /changes').length;
    const before = polls();
    await world.sandbox.store.putFile('/other', 'other');
    await world.until('test -e other');
    expect(polls()).toBeGreaterThan(before);
    expect(await world.out('ls -A')).toBe('other');

    const after = await world.requestsOf(async () => {
      expect(await ended(both)).toBe('open\ngone at once\nread\n');
      await expect.poll(() => names(world)).toEqual(['/other']);
    });
    expect(after.filter(isDelete)).toHaveLength(1);
    await world.umount();
    expect((await world.log()).match(/"level":(40|50|60)/)).toBeNull();
  });

  it('is deleted by the next mount where this one has died, and is never seen again', long, async () => {
    const { world, running } = await opened(removes);
    await signal(world, 'go');
    await isGone(world);
    process.kill((await world.status()).pid, 'SIGKILL');
    for (const name of ['read', 'end']) await signal(world, name);
    await running.ended;
    world.sandbox.faults.add({ method: 'DELETE', action: { kind: 'status', status: 503 } });
    await world.mount('--dir-ttl', '1s', '--deadline', '2s');
    expect(await world.out('ls -A d')).toBe('');
    await world.sandbox.store.putFile('/d/other', 'other');
    await world.until('test -e d/other');
    expect(await world.out('ls -A d')).toBe('other');
    expect(names(world)).toEqual(['/d/film.mkv', '/d/other']);
    world.sandbox.faults.clear();
    await world.out('$SYNCMOUNT uploads retry');
    await expect.poll(() => names(world)).toEqual(['/d/other']);
    await world.umount();
  });

  it('is deleted at umount by force, or by the next mount', async () => {
    const { world, running } = await opened(removes);
    await signal(world, 'go');
    await isGone(world);
    await world.cli(['umount', '--force', world.mnt]);
    for (const name of ['read', 'end']) await signal(world, name);
    await running.ended;
    await world.mount('--dir-ttl', '1s');
    await expect.poll(() => names(world)).toEqual([]);
    expect(await world.out('ls -A d')).toBe('');
    await world.umount();
  });

  for (const writeBack of [false, true]) {
    it(`leaves its name to a new file${writeBack ? ', stored in the background' : ''}, before which the rest is fetched`, async () => {
      const both = await opened(removes, ...(writeBack ? ['--write-back'] : []));
      const { world } = both;
      const stored = await world.requestsOf(async () => {
        await signal(world, 'go');
        await isGone(world);
        await world.out('echo new > d/film.mkv');
        await world.untilWaiting(0, 0);
      });
      const [first, ...rest] = stored.filter((one) => isDelete(one) || one.method === 'PUT');
      expect([first?.method, ...rest.map(({ method }) => method)]).toEqual(['DELETE', 'PUT']);
      expect(stored.filter(isDownload).every(({ n }) => n < (first?.n ?? 0))).toBe(true);
      expect(`${await world.sandbox.store.readFile('/d/film.mkv')}`).toBe('new\n');
      expect(await world.out('cat d/film.mkv; ls -A d')).toBe('new\nfilm.mkv');
      expect(await ended(both)).toBe('open\ngone at once\nread\n');
      await world.umount();
      expect(names(world)).toEqual(['/d/film.mkv']);
      expect(`${await world.sandbox.store.readFile('/d/film.mkv')}`).toBe('new\n');
    });
  }

  it(
    'is replaced by what is not stored yet without waiting for it, and fetched before that is stored',
    long,
    async () => {
      const both = await opened("os.rename('d/new', 'd/film.mkv')", '--write-back', '--deadline', '3s');
      const { world } = both;
      world.sandbox.faults.add({ route: '^PUT /files$', action: { kind: 'status', status: 503 } });
      await world.out('echo new > d/new');
      // Nothing can be read meanwhile.
      world.sandbox.faults.add({ route: 'download$', action: { kind: 'status', status: 503 } });
      await signal(world, 'go');
      await world.until('! test -e d/new');
      expect(await world.out('cat d/film.mkv; ls -A d')).toBe('new\nfilm.mkv');
      await world.untilWaiting(0, 1);
      world.sandbox.faults.clear();
      expect(world.sandbox.log.entries().filter(isDelete)).toEqual([]);
      await world.out('$SYNCMOUNT uploads retry');
      await world.untilWaiting(0, 0);
      expect(`${await world.sandbox.store.readFile('/d/film.mkv')}`).toBe('new\n');
      expect(await ended(both)).toBe('open\ngone at once\nread\n');
      await world.umount();
      expect(names(world)).toEqual(['/d/film.mkv']);
    },
  );

  const takers = {
    'a file renamed to it': ['mv other d/film.mkv', ['/d/film.mkv']],
    'a directory': ['mkdir d/film.mkv && mv other d/film.mkv/', ['/d/film.mkv/other']],
  } as const;
  for (const [taker, [command, left]] of Object.entries(takers)) {
    it(`leaves its name to ${taker}`, async () => {
      const both = await opened(removes);
      const { world } = both;
      await signal(world, 'go');
      await isGone(world);
      await world.out(`echo other > other && ${command}`);
      expect(names(world)).toEqual(left);
      expect(await ended(both)).toBe('open\ngone at once\nread\n');
      await world.umount();
      expect(names(world)).toEqual(left);
    });
  }

  it('is fetched before a stored file is renamed over it, as that stores it anew', async () => {
    const both = await opened("os.rename('other', 'd/film.mkv')");
    const { world } = both;
    await world.out('echo other > other');
    await signal(world, 'go');
    await world.until('test "$(cat d/film.mkv)" = other');
    expect(await ended(both)).toMatch(/^open\ngone [a-z ]+\nread\n$/);
    await world.umount();
    expect(names(world)).toEqual(['/d/film.mkv']);
  });

  it('is not begun to be fetched where the requests of the hour do not reach to the end', async () => {
    const { world } = await openedIn({ requestsPerHour: 9 }, removes);
    await signal(world, 'go');
    await isGone(world);
    const asked = await world.requestsOf(async () => {
      await world.write('new', 'new');
      const { stderr } = await world.sh('cp "$TOP/new" d/film.mkv');
      expect(stderr).toMatch(/resource busy/i);
    });
    expect(asked).toEqual([]);
    expect((await world.status()).failed).toEqual([expect.objectContaining({ path: '/d/film.mkv', code: 'EBUSY' })]);
    expect(await world.out('cat d/film.mkv')).toBe('new');
    expect(names(world)).toEqual(['/d/film.mkv']);
  });

  it('keeps what its writer changed, which is not stored', async () => {
    // The first MiB is written anew with the same bytes, the others are still the service's.
    const both = await opened(
      `os.pwrite(os.open('d/film.mkv', os.O_WRONLY), bytes(4) + bytes((1 << 20) - 4), 0); ${removes}`,
    );
    const { world } = both;
    const during = await world.requestsOf(async () => {
      await signal(world, 'go');
      await isGone(world);
    });
    expect(during.filter((one) => one.method === 'PUT' || isDelete(one))).toEqual([]);
    expect(await ended(both)).toBe('open\ngone at once\nread\n');
    await expect.poll(() => names(world)).toEqual([]);
    await world.umount();
  });

  it('stays for its reader where the file that was to replace it is removed in its turn', async () => {
    const both = await opened("os.rename('d/new', 'd/film.mkv'); os.unlink('d/film.mkv')", '--write-back');
    const { world } = both;
    world.sandbox.faults.add({ route: '^PUT /files$', action: { kind: 'status', status: 503 } });
    await world.out('echo new > d/new');
    await signal(world, 'go');
    await world.until('! test -e d/new && ! test -e d/film.mkv');
    expect(names(world)).toEqual(['/d/film.mkv']);
    expect(await ended(both)).toBe('open\ngone at once\nread\n');
    await expect.poll(() => names(world)).toEqual([]);
    // That the directory is there without a file is for the account too.
    world.sandbox.faults.clear();
    await world.umount();
  });

  it("is another client's again where that has stored a new version of it", async () => {
    const both = await opened(removes);
    const { world } = both;
    await signal(world, 'go');
    await isGone(world);
    await world.sandbox.store.putFile('/d/film.mkv', 'theirs');
    await world.until('test "$(cat d/film.mkv)" = theirs');
    expect(await ended(both)).toBe('open\ngone at once\nESTALE\n');
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/d/film.mkv')}`).toBe('theirs');
  });

  it('stays out of sight where the service refuses to delete it, and status lists it', async () => {
    const both = await opened(removes);
    const { world } = both;
    await signal(world, 'go');
    await isGone(world);
    world.sandbox.faults.add({ method: 'DELETE', action: { kind: 'status', status: 403, code: 'forbidden' } });
    expect(await ended(both)).toBe('open\ngone at once\nread\n');
    const listed = [{ path: '/d/film.mkv', was: 'film.mkv' }];
    await expect.poll(async () => (await world.status()).kept).toEqual(listed);
    expect(await world.out('ls -A d')).toBe('');
    world.sandbox.faults.clear();
    await world.out('$SYNCMOUNT uploads retry');
    await expect.poll(() => names(world)).toEqual([]);
    expect((await world.status()).kept).toBeUndefined();
    await world.umount();
  });
});
