/** The behaviour on which programs can rely with every service. `4sync` speaks the protocol of `4shared`. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { AcronisSandbox, AnySandboxOptions } from '../../../src/sandbox/index.js';
import { openWorld } from '../subjects.js';
import { cleanUpWorlds, createServiceWorld, type World } from '../world.js';

/** Runs in a directory of the mount and in one of the local disk: both must say the same and end the same. */
const ordinaryWork = `
  seq 20000 > numbers; printf XYZ | dd of=numbers bs=1 seek=50000 conv=notrunc status=none
  echo appended >> numbers; truncate -s 90000 numbers; truncate -s 120000 numbers
  dd if=/dev/zero of=holes bs=1 count=1 seek=300000 status=none; printf end | dd of=holes bs=1 seek=400000 conv=notrunc status=none
  : > empty; echo one > a; echo two > b; mv a b; cat b; ls
  mkdir d d/e; echo x > d/e/f; rmdir d 2>/dev/null || echo not empty; cp -r d copied; rm -r copied/e; rmdir copied
  set -o noclobber; { echo again > b; } 2>/dev/null || echo exists; set +o noclobber
  python3 - <<'PY'
import os
fd = os.open('gone', os.O_RDWR | os.O_CREAT); os.write(fd, b'still here'); os.unlink('gone')
os.write(fd, b' and more'); print(os.pread(fd, 100, 0), os.path.exists('gone')); os.close(fd)
fd = os.open('before', os.O_RDWR | os.O_CREAT); os.write(fd, b'moved'); os.rename('before', 'after')
os.write(fd, b' on'); os.close(fd); print(open('after').read(), sorted(os.listdir('.')))
fd = os.open('shared', os.O_RDWR | os.O_CREAT); other = os.dup(fd); os.write(fd, b'first'); os.close(fd)
os.write(other, b' second'); os.close(other); print(open('shared').read())
PY
  find . -type f | sort | xargs md5sum`;

/** The attributes that backup programs keep. */
const kept = `find . -mindepth 1 -printf '%P %m %T@ %s\\n' | sort; getfattr -d -m user. tree/file | grep ^user`;

