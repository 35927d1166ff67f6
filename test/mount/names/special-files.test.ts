/** Symbolic links, FIFOs, sockets and devices through the kernel: as on the local disk, and without a request. */
import { expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, shareWorld, subjects, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** Runs in a directory of the mount and in one of the local disk: both must say the same. */
const everyKind = `
  seq 9 > f; ln -s f l; ln -s nowhere/at/all dangling; ln -s ../up/and/over relative; ln -s /absolute/path absolute
  mkdir d; ln -s d to-d; echo through > to-d/g; ln -s "$(printf 'x%.0s' $(seq 4095))" long
  mkfifo -m 640 pipe; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('sock')"
  cat l d/g; readlink dangling relative absolute; readlink long | wc -c; cat dangling 2>&1; ls to-d/; test -e dangling || echo none
  ln -s x l 2>&1; ln -s "$(printf 'x%.0s' $(seq 4096))" toolong 2>&1; mkfifo f 2>&1; rmdir l 2>&1
  chmod 600 pipe; touch -h -d '2001-02-03 04:05:06' l dangling; touch -d '2001-02-03 04:05:07' pipe sock
  find . -mindepth 1 -printf '%p %y %m %l %s %n\\n' | grep -v '^./[fd]' | sort; find . -type l -printf '%p %T@\\n' | grep '9811' | sort`;

const listing = `find . -mindepth 1 -printf '%P %y %m %U %G %T@ (%l)\\n' | LC_ALL=C sort`;

describeEach(subjects, '$provider through $binding', (subject, { it: turn, unless }) => {
  cleanUpWorlds();
  let world: World;
  shareWorld(subject, [], (shared) => {
    world = shared;
  });
  const isNative = ({ binding }: { binding: string }): boolean => binding === 'native';

  turn('every kind is made, read and refused as on a local disk', async () => {
    const run = (top: string): Promise<string> => world.out(`mkdir ${top}; cd ${top}; ${everyKind}`);
    const local = await run('"$TOP/w"');
    expect(local).toContain('relative l 777 ../up/and/over');
    const times = (text: string): string => (isNative(subject) ? text.replace(/ \d+\.\d+$/gm, '') : text);
    expect(times(await run('"$MNT/w"'))).toBe(times(local));
  });

  unless(isNative, 'fuse-native takes them for a path in UTF-8')(
    'a target is any bytes, and is there after the mount has been killed, and after a remount',
    async () => {
      const targets = `b'\\xff\\xfe/\\x01 \\n', b'a' * 4095, '\\u00fc\\u4e2d'.encode()`;
      await world.out(`python3 -c "
import os
for n, t in enumerate([${targets}]): os.symlink(t, f'l{n}')"`);
      const read = `python3 -c "
import os
print(all(os.readlink(b'l%d' % n) == t for n, t in enumerate([${targets}])))"`;
      expect(await world.out(read)).toBe('True');
      const inodes = await world.out('stat -c %i l0 l1 l2');
      const { pid } = await world.status();
      await world.shell(`kill -9 ${pid}; umount -l ${world.mnt}`);
      await world.mount();
      expect(await world.out(read)).toBe('True');
      await world.umount();
      await world.clearCache();
      await world.mount();
      expect(await world.out(read)).toBe('True');
      expect(await world.out('stat -c %i l0 l1 l2')).toBe(inodes);
    },
  );

  turn('they cost no request, however many', long, async () => {
    // Requests are counted: no other test's directories are looked after meanwhile, and no metadata is stored.
    world = await openWorld(subject);
    await world.mount('--metadata', 'local');
    await world.out('mkdir d; echo x > d/f; ls d');
    const sent = await world.requestsOf(() =>
      world.out(`
        cd d; for i in $(seq 200); do ln -s $i l$i; done; mkfifo p; ls -l > /dev/null; readlink l1 l2 > /dev/null
        mv l1 m; mv m l2; mv p l3; touch -h l4; chown -h 12:13 l5; rm l6 l3; ls | wc -l`),
    );
    expect(sent.map(({ route }) => route).filter((route) => route !== 'GET /changes')).toEqual([]);
    expect(await world.status()).toMatchObject({ pending: [], failed: [] });
    expect(world.stored().map(({ path }) => path)).toEqual(
      traits[subject.provider].keepsFolders ? ['/d', '/d/f'] : expect.arrayContaining(['/d/f']),
    );
  });

  turn('a FIFO carries bytes between programs, and a socket takes connections', async () => {
    const said = await world.out(`
      mkfifo pipe; cat pipe > "$TOP/got" & seq 10000 > pipe; wait; wc -l < "$TOP/got"
      python3 - <<'PY'
import os, socket, threading
server = socket.socket(socket.AF_UNIX); server.bind('s'); server.listen()
def serve():
    peer, _ = server.accept(); peer.sendall(peer.recv(100).upper()); peer.close()
thread = threading.Thread(target=serve); thread.start()
client = socket.socket(socket.AF_UNIX); client.connect('s'); client.sendall(b'hello'); print(client.recv(100).decode()); thread.join()
os.unlink('s'); print(os.path.exists('s'))
PY`);
    expect(said).toBe('10000\nHELLO\nFalse');
  });

  turn('each kind takes the name of each other one, and what it replaces is gone', long, async () => {
    const matrix = `
      make() { case $1 in file) echo $2 > "$2";; link) ln -s $2 "$2";; pipe) mkfifo "$2";; open) echo $2 > "$2";; esac; }
      for a in file link pipe; do for b in file link pipe; do for d in . sub; do
        mkdir -p sub; make $a $a-$b; make $b $d/over-$a-$b; mv -f $a-$b $d/over-$a-$b; done; done; done
      ls; find . -mindepth 1 -printf '%P %y %l\\n' | sort; find . -type f | sort | xargs cat`;
    const local = await world.out(`mkdir "$TOP/w"; cd "$TOP/w"; ${matrix}`);
    expect(await world.out(`mkdir w; cd w; ${matrix}`)).toBe(local);
    expect(
      world
        .storedFiles()
        .map((path) => path.replace(/^\/w\//, ''))
        .toSorted(),
    ).toEqual((await world.out('cd "$TOP/w"; find . -type f -printf "%P\\n" | LC_ALL=C sort')).split('\n'));
    expect(await world.out('rm w/sub/*; rmdir w/sub; ls w | wc -l')).toBe('9');
  });

  unless(isNative, 'times come in pairs and milliseconds')(
    'cp -a, tar and rsync carry them in and out, and rsync has nothing to do twice',
    async () => {
      await world.out(`
        mkdir -p "$TOP/t/d/e"; cd "$TOP/t"; seq 99 > f; ln -s f l; ln -s ../f d/up; ln -s gone d/e/dangling; mkfifo -m 600 d/p
        mknod -m 640 null c 1 3 && mknod -m 600 disk b 8 1 && chown 12:34 null; chown -h 56:78 l
        python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('d/s')"
        touch -h -d '2001-02-03 04:05:06.123456789' l d/up d/e/dangling; touch -d '2002-02-03 04:05:06.5' d/p d/s null disk; touch -d '2003-02-03 04:05:06' d/e d .`);
      const wanted = await world.out(`cd "$TOP/t"; ${listing}`);
      expect(wanted).toMatch(/^null c 640 12 34/m);
      await world.out('rsync -aH --devices --specials "$TOP/t/" r/; cp -a "$TOP/t" c');
      // A tar archive has no sockets.
      await world.out(
        'tar cf "$TOP/t.tar" --format=posix -C "$TOP/t" . 2> /dev/null; mkdir x; tar xpf "$TOP/t.tar" -C x',
      );
      expect(await world.out(`cd r; ${listing}; stat -c '%t %T' null disk`)).toBe(`${wanted}\n1 3\n8 1`);
      expect(await world.out(`cd c; ${listing}`)).toBe(wanted);
      expect(await world.out(`cd x; ${listing}`)).toBe(wanted.replace(/^d\/s .*\n/m, ''));
      const again = 'rsync -aH --devices --specials -i --checksum';
      expect(
        await world.out(
          `${again} "$TOP/t/" r/; ${again} r/ "$TOP/t/"; ${again} c/ "$TOP/back/"; cd "$TOP/back"; ${listing}`,
        ),
      ).toContain(wanted);
      // The mount is nodev.
      expect(await world.sh('cat r/null')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Permission denied'),
      });
      await world.umount();
      await world.mount();
      expect(await world.out(`cd r; ${listing}`)).toBe(wanted);
    },
  );

  turn('directories have 2 and as many links as they have subdirectories', async () => {
    await world.out('mkdir -p w/a/b w/c; echo x > w/f; echo y > w/a/b/g; ln -s a w/l');
    expect(await world.out('stat -c %h w w/a w/a/b w/c')).toBe('4\n3\n2\n2');
    await world.out('mkdir w/d; rmdir w/c');
    expect(await world.out('stat -c %h w; rmdir w/d; stat -c %h w')).toBe('4\n3');
  });
});
