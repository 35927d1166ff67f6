/** Another client swaps two nested directories, so that the outer one is in the inner one. That is legal, and the mount must follow. */
import { beforeEach, expect } from 'vitest';
import { describeEach, openWorld, subjects, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const holders = subjects.filter(({ provider }) => traits[provider].keepsFolders);

describeEach(holders, '$provider over the $binding binding: /A/B becomes /B/A', (subject, { it, unless }) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
    for (const path of ['/A/a', '/A/B/b', '/A/B/C/c']) await world.sandbox.store.putFile(path, `at ${path}`);
    await world.mount('--dir-ttl', '1s');
    await world.out('find . >/dev/null');
  });

  const turn = (): void => {
    world.sandbox.store.move('/A/B', '/');
    world.sandbox.store.move('/A', '/B');
  };
  const whole = './B ./B/A ./B/A/a ./B/C ./B/C/c ./B/b';
  /** Waits until the mount shows what is at the service. */
  const settled = async (): Promise<string> => {
    const shown = 'find . -mindepth 1 | sort | xargs';
    await world.until(`[ "$(${shown})" = "${whole}" ]`);
    return world.out(shown);
  };

  const knowsInodes = unless(
    ({ binding }) => binding === 'native',
    'libfuse 2 knows an open directory by its path, which is gone',
  );
  knowsInodes(
    'the mount shows it, with descriptors of files and directories open, through which one goes on',
    async () => {
      const program = world.start(
        `python3 -c "
import errno, os, time
b = os.open('A/B', os.O_RDONLY)
c = os.open('A/B/C', os.O_RDONLY)
f = os.open('A/B/b', os.O_RDWR)
print('open', flush=True)
def wait(name):
    while not os.path.exists(os.environ['TOP'] + '/' + name): time.sleep(0.02)
wait('turned')
# No path leads through here: the first to be listed anew is the inner directory.
while 'A' not in os.listdir(f'/proc/self/fd/{b}'): time.sleep(0.05)
for act in [lambda: os.rename('C', 'D', src_dir_fd=b, dst_dir_fd=b), lambda: os.rename('D', 'C', src_dir_fd=b, dst_dir_fd=b), lambda: os.rename('x', 'C/y', src_dir_fd=b, dst_dir_fd=b),
            lambda: os.listdir(c), lambda: os.stat('A/a', dir_fd=b)]:
    try: act()
    except OSError as e: print(errno.errorcode[e.errno], flush=True)
open(os.environ['TOP'] + '/seen', 'w')
wait('settled')
print(sorted(os.listdir(b)), os.stat('A/a', dir_fd=b).st_size, os.pread(f, 99, 0).decode(), flush=True)
os.rename('C/c', 'A/c', src_dir_fd=b, dst_dir_fd=b)
os.pwrite(f, b'AT', 0); os.close(f)
"`,
      );
      await program.first;
      turn();
      await world.write('turned', '');
      await world.until('[ -e "$TOP/seen" ]');
      expect(await settled()).toBe(whole);
      await world.write('settled', '');
      const { stdout, stderr, code } = await program.ended;
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/\['A', 'C', 'b'\] 7 at \/A\/B\/b\n$/);
      const { store } = world.sandbox;
      expect([...store.md5s().keys()].sort()).toEqual(['/B/A/a', '/B/A/c', '/B/b']);
      expect(`${await store.readFile('/B/b')}`).toBe('AT /A/B/b');
      expect(await world.out('cat B/A/c B/b')).toBe('at /A/B/C/cAT /A/B/b');
    },
  );

  it('a program in the inner directory is not held up, and moves on from there', async () => {
    turn();
    const { code } = await world.sh(
      'cd A/B; for i in $(seq 20); do ls >/dev/null; ls A >/dev/null 2>&1; mv nothing A/x 2>/dev/null; mv b A/ 2>/dev/null; mv A/b . 2>/dev/null; sleep 0.1; done; true',
    );
    expect([0, 1]).toContain(code);
    expect(await settled()).toBe(whole);
    expect([...world.sandbox.store.md5s().keys()].sort()).toEqual(['/B/A/a', '/B/C/c', '/B/b']);
  });
});
