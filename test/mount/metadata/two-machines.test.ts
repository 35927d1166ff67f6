/** One machine shows the other's changes of names: swaps of open files, and changes by clocks that are a day apart. */
import { expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, overKernel, protocols, type Subject, traits } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

const carried = ['--metadata', 'account', '--dir-ttl', '1s'] as const;
/** Names, kinds, targets, modes, times of files, contents and attributes. */
const tree = `find . -mindepth 1 -type d -printf '%P|%y|%m\\n' -o -type f -printf '%P|%y|%m|%n|%T@\\n' -o -printf '%P|%y|%m|%n|%l\\n' | sort
  find . -type f | sort | xargs -r md5sum; find . | sort | xargs getfattr -dh | grep -v '^$' || true`;

const lacksRenames = ({ provider }: Subject): boolean => !traits[provider].movesFolders;

/** Prints what must be the same on a local disk. `p` and `q` keep their kinds of content, but swap their entries. */
const swap = `
mkdir p q p/sub q/sub; echo 'of p' > p/f; echo 'of q' > q/g; chmod 600 p/f; chmod 4755 q/g; setfattr -n user.from -v p p/f
echo x > p/sub/x; echo y > q/sub/y; chmod 700 p/sub; echo plain > p/plain; ln -s target q/link; mkdir q/other; echo z > q/other/z
ln p/f p/again; ls -R > "$TOP/listed"
python3 - <<'PY'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def exchange(a, b):
    if libc.renameat2(-100, a.encode(), -100, b.encode(), 2) < 0: raise OSError(ctypes.get_errno(), 'renameat2', a)
inodes = lambda *names: [os.lstat(name).st_ino for name in names]
f, g = os.open('p/f', os.O_RDWR | os.O_APPEND), os.open('q/g', os.O_RDWR)
dirs = [os.open(name, os.O_RDONLY | os.O_DIRECTORY) for name in ('p/sub', 'q/sub')]
os.write(f, b'before\\n')
pairs = ('p/f', 'q/g'), ('p/sub', 'q/sub'), ('p/plain', 'q/other'), ('p/again', 'q/link')
for a, b in pairs:
    before = inodes(a, b)
    exchange(a, b)
    print(a, b, inodes(b, a) == before)
os.write(f, b'after\\n'); os.pwrite(g, b'OF', 0)
print(os.pread(f, 100, 0), os.pread(g, 100, 0), [os.fstat(h).st_nlink for h in (f, g)])
print([sorted(os.listdir(d)) for d in dirs], [os.stat(n).st_nlink for n in ('p', 'q')])
made = os.open('made', os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=dirs[0]); os.write(made, b'through the open directory'); os.close(made)
for h in (f, g, *dirs): os.close(h)
PY
${tree.replace('|%T@', '')}`;

describeEach(overKernel, 'two machines on $provider', (subject, turns) => {
  cleanUpWorlds();

  for (const closing of [[], ['--write-back']])
    turns.unless(lacksRenames, 'it cannot rename what it has')(
      `RENAME_EXCHANGE across directories, of what is open, is seen by the other machine${closing.length > 0 ? ', with write-back' : ''}`,
      async () => {
        const a = await openWorld(subject);
        const local = await a.out(`mkdir "$TOP/local"; cd "$TOP/local"; ${swap}`);
        await a.mount(...carried, ...closing);
        expect(await a.out(`mkdir top; cd top; ${swap}`)).toBe(local);
        await a.umount();
        const b = await joinWorld(a);
        await b.mount(...carried);
        expect(local).toContain(await b.out(`cd top; ${tree.replace('|%T@', '')}`));
      },
    );
});

/** Sets the machine's clock wrong by this many days, for all mounts of this world. */
function setClock(world: World, days: number): void {
  const script = `const now=Date.now;Date.now=()=>now()+${days * 86_400_000}`;
  world.env.NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(script)}`;
}

describeEach(protocols, 'machines of $provider whose clocks are a day apart', (subject, turns) => {
  cleanUpWorlds();

  turns.it('lose no change of modes and links, and end alike', long, async () => {
    const a = await openWorld(subject);
    const ahead = await joinWorld(a);
    setClock(ahead, 1);
    const turn = async (world: World, seen: string, script: string): Promise<void> => {
      await world.mount(...carried);
      // An older listing is shown first.
      await world.until(seen);
      await world.out(script);
      await world.umount();
    };
    await turn(
      a,
      'true',
      `mkdir d; for n in 0 1 2 3 4 5 6 7; do echo $n > d/f$n; chmod 600 d/f$n; ln -s a d/l$n; ln d/f$n d/h$n; done`,
    );
    await turn(
      ahead,
      '[ $(stat -c %h d/f7) = 2 ]',
      `cd d; chmod 640 f*; for n in 0 1 2 3 4 5; do ln -sfn ahead l$n; done; rm l6 h6; ln f7 made`,
    );
    // By its clock all of this comes a day before what it changes.
    const last = `chmod 604 f0 f1; ln -sfn last l0; rm l1 h1; ln -s last l6; ln f6 h6; rm made; touch -d 2001-02-03 f2`;
    await turn(a, '[ $(stat -c %a d/f0) = 640 ] && [ $(readlink d/l0) = ahead ] && [ -e d/made ]', `cd d; ${last}`);
    await ahead.mount(...carried);
    await ahead.until('[ $(stat -c %a d/f0) = 604 ]');
    expect(await ahead.out('cd d; stat -c %a f0 f1 f2; readlink l0 l2 l6; stat -c %h f6; ls; stat -c %Y f2')).toBe(
      [
        ...[604, 604, 640, 'last', 'ahead', 'last', 2],
        ...['f0', 'f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7', 'h0', 'h2', 'h3', 'h4', 'h5', 'h6', 'h7'],
        ...['l0', 'l2', 'l3', 'l4', 'l5', 'l6', 'l7', Date.parse('2001-02-03T00:00:00Z') / 1000],
      ].join('\n'),
    );
    // Both at once: the same names, and each its own.
    await a.mount(...carried);
    const both = (me: string, mode: string): string =>
      `cd d; chmod ${mode} f3 f4; for n in 3 4 5; do ln -sfn ${me} l$n; done; ln -s ${me} of-${me}; ln f5 h-${me}; setfattr -n user.${me} -v 1 f5`;
    await Promise.all([a.out(both('a', '4711')), ahead.out(both('ahead', '2755'))]);
    for (const world of [a, ahead]) await world.umount();
    for (const world of [a, ahead]) await world.mount(...carried);
    await expect.poll(async () => (await a.out(tree)) === (await ahead.out(tree)), { interval: 500 }).toBe(true);
    expect(await a.out('cd d; readlink of-a of-ahead; stat -c %h f5')).toBe('a\nahead\n4');
    // One that is two days behind all that it reads.
    const behind = await joinWorld(a);
    setClock(behind, -1);
    await behind.mount(...carried);
    expect(await behind.out(tree)).toBe(await a.out(tree));
    await behind.out('chmod 611 d/f3; ln -sfn behind d/l3');
    await behind.umount();
    await ahead.until('[ $(stat -c %a d/f3) = 611 ] && [ $(readlink d/l3) = behind ]');
  });
});
