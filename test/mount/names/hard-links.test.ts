/** Hard links through the kernel: one inode under all of its names, as on the local disk. */
import { expect } from 'vitest';
import { describeEach, openWorld, shareWorld, subjects } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** Runs in a directory of the mount and in one of the local disk: both must say the same. */
const everyday = `
  groups() { find . -type f -links +1 -printf '%i %n %P\\n' | sort -k1,1n -k3 | awk '{ $1 = ($1 in seen) ? seen[$1] : (seen[$1] = ++n); print }' | sort -k3; }
  mkdir d e; seq 9 > a; ln a b; ln a d/c; ln b d/x; groups; stat -c '%h' a b d/c
  echo more >> d/c; tail -n 1 a b d/c; chmod 640 b; stat -c %a a; rm a; cat b | wc -l; stat -c %h b; rm d/x
  ln b b 2>&1; ln d f 2>&1; ln none f 2>&1; mv b e/b; mv d/c e/b; ls . d e; cat e/b | wc -l
  echo one > one; ln one two; echo three > three; mv three one; cat one two; groups; mv two one; cat one; stat -c '%n %h' *
  ln one four; ln -s one s; ln s t; readlink t; mkfifo p; ln p q; stat -c '%h %F' t q; rm p s; find . | sort; find . -type f | sort | xargs cat`;

const listing = `find . -mindepth 1 -printf '%P %y %m %n %s %T@ (%l)\\n' | grep -v ' d ' | LC_ALL=C sort`;

