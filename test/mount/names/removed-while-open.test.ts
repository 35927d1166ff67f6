/** A file that loses its name while it is open works as on a local disk until the last close: bytes, size, times and mode. */
import { expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, subjects } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** What is opened before, and how it got there. */
const files = {
  'not read yet': '',
  'read and cached': 'cat f f > /dev/null',
  'written here': 'cp f g; mv g f',
} as const;

const ways = {
  removed: "os.unlink('f')",
  replaced: "os.rename('other', 'f')",
} as const;

/** One file after the other, as programs do who keep a configuration file. */
const check = (cell: string, way: string): string => `cd '${cell}'; python3 -c "
import os
def facts(fd): s = os.fstat(fd); return (s.st_size, s.st_mtime_ns, s.st_mode, s.st_uid, s.st_gid, s.st_ino)
os.chmod('f', 0o640); os.setxattr('f', 'user.k', b'v')
r = os.open('f', os.O_RDONLY); w = os.open('f', os.O_RDWR)
before = facts(r); links = os.fstat(r).st_nlink
${way}
assert facts(r) == before == facts(w), (facts(r), before)
assert (links, os.fstat(r).st_nlink) == (1, 0), os.fstat(r).st_nlink
assert os.pread(r, 200000, 0) == b'f' * 100000 == os.pread(w, 200000, 0)
os.pwrite(w, b'changed', 99990); os.ftruncate(w, 150000)
assert os.fstat(r).st_size == 150000 and os.pread(r, 8, 99989) == b'fchanged'
os.close(w); assert os.pread(r, 8, 99989) == b'fchanged' and os.fstat(r).st_size == 150000
os.fchmod(r, 0o600); assert os.fstat(r).st_mode & 0o777 == 0o600
os.close(r)" && ls`;

describeEach(subjects, 'a file of $provider over $binding that goes while it is open', (subject, { it, unless }) => {
  cleanUpWorlds();
  /** Each way to go in each state, in a directory of its own. */
  const cells = Object.entries(files).flatMap(([state, prepare]) =>
    Object.entries(ways).map(([way, act]) => ({ name: `${way}, ${state}`, way, prepare, act })),
  );
  const open = async (options: readonly string[], names: readonly string[]): Promise<World> => {
    const world = await openWorld(subject);
    for (const name of names) {
      await world.sandbox.store.putFile(`${name}/f`, 'f'.repeat(100_000));
      await world.sandbox.store.putFile(`${name}/other`, 'other');
    }
    await world.mount(...options);
    return world;
  };

  for (const options of [[], ['--write-back']]) {
    it(`${cells.map(({ name }) => name).join('; ')} (${options.join(' ') || 'close waits'})`, async () => {
      const world = await open(
        options,
        cells.map(({ name }) => `/${name}`),
      );
      const left = (way: string): string => (way === 'removed' ? 'other' : 'f');
      for (const { name, way, prepare, act } of cells) {
        await world.out(`cd '${name}'; ls; ${prepare}`);
        expect([name, await world.out(check(name, act))]).toEqual([name, left(way)]);
      }
      await world.umount();
      for (const { name, way } of cells)
        expect([name, `${await world.sandbox.store.readFile(`/${name}/${left(way)}`)}`]).toEqual([name, 'other']);
      expect((await world.log()).match(/unexpected|malformed/)).toBeNull();
    });
  }

  // There an open may meet a name that its path led to a moment ago (docs/bindings.md, "Replaced files").
  unless(({ binding }) => binding === 'native', 'libfuse 2 opens by path')(
    'a reader of a file that is replaced again and again sees a whole version of it each time',
    long,
    async () => {
      const world = await open(['--write-back'], ['']);
      await world.out('ls');
      const out = await world.out(`python3 -c "
import os, subprocess, sys
writer = subprocess.Popen([sys.executable, '-c', '''
import os
for i in range(150):
    with open('new', 'w') as f: f.write(str(i % 10) * (1000 + i))
    os.rename('new', 'f')'''])
seen = 0
while writer.poll() is None:
    try: fd = os.open('f', os.O_RDONLY)
    except FileNotFoundError: continue
    data = b''.join(iter(lambda: os.read(fd, 4096), b''))
    # What was opened, and not what has the name by now.
    assert len(data) == os.fstat(fd).st_size and len(data) >= 1000 and len(set(data)) == 1, (len(data), os.fstat(fd))
    os.close(fd); seen += 1
assert writer.wait() == 0 and seen > 20; print('whole')"`);
      expect(out).toBe('whole');
    },
  );
});
