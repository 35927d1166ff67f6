/** A server that stalls: each system call ends within one `--deadline`, counted from its arrival. */
import { beforeEach, describe, expect, it } from 'vitest';
import { openWorld, overKernel, traits } from './subjects.js';
import { cleanUpWorlds, type World } from './world.js';

/** ms */
const DEADLINE = 3000;
/** Of the deadline, for the question what has become of a change, and a busy machine. */
const SLACK = 1.4;

/** Runs the calls of `calls` and prints what took too long, and what did not fail. */
const timing = (calls: readonly string[]): string => `exec python3 - <<'END'
import os, time
def copied(a, b):
    source = os.open(a, os.O_RDONLY); target = os.open(b, os.O_WRONLY | os.O_CREAT)
    return lambda: os.copy_file_range(source, target, 1 << 20)
def reading(path, offset=0):
    fd = os.open(path, os.O_RDONLY)
    return lambda: os.pread(fd, 1 << 20, offset)
def listing(path):
    fd = os.open(path, os.O_RDONLY)
    return lambda: os.listdir(fd)
def closing(path, flags):
    fd = os.open(path, os.O_WRONLY | flags); os.write(fd, b'x')
    return lambda: os.close(fd)
for name, make in [${calls.map((call) => `(${JSON.stringify(call)}, lambda: ${call})`).join(', ')}]:
    try: act = make()
    except OSError as e: print(name, 'cannot be prepared:', e); continue
    begun = time.monotonic(); failed = None
    try: act()
    except OSError as e: failed = e
    took = time.monotonic() - begun
    if took > ${(DEADLINE / 1000) * SLACK} or failed is None: print(name, round(took, 1), 's', failed)
END`;

describe.each(overKernel)('a server of $provider that answers nothing any more', (subject) => {
  const { movesFolders, keepsFolders } = traits[subject.provider];
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
    const { store } = world.sandbox;
    for (const name of 'abcdefg') await store.putFile(`/d/${name}`, name.repeat(3000));
    await store.putFile('/d/large', Buffer.alloc(8_000_000, 'x'));
    await store.putFile('/cold/file', 'x');
    if (keepsFolders) store.makeFolder('/d/empty');
  });

  // What an old listing adds is the same for all.
  const old: [string, readonly string[]][] = subject.provider === '4shared' ? [['old', ['--dir-ttl', '1s']]] : [];
  it.each<[string, readonly string[]]>([['fresh', []], ...old])(
    'lets every call end in time, while listings are %s',
    async (_what, flags) => {
      await world.mount('--deadline', `${DEADLINE}ms`, ...flags);
      await world.out('ls -l . d');
      world.sandbox.faults.add({ action: { kind: 'stall', ms: 600_000 } });
      const calls = [
        `reading('d/a')`,
        `reading('d/large')`,
        `reading('d/large', 5_000_000)`,
        // 5sync has listed all of the account.
        ...(keepsFolders ? [`listing('cold')`, `lambda: os.stat('cold/x')`] : []),
        `lambda: os.unlink('d/d')`,
        ...(keepsFolders ? [`lambda: os.mkdir('d/new')`, `lambda: os.rmdir('d/empty')`] : []),
        ...(movesFolders ? [`copied('d/b', 'd/copy')`, `lambda: os.rename('d/e', 'd/other')`] : []),
        ...(movesFolders ? [`lambda: os.rename('d/f', 'd/g')`, `lambda: os.rename('d', 'else')`] : []),
        `closing('d/c', os.O_TRUNC)`,
        // 5sync asks once more whether a new file is there whose answer was lost.
        ...(keepsFolders ? [`closing('d/fresh', os.O_CREAT)`] : []),
      ];
      expect(await world.out(timing(calls))).toBe('');
      world.sandbox.faults.clear();
    },
    200_000,
  );
});