describeEach(subjects, '$provider through $binding', (subject, { it: turn, unless }) => {
  cleanUpWorlds();
  let world: World;
  shareWorld(subject, [], (shared) => {
    world = shared;
  });
  const isNative = ({ binding }: { binding: string }): boolean => binding === 'native';
  const byPaths = 'libfuse goes by paths, so the kernel has an inode a name';

  unless(isNative, byPaths)('names are made, used, moved and removed as on a local disk', async () => {
    const run = (top: string): Promise<string> => world.out(`mkdir ${top}; cd ${top}; ${everyday}`);
    const local = await run('"$TOP/w"');
    expect(await run('"$MNT/w"')).toBe(local);
    const files = world.stored().filter(({ kind }) => kind === 'file');
    const contents = await world.out(
      `cd "$TOP/w"; find . -type f -printf '%i %p\\n' | sort -u -k1,1n | cut -d' ' -f2 | xargs md5sum`,
    );
    expect(files.map(({ md5 }) => md5).toSorted()).toEqual(
      contents
        .split('\n')
        .map((line) => line.slice(0, 32))
        .toSorted(),
    );
  });

  unless(isNative, byPaths)('they are there after a kill and a remount, and the content was stored once', async () => {
    await world.out('mkdir d; seq 1000 > a; ln a b; ln a d/c; ls d');
    const before = await world.out('stat -c "%i %h %s" a b d/c');
    expect(new Set(before.split('\n')).size).toBe(1);
    const { pid } = await world.status();
    await world.shell(`kill -9 ${pid}; umount -l ${world.mnt}`);
    await world.mount();
    expect(await world.out('stat -c "%i %h %s" a b d/c')).toBe(before);
    await world.umount();
    await world.clearCache();
    await world.mount();
    expect(await world.out('stat -c "%i %h %s" a b d/c; cmp a d/c; ls; ls d')).toBe(`${before}\na\nb\nd\nc`);
    expect(world.storedMd5s().size).toBe(1);
  });

  turn('a link costs no request, nor does its removal; that of the first name moves the object once', async () => {
    // Requests are counted: no other test's directories are looked after meanwhile.
    world = await openWorld(subject);
    await world.mount();
    await world.out('echo x > a; mkdir d; echo y > d/y; ls d');
    const sent = await world.routesOf(() =>
      world.out(
        'for i in $(seq 100); do ln a d/l$i; done; ls -l d > /dev/null; rm d/l1; mv d/l2 d/m; mv d/m d/l2; stat -c %h a',
      ),
    );
    // 5sync is asked for changes now and then.
    expect(sent.filter((route) => route !== 'GET /changes')).toEqual([]);
    await world.out('rm a');
    // With libfuse the kernel has an inode for each name, which keeps its link count for a second.
    if (isNative(subject)) await expect.poll(() => world.out('stat -c %h d/l4')).toBe('99');
    const seen = await world.sh('cat d/l4; stat -c %h d/l4; ls d | wc -l');
    expect(seen).toEqual({ code: 0, stdout: 'x\n99\n100\n', stderr: '' });
    const paths = [...world.storedMd5s().keys()];
    expect(paths.toSorted()).toEqual([expect.stringMatching(/^\/d\/l\d+$/), '/d/y']);
    expect(await world.status()).toMatchObject({ pending: [], failed: [] });
  });

  unless(isNative, byPaths)(
    'a file that is open, being written or waiting takes links, and loses its first name',
    async () => {
      const script = `python3 -c "
import os
fd = os.open('a', os.O_RDWR | os.O_CREAT, 0o644); os.write(fd, b'one ')
os.link('a', 'b'); os.write(fd, b'two '); os.unlink('a'); os.write(fd, b'three')
print(os.pread(fd, 100, 0).decode(), os.fstat(fd).st_nlink, open('b').read()); os.close(fd)
print(sorted(os.listdir('.')), open('b').read())"`;
      expect(await world.out(script)).toBe("one two three 1 one two three\n['b'] one two three");
      expect(world.storedFiles()).toEqual(['/b']);
    },
  );

  unless(isNative, 'libfuse has no O_TMPFILE')(
    'a file of O_TMPFILE gets a name, and is stored and durable from then on',
    async () => {
      const script = (end: string): string => `python3 -c "
import os, signal, time
here = os.open('.', os.O_RDONLY); name = lambda to: os.link('/proc/self/fd/%d' % fd, to, src_dir_fd=here, dst_dir_fd=here)
fd = os.open('.', os.O_RDWR | os.O_TMPFILE, 0o640); os.write(fd, b'made '); os.fsync(fd)
try: name('d')
except FileExistsError: print('exists')
name('a'); os.link('a', 'b'); print(os.fstat(fd).st_nlink, sorted(os.listdir('.')))
${end}"`;
      const whole = script(`os.write(fd, b'and named'); os.close(fd); print(open('b').read())`);
      const run = (top: string): Promise<string> =>
        world.out(`mkdir ${top}; cd ${top}; mkdir d; ${whole} && stat -c '%a %h %s' a; ls`);
      expect(await run('"$MNT/w"')).toBe(await run('"$TOP/w"'));
      expect(world.storedFiles()).toEqual(['/w/a']);
      const { pid } = await world.status();
      const writer = world.start(`mkdir v; cd v; mkdir d; ${script("print('named', flush=True); time.sleep(600)")}`);
      await world.until('[ -e v/b ]');
      await world.shell(`kill -9 ${pid}`);
      writer.child.kill('SIGKILL');
      await world.shell(`umount -l ${world.mnt}`);
      await world.mount();
      expect(await world.out("cat v/b; stat -c '%h %a' v/a")).toBe('made 2 640');
    },
  );

  unless(isNative, 'libfuse has no renameat2')(
    'RENAME_EXCHANGE swaps files, links, directories and special files, RENAME_WHITEOUT is refused',
    async () => {
      const python = `python3 -c "
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def rename(a, b, flags):
    failed = libc.renameat2(-100, a.encode(), -100, b.encode(), flags)
    print(a, b, errno.errorcode[ctypes.get_errno()] if failed else 'done')`;
      const madeHere = `${python}
open('f', 'w').write('text'); os.link('f', 'g'); os.symlink('x', 'l'); os.mkdir('d'); os.mkfifo('d/p')
rename('g', 'l', 2); rename('l', 'd/p', 2); rename('l', 'none', 2)
print(os.readlink('g'), open('d/p').read(), os.stat('f').st_nlink, oct(os.stat('l').st_mode))"`;
      const atTheService = `${python}
open('k', 'w').write('other'); os.mkdir('e'); open('e/y', 'w').write('y'); before = os.stat('k').st_ino
rename('k', 'f', 2); rename('e', 'd', 2); rename('d', 'd/y', 2); rename('d', 'g', 2)
print(open('k').read(), open('f').read(), os.stat('f').st_ino == before, os.listdir('g'), sorted(os.listdir('e')), os.readlink('d'))"`;
      const run = (top: string, script: string): Promise<string> => world.out(`mkdir -p ${top}; cd ${top}; ${script}`);
      const local = await run('"$TOP/w"', madeHere);
      expect(local).toContain('x text 2');
      expect(await run('"$MNT/w"', madeHere)).toBe(local);
      if (subject.provider === '5sync') {
        // It cannot rename, so what it has is refused.
        await world.out('echo other > w/k');
        await world.untilWaiting(0, 0);
        expect(await run('"$MNT/w"', `${python}\nrename('k', 'f', 2)"; cat k`)).toBe('k f EINVAL\nother');
      } else {
        const moved = await run('"$TOP/w"', atTheService);
        expect(moved).toContain("text other True ['y'] ['p'] x");
        expect(await run('"$MNT/w"', atTheService)).toBe(moved);
      }
      expect(
        await world.out(`cd w; python3 -c "
import ctypes; libc = ctypes.CDLL(None, use_errno=True)
print(libc.renameat2(-100, b'f', -100, b'n', 4), ctypes.get_errno())"`),
      ).toBe('-1 22');
    },
  );

  unless(isNative, byPaths)('cp -al, rsync -aH, tar and git clone --local make them, and find them again', async () => {
    // Requests are counted: no other test's directories are looked after meanwhile.
    world = await openWorld(subject);
    await world.mount();
    await world.out(`
      mkdir -p "$TOP/t/d"; cd "$TOP/t"; seq 99 > f; ln f d/g; ln f h; ln -s f l; ln l d/m; mkfifo p; echo alone > d/alone
      touch -d '2001-02-03 04:05:06' f d/alone p; touch -h -d '2001-02-03 04:05:07' l`);
    const wanted = await world.out(`cd "$TOP/t"; ${listing}`);
    expect(wanted).toMatch(/^f f 644 3 /m);
    await world.out(
      'rsync -aH --specials "$TOP/t/" r/; cp -a "$TOP/t" c; tar cf - -C "$TOP/t" . | (mkdir x; tar xpf - -C x)',
    );
    for (const copy of ['r', 'c', 'x']) expect(await world.out(`cd ${copy}; ${listing}`)).toBe(wanted);
    expect(
      await world.out(
        'rsync -aHi --specials "$TOP/t/" r/; rsync -aHi --specials --checksum c/ "$TOP/t/" | grep -v ^.d || true',
      ),
    ).toBe('');
    const sent = await world.routesOf(() => world.out('cp -al r/d/alone r/again; cp -al r/f s; stat -c %h s'));
    expect(sent.filter((route) => route !== 'GET /changes')).toEqual([]);
    expect(await world.out('stat -c %h s r/again')).toBe('4\n2');
    // A snapshot without changes consists only of links.
    await world.out('rsync -aH --specials --link-dest=../r "$TOP/t/" snap/');
    expect(await world.out('stat -c %i r/f snap/f | uniq | wc -l; stat -c %h snap/d/alone')).toBe('1\n3');
    expect(
      await world.out(`
        git init -q repo; cd repo; git config user.email a@b; git config user.name c; seq 9 > f; git add f; git commit -qm one; cd ..
        git clone -q --local repo clone; cd clone; git fsck; git log --oneline | wc -l; cat f | wc -l
        find .git/objects -type f -links +1 | wc -l`),
    ).toBe('1\n9\n3');
    await world.umount();
    await world.mount();
    expect(await world.out(`cd c; ${listing}`)).toBe(wanted);
  });
});
