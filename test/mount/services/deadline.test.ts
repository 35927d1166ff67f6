// @module-tag long
/** If the server stalls, each system call ends within one `--deadline`, counted from its arrival. */
import { beforeEach, describe, expect, it } from 'vitest';
import { eachService, openWorld, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** ms */
const DEADLINE = 5000;
/**
 * Of the deadline: less than two of them, which is what a call would take that waits for two requests, one after the other.
 * The question what has become of a change has its share of it, and so has a busy machine.
 */
const SLACK = 1.8;

/**
 * Makes ready all calls of `calls`, then does them at the same time, a thread for each, and prints what took too long, and what
 * did not fail. Each call has a directory of its own, which it opens first: the kernel lets calls that change one directory wait
 * for each other.
 */
const timing = (calls: readonly string[]): string => `exec python3 - <<'END'
import os, threading, time
at = lambda path: os.open(path, os.O_RDONLY)
def copied(directory, a, b):
    source = os.open(a, os.O_RDONLY, dir_fd=directory); target = os.open(b, os.O_WRONLY | os.O_CREAT, dir_fd=directory)
    return lambda: os.copy_file_range(source, target, 1 << 20)
def reading(path, offset=0):
    fd = at(path)
    return lambda: os.pread(fd, 1 << 20, offset)
def listing(path):
    fd = at(path)
    return lambda: os.listdir(fd)
def closing(directory, name, flags):
    fd = os.open(name, os.O_WRONLY | flags, dir_fd=directory); os.write(fd, b'x')
    return lambda: os.close(fd)
made, said = {}, {}
def make(name, preparing):
    try: made[name] = preparing()
    except OSError as e: said[name] = f'cannot be prepared: {e}'
def act(name, call):
    begun = time.monotonic(); failed = None
    try: call()
    except OSError as e: failed = e
    took = time.monotonic() - begun
    if took > ${(DEADLINE / 1000) * SLACK} or failed is None: said[name] = f'{took:.1f} s {failed}'
def together(function, pairs):
    threads = [threading.Thread(target=function, args=pair) for pair in pairs]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
together(make, [${calls.map((call) => `(${JSON.stringify(call)}, lambda: ${call})`).join(', ')}])
together(act, list(made.items()))
for name, what in said.items(): print(name, what)
END`;

describe.each(eachService(1))('a server of $provider that answers nothing any more', (subject) => {
  const { movesFolders, keepsFolders } = traits[subject.provider];
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
    const { store } = world.sandbox;
    for (const name of 'abcdefghi') await store.putFile(`/d/${name}/file`, name.repeat(3000));
    await store.putFile('/d/h/other', 'other');
    await store.putFile('/d/i/large', Buffer.alloc(8_000_000, 'x'));
    // Not beside what is listed: a walk is listed ahead of.
    await store.putFile('/cold/file', 'x');
    await store.putFile('/unknown/file', 'x');
    if (keepsFolders) store.makeFolder('/d/e/empty');
  });

  // What an old listing adds is the same for all.
  const old: [string, readonly string[]][] = subject.provider === '4shared' ? [['old', ['--dir-ttl', '1s']]] : [];
  it.each<[string, readonly string[]]>([['fresh', []], ...old])(
    'lets every call end in time, while listings are %s',
    async (_what, flags) => {
      await world.mount('--deadline', `${DEADLINE}ms`, ...flags);
      await world.out('ls -l . d d/*');
      world.sandbox.faults.add({ action: { kind: 'stall', ms: 600_000 } });
      const within = (path: string, call: string): string => `(lambda d: lambda: ${call})(at('${path}'))`;
      const calls = [
        `reading('d/i/file')`,
        `reading('d/i/large')`,
        `reading('d/i/large', 5_000_000)`,
        // 5sync has listed all of the account.
        ...(keepsFolders ? [`listing('cold')`, within('unknown', `os.stat('x', dir_fd=d)`)] : []),
        within('d/a', `os.unlink('file', dir_fd=d)`),
        ...(keepsFolders
          ? [within('d/b', `os.mkdir('new', dir_fd=d)`), within('d/e', `os.rmdir('empty', dir_fd=d)`)]
          : []),
        ...(movesFolders
          ? [
              `copied(at('d/c'), 'file', 'copy')`,
              within('d/d', `os.rename('file', 'other', src_dir_fd=d, dst_dir_fd=d)`),
              within('d/h', `os.rename('file', 'other', src_dir_fd=d, dst_dir_fd=d)`),
              within('d', `os.rename('i', 'else', src_dir_fd=d, dst_dir_fd=d)`),
            ]
          : []),
        `closing(at('d/f'), 'file', os.O_TRUNC)`,
        // 5sync asks once more whether a new file is there whose answer was lost.
        ...(keepsFolders ? [`closing(at('d/g'), 'fresh', os.O_CREAT)`] : []),
      ];
      expect(await world.out(timing(calls))).toBe('');
      world.sandbox.faults.clear();
    },
  );
});
