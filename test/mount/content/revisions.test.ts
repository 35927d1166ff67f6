/** A program with an open file never gets bytes of two revisions, even if nothing tells the revision of a part. */
import { afterEach, describe, expect, it } from 'vitest';
import { isChosen } from '../../support/extent.js';
import { openWorld } from '../subjects.js';
import { bindingNames, cleanUpWorlds, type World } from '../world.js';

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;

/** Reads at these offsets, prints errors by name, and at the end which bytes it was ever shown; `wait` waits for a file. */
const python = (script: string): string => `python3 -c "
import errno, os, time
def wait(name):
    while not os.path.exists(os.environ['TOP'] + '/' + name): time.sleep(0.02)
def read(fd, offsets):
    seen = set()
    for at in offsets:
        try: seen |= set(os.pread(fd, 4096, at))
        except OSError as e: print(errno.errorcode[e.errno], flush=True)
    return seen
${script}"`;
const offsets = (...mib: number[]): string => `[${mib.map((at) => at * MIB + 12345).join(', ')}]`;

describe.each(bindingNames)('over the %s binding', (binding) => {
  cleanUpWorlds();
  let row = 0;
  /** In the quick run each test is for one of the bindings. */
  const turn = (name: string, test: () => Promise<void>): void => {
    if (isChosen(row++, bindingNames.indexOf(binding), bindingNames.length)) it(name, test);
  };
  let world: World;
  const go = (name: string): Promise<string> => world.write(name, '');
  const put = (byte: string, size = SIZE): Promise<unknown> =>
    world.sandbox.store.putFile('/file', Buffer.alloc(size, byte));
  afterEach(async () => world?.sh('touch "$TOP/replaced" "$TOP/end"'));

  turn('no new byte of the same size comes to who read of the old, from a server that names no versions', async () => {
    world = await openWorld({ provider: '4shared', binding }, { readings: { validator: 'none' } });
    await put('a');
    // No listing tells of the change.
    await world.mount('--dir-ttl', '1h', '--strict-reads');
    const reader = world.start(
      python(`
fd = os.open('file', os.O_RDONLY)
seen = read(fd, ${offsets(3, 6, 1)}); print('read', flush=True)
wait('replaced')
seen |= read(fd, ${offsets(5, 2, 7, 3)}); print(bytes(seen), flush=True)
open(os.environ['TOP'] + '/done', 'w'); wait('end')`),
    );
    await reader.first;
    await put('b');
    await go('replaced');
    await world.out('until [ -e "$TOP/done" ]; do sleep 0.05; done');
    if (binding === 'kernel') expect(await world.out('tail -c 2 file')).toBe('bb');
    await go('end');
    expect((await reader.ended).stdout).toBe("read\nESTALE\nESTALE\nESTALE\nb'a'\n");
    expect(await world.out('tail -c 2 file')).toBe('bb');
  });

  turn(
    'a change is found within a second, from a server that names no versions, and what came meanwhile goes',
    async () => {
      world = await openWorld({ provider: '4shared', binding }, { readings: { validator: 'none' } });
      await put('a');
      await world.mount('--dir-ttl', '1h');
      const reader = world.start(
        python(`
fd = os.open('file', os.O_RDONLY)
seen = read(fd, ${offsets(3, 6, 1)}); print('read', flush=True)
wait('replaced')
# Within a second of the last question this may be told the new bytes, and no later.
until = time.time() + 60; time.sleep(1.1)
while time.time() < until:
    try: os.pread(fd, 4096, ${5 * MIB})
    except OSError as e: print(errno.errorcode[e.errno], flush=True); break
    time.sleep(0.1)
print(bytes(read(fd, ${offsets(2, 7, 3)})), flush=True)
open(os.environ['TOP'] + '/done', 'w'); wait('end')`),
      );
      await reader.first;
      await put('b');
      await go('replaced');
      await world.out('until [ -e "$TOP/done" ]; do sleep 0.05; done');
      if (binding === 'kernel') expect(await world.out('tr -d b < file | wc -c')).toBe('0');
      await go('end');
      expect((await reader.ended).stdout).toMatch(/^read\n(ESTALE\n){3,4}b'a?'\n$/);
      expect(await world.out('tr -d b < file | wc -c')).toBe('0');
    },
  );

  turn('reads at random cost a question a second, from a server that names no versions', async () => {
    world = await openWorld({ provider: '4shared', binding }, { readings: { validator: 'none' } });
    await put('a', 64 * MIB);
    await world.mount();
    const started = performance.now();
    const routes = await world.routesOf(() =>
      world.out(
        python(`
fd = os.open('file', os.O_RDONLY)
for at in range(60): os.pread(fd, 4096, (at * 37 % 61) * 1000003)`),
      ),
    );
    const seconds = (performance.now() - started) / 1000;
    const isRange = (route: string): boolean => route.endsWith('download');
    expect(routes.filter(isRange).length).toBeGreaterThanOrEqual(55);
    const questions = routes.filter((route) => route === 'GET /files/{id}').length;
    expect(questions).toBeGreaterThan(0);
    // One at the beginning, and one at the end for what came last.
    expect(questions).toBeLessThanOrEqual(seconds + 2);
  });

  it.runIf(binding === 'kernel')(
    'who read of a longer one is not told that it ends where the new one does',
    async () => {
      world = await openWorld({ provider: '4shared', binding });
      await put('a');
      await world.mount('--dir-ttl', '1s');
      const reader = world.start(
        python(`
fd = os.open('file', os.O_RDONLY)
seen = read(fd, ${offsets(3)}); print('read', flush=True)
wait('replaced')
# Whoever looks at the file makes the kernel learn its new size.
while os.stat('file').st_size != ${2 * MIB}: time.sleep(0.05)
seen |= read(fd, ${offsets(5)}); print(bytes(seen), flush=True)
for at in (${2 * MIB - 100}, ${6 * MIB}):
    try: print(len(os.pread(fd, 4096, at)), flush=True)
    except OSError as e: print(errno.errorcode[e.errno], flush=True)
again = os.open('file', os.O_RDONLY)
print(len(os.pread(again, 4096, ${2 * MIB - 100})), os.pread(again, 4096, ${2 * MIB}), flush=True)
os.close(fd)
print(os.fstat(again).st_size)`),
      );
      await reader.first;
      await put('b', 2 * MIB);
      await go('replaced');
      expect((await reader.ended).stdout).toBe(`read\nESTALE\nb'a'\nESTALE\nESTALE\n100 b''\n${2 * MIB}\n`);
    },
  );

  turn('one that opens a file shows no new byte to another who read of the old', async () => {
    world = await openWorld({ provider: '4shared', binding });
    await put('a');
    await world.mount('--dir-ttl', '1s');
    const reader = world.start(
      python(`
fd = os.open('file', os.O_RDONLY)
seen = read(fd, ${offsets(3)}); print('read', flush=True)
wait('replaced')
seen |= read(fd, range(0, ${SIZE}, 100000)); print(bytes(seen), flush=True)`),
    );
    await reader.first;
    await put('b', SIZE + MIB);
    await world.sandbox.store.putFile('/another', 'x');
    await world.until('[ -e another ]');
    const second = await world.out(
      python(`
fd = os.open('file', os.O_RDONLY)
print(bytes(read(fd, ${offsets(3)} + list(range(0, ${SIZE}, 500000)))))`),
    );
    // The kernel binding keeps the two apart; else the second is given what is here of the first's.
    if (binding === 'kernel') expect(second).toBe("b'b'");
    else expect(second).toMatch(/^(ESTALE\n)+b'a'$/);
    await go('replaced');
    expect((await reader.ended).stdout).toMatch(/^read\n(ESTALE\n)+b'a'\n$/);
    const size = SIZE + MIB;
    expect(
      await world.out(
        `until [ $(stat -c %s file) = ${size} ]; do sleep 0.1; done; tr -d b < file | wc -c; wc -c < file`,
      ),
    ).toBe(`0\n${size}`);
  });

  turn('what is emptied and written while another reads of an older version replaces the latest', async () => {
    world = await openWorld({ provider: '4shared', binding });
    await put('a');
    await world.mount('--dir-ttl', '1s');
    const reader = world.start(
      python(`
fd = os.open('file', os.O_RDONLY)
read(fd, ${offsets(3)}); print('read', flush=True)
wait('replaced')
print(bytes(sorted(read(fd, ${offsets(3)} + [0]))), flush=True)`),
    );
    await reader.first;
    await put('b');
    await world.sandbox.store.putFile('/another', 'x');
    await world.until('[ -e another ]');
    await world.out('printf mine > file; cat file');
    await go('replaced');
    // The kernel binding keeps the reader apart; else he is given what everybody has.
    expect((await reader.ended).stdout).toMatch(
      binding === 'kernel' ? /^read\n(ESTALE\n)*b'a?'\n$/ : /^read\nb'eimn'\n$/,
    );
    const { store } = world.sandbox;
    expect(store.list('/').map(({ name }) => name)).toEqual(['another', 'file']);
    expect(`${await store.readFile('/file')}`).toBe('mine');
  });
});