describe.each(['4shared', '5sync', 'acronis'] as const)('on %s', (provider) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld({ provider, binding: 'kernel' });
    await world.mount('--dir-ttl', '1s');
  });

  it('files and directories behave as on a local disk, and the service ends with the same', async () => {
    const run = (directory: string): Promise<string> =>
      world.out(`mkdir ${directory}; cd ${directory}; ${ordinaryWork}`);
    const local = await run('"$TOP/w"');
    expect(await run('"$MNT/w"')).toBe(local);
    const sums = new Map(
      [...local.matchAll(/^([0-9a-f]{32}) {2}\.(.*)$/gm)].map(([, sum = '', path = '']) => [`/w${path}`, sum]),
    );
    expect(sums.size).toBeGreaterThan(5);
    expect(new Map([...world.sandbox.store.md5s()].sort())).toEqual(new Map([...sums].sort()));
    await world.umount();
    await world.clearCache();
    await world.mount();
    expect(await world.out('diff -r "$TOP/w" w; ls w')).toBe(await world.out('ls "$TOP/w"'));
    expect(await world.status()).toMatchObject({ pending: [], failed: [] });
  });

  it('times, modes and attributes stay; rsync has nothing to do twice; tar, git, sqlite3 and df work', async () => {
    await world.out(`
      mkdir -p "$TOP/tree/sub"; seq 999 > "$TOP/tree/file"; echo y > "$TOP/tree/sub/y"; chmod 640 "$TOP/tree/file"; chmod 750 "$TOP/tree/sub"
      touch -d '2001-02-03 04:05:06.123456789' "$TOP/tree/file"; touch -d '1999-01-01 00:00:01' "$TOP/tree/sub/y" "$TOP/tree/sub"
      rsync -a "$TOP/tree" .; setfattr -n user.note -v kept tree/file
      tar cf "$TOP/t.tar" --format=posix -C "$TOP" tree; mkdir untarred; tar xf "$TOP/t.tar" -C untarred`);
    expect(await world.out('rsync -ai "$TOP/tree/" tree/; rsync -ai "$TOP/tree/" untarred/tree/')).toBe('');
    const before = await world.out(kept);
    expect(before).toMatch(/tree\/file 640 981173106\.1234567890 3888/);
    await world.umount();
    await world.mount();
    expect(await world.out(kept)).toBe(before);
    const sent = await world.routesOf(() =>
      world.out('rsync -ai "$TOP/tree/" tree/; ls -lR > /dev/null; df . > /dev/null'),
    );
    expect(sent.filter((route) => !route.startsWith('GET'))).toEqual([]);
    expect(
      await world.out(`
        git init -q repo; cd repo; git config user.email a@b; git config user.name c; seq 9 > f; git add f; git commit -qm one
        echo 10 >> f; git stash -q; git status --porcelain; git fsck; git log --oneline | wc -l; cd ..
        sqlite3 base.db 'create table t(n); insert into t values (1), (2); update t set n = 5 where n = 1; select sum(n) from t; pragma integrity_check;'`),
    ).toBe('1\n7\nok');
  });

  it('changes of another client show, and an open file never shows bytes of two versions', async () => {
    const { store } = world.sandbox;
    const [first, second] = ['a', 'b'].map((letter) => Buffer.alloc(3_000_000, letter)) as [Buffer, Buffer];
    await store.putFile('/d/file', first);
    await store.putFile('/d/old', 'x');
    await store.putFile('/d/gone', 'x');
    const reading = `python3 -c "
import errno, os, sys, time
while not os.path.exists('d/file'): time.sleep(0.1)
fd = os.open('d/file', os.O_RDONLY); seen = os.pread(fd, 4096, 0); print('read', flush=True)
while not os.path.exists(os.environ['TOP'] + '/go'): time.sleep(0.05)
try:
    for at in range(0, 3000000, 100000): seen += os.pread(fd, 4096, at)
except OSError as e: print(errno.errorcode[e.errno])
print(len(set(seen)))
"`;
    const reader = world.start(reading);
    await reader.first;
    await store.putFile('/d/file', second);
    store.rename('/d/old', 'new');
    store.remove('/d/gone');
    await store.putFile('/d/made/inner', 'made');
    await world.until('[ -e d/made/inner -a -e d/new -a ! -e d/gone ]');
    expect(await world.out('ls d; head -c 2 d/file; touch "$TOP/go"')).toBe('file\nmade\nnew\nbb');
    expect((await reader.ended).stdout).toMatch(/^read\n(ESTALE\n)?1\n$/);
    expect(await world.out('md5sum < d/file | cut -c1-32')).toBe(store.stat('/d/file')?.md5);
  });
});

describe('on acronis', () => {
  cleanUpWorlds();

  it('what others share read-only is refused before a byte of it is sent', async () => {
    const world = await createServiceWorld({ provider: 'acronis' } as AnySandboxOptions);
    const { store } = world.sandbox as unknown as AcronisSandbox;
    await store.putFile('/shared/file', 'theirs');
    store.setNode('/shared', { readOnly: true });
    await world.mount();
    await world.out('head -c 1000000 /dev/zero > "$TOP/mine"; ls -R');
    const requests = await world.requestsOf(async () => {
      const { stderr } = await world.sh(`
        cp "$TOP/mine" shared/new; cp "$TOP/mine" shared/file; echo x >> shared/file; mkdir shared/d; rm shared/file; mv shared/file here; truncate -s 0 shared/file`);
      expect(stderr.match(/Permission denied|Operation not permitted/g)).toHaveLength(7);
      expect(await world.out('cat shared/file; ls . shared')).toBe('theirs.:\nshared\n\nshared:\nfile');
    });
    expect(requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    expect(await world.status()).toMatchObject({ pending: [], failed: [] });
  });
});
