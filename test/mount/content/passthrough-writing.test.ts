/** Files that the kernel writes by itself (passthrough). Programs must notice only the speed. */
import { createHash } from 'node:crypto';
import { release } from 'node:os';
import { beforeEach, describe, expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

const MIB = 1024 * 1024;
const [major = 0, minor = 0] = release().split('.').map(Number);
const isPossible = (major > 6 || (major === 6 && minor >= 9)) && process.geteuid?.() === 0;

describe.skipIf(!isPossible)('passthrough of writes (skipped before Linux 6.9 and for ordinary users)', () => {
  cleanUpWorlds();
  let world: World;
  let pid = 0;
  const mount = async (...flags: string[]): Promise<void> => {
    await world.mount('--write-back', ...flags);
    ({ pid } = await world.status());
  };
  beforeEach(async () => {
    world = await createWorld({ binding: 'kernel' });
    await world.sandbox.store.putFile('/stored.txt', 'stored\n');
    await mount();
  });

  const until = (what: () => Promise<boolean>) => expect.poll(what).toBe(true);
  /** Runs a script. Returns the bytes that the mount's process itself wrote until all is stored: at least those that it sent. */
  const written = async (script: string): Promise<number> => {
    const counted = `awk '/^wchar/ { print $2 }' /proc/${pid}/io`;
    // The first file that is handed out has the reserve laid by.
    await world.out('echo first > first');
    await until(async () => (await world.status()).pending.length === 0);
    const before = Number(await world.out(counted));
    await world.out(script);
    await until(async () => (await world.status()).pending.length === 0);
    return Number(await world.out(counted)) - before;
  };
  const stored = async (path: string): Promise<string> =>
    createHash('md5')
      .update(await world.sandbox.store.readFile(path))
      .digest('hex');
  const uploads = (routes: string[]): string[] => routes.filter((route) => /^(POST|PUT) .*(files|upload)/.test(route));
  /** Kills the mount as it is. Programs with open files fail. */
  const kill = async (): Promise<void> => {
    process.kill(pid, 'SIGKILL');
    await until(async () => (await world.cli(['status', '--json'])).stdout.trim() === '[]');
    await world.mount('--write-back');
    ({ pid } = await world.status());
  };

  it('cp, dd, tar, rsync --inplace, a shell and Python write at full length without us', async () => {
    await world.out(
      'head -c 8M /dev/urandom > "$TOP/data"; mkdir "$TOP/tree"; seq 9000 > "$TOP/tree/a"; date > "$TOP/tree/b"',
    );
    expect(
      await written(`
        cp "$TOP/data" cp; cmp cp "$TOP/data"
        dd if="$TOP/data" of=dd bs=1M status=none; cmp dd "$TOP/data"
        dd if="$TOP/data" of=synced bs=1M conv=fsync status=none; cmp synced "$TOP/data"
        rsync --inplace "$TOP/data" rsync; cmp rsync "$TOP/data"
        tar -C "$TOP" -cf tree.tar tree; tar -tf tree.tar
        cat "$TOP/data" > shell; cmp shell "$TOP/data"
        python3 -c "
data = open('$TOP/data', 'rb').read(); f = open('python', 'wb')
for at in range(0, len(data), 70001): f.write(data[at:at + 70001])"; cmp python "$TOP/data"`),
    ).toBeLessThan((6 + 1) * 8 * MIB);
    const sum = await world.out('md5sum < "$TOP/data" | cut -c1-32');
    await world.umount();
    for (const name of ['cp', 'dd', 'synced', 'rsync', 'shell', 'python']) expect(await stored(`/${name}`)).toBe(sum);
    expect((await world.log()).match(/unexpected|malformed|cannot be passed through/)).toBeNull();
  });

  it('a file that was created or emptied is written while we stand still', async () => {
    expect(
      await world.out(`timeout -s KILL 20 python3 -c "
import os, signal
files = os.open('created', os.O_WRONLY | os.O_CREAT | os.O_EXCL), os.open('stored.txt', os.O_WRONLY | os.O_TRUNC)
# The first write asks for security.capability.
for f in files: os.write(f, bytes(1))
os.kill(${pid}, signal.SIGSTOP)
for f, size in zip(files, (3, 5)): os.write(f, bytes((size << 20) - 1))
os.kill(${pid}, signal.SIGCONT)
for f in files: print(os.fstat(f).st_size)
for f in files: os.close(f)" || { kill -CONT ${pid}; exit 1; }
        stat -c %s created stored.txt`),
    ).toBe([3, 5, 3, 5].map((size) => size * MIB).join('\n'));
  });

  it('trees that tar and rsync make have their bytes and times, and a second rsync moves nothing', long, async () => {
    await world.out(`
      mkdir -p "$TOP/tree/deep"; for i in $(seq 30); do head -c $((i * 3000)) /dev/urandom > "$TOP/tree/deep/$i"; done
      : > "$TOP/tree/empty"; chmod 600 "$TOP/tree/deep/3"; touch -d '2001-02-03 04:05:06.789012345' "$TOP/tree/deep/"*
      tar -C "$TOP" -c tree | tar -x; diff -r tree "$TOP/tree"
      rsync -a "$TOP/tree/" second; rsync -a --inplace "$TOP/tree/" third; cp -a "$TOP/tree" fourth; diff -r fourth third`);
    const same = `for t in tree second third fourth; do rsync -ai "$TOP/tree/" $t; done`;
    expect(await world.out(same)).toBe('');
    await world.umount();
    await mount();
    expect(await world.out(`${same}; diff -r second "$TOP/tree"; stat -c '%y %a' fourth/deep/3`)).toMatch(
      /^2001-02-03 04:05:06.789012345 .* 600$/,
    );
  });

  it('size, time and content are those of now, for who writes, who reads and who looks', async () => {
    expect(
      await world.out(`python3 -c "
import os, time
w = os.open('file', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
os.write(w, b'0123456789')
assert os.fstat(w).st_size == 10 == os.stat('file').st_size
r = os.open('file', os.O_RDONLY)
assert os.pread(r, 100, 0) == b'0123456789'
before = os.stat('file').st_mtime_ns
assert abs(before / 1e9 - time.time()) < 5
os.utime('file', ns=(5, 6)); assert os.stat('file').st_mtime_ns == 6
os.pwrite(w, b'AB', 2)
assert os.stat('file').st_mtime_ns >= before and os.fstat(r).st_mtime_ns == os.stat('file').st_mtime_ns
assert os.pread(r, 100, 0) == b'01AB456789'
rw = os.open('file', os.O_RDWR)
assert os.pread(rw, 100, 0) == b'01AB456789'
os.pwrite(rw, b'rw', 0); assert os.pread(r, 4, 0) == b'rwAB'
os.pwrite(w, b'ww', 0); assert os.pread(rw, 4, 0) == b'wwAB' == os.pread(r, 4, 0)
for f in (w, rw, r): assert os.fstat(f).st_ino == os.stat('file').st_ino
a = os.open('file', os.O_WRONLY | os.O_APPEND); os.write(a, b'end'); assert os.fstat(rw).st_size == 13 == os.fstat(w).st_size
ra = os.open('file', os.O_RDWR | os.O_APPEND); os.write(ra, b'END'); assert os.pread(r, 10, 10) == b'endEND'
os.ftruncate(w, 12); assert os.pread(rw, 10, 10) == b'en' and os.fstat(rw).st_size == 12 == os.lseek(r, 0, os.SEEK_END)
os.posix_fallocate(w, 0, 14); assert os.pread(rw, 10, 10) == b'en' + bytes(2)
assert os.stat('file').st_size == 14
t = os.open('file', os.O_WRONLY | os.O_TRUNC); assert os.pread(r, 10, 0) == b''; os.write(t, b'new'); os.close(t)
s = os.open('file', os.O_WRONLY | os.O_SYNC); os.pwrite(s, b'N', 0)
os.chmod('file', 0o4755); os.pwrite(w, b'E', 1)
os.rename('file', 'renamed'); os.pwrite(w, b'!', 3)
for f in (w, rw, r, a, ra, s): os.close(f)
print(open('renamed').read(), oct(os.stat('renamed').st_mode & 0o7777))"`),
    ).toMatch(/^NEw! 0o\d755$/);
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/renamed')}`).toBe('NEw!');
    expect((await world.log()).match(/unexpected|malformed/)).toBeNull();
  });

  it('duplicates of a descriptor are stored once, when the last is closed; what is unchanged is not stored', async () => {
    const routes = await world.routesOf(async () => {
      await world.out(
        `exec 3> file; echo one >&3; (echo two) >&3; (echo three) >&3; sh -c 'echo four' >&3; exec 3>&-; cat file`,
      );
      await until(async () => (await world.status()).pending.length === 0);
    });
    expect(uploads(routes)).toHaveLength(1);
    expect(`${await world.sandbox.store.readFile('/file')}`).toBe('one\ntwo\nthree\nfour\n');
    expect(
      await world.routesOf(() =>
        world.out(
          `exec 3<> file 4>> stored.txt; cat <&3; exec 3>&- 4>&-; dd if=/dev/null of=file conv=notrunc status=none`,
        ),
      ),
    ).toEqual([]);
  });

  it('a file that is removed or replaced while it is written goes, and nothing of it is left', async () => {
    expect(
      await world.out(`
        exec 3> file; echo a >&3; rm file; echo b >&3; exec 4> file; echo c >&4; echo new > other; mv other file; echo d >&4
        cat file; exec 3>&- 4>&-; cat file; ls`),
    ).toBe('new\nnew\nfile\nstored.txt');
    await world.umount();
    expect(await world.out('find "$TOP/state" -path "*spool/*" -type f')).toBe('');
    expect([...world.sandbox.store.md5s().keys()].sort()).toEqual(['/file', '/stored.txt']);
  });

  it('the provider still copies what cp copies within the mount', async () => {
    const routes = await world.routesOf(() => world.out('cp stored.txt copy.txt; cat copy.txt'));
    expect(routes.some((route) => route.includes('copy'))).toBe(true);
  });

  it('a kill in the middle keeps what was written, and stores what fsync promised and nothing half', async () => {
    const writer = world.start(`python3 -c "
import os, time
a = os.open('promised', os.O_WRONLY | os.O_CREAT, 0o644); os.write(a, b'p' * 300000); os.fsync(a); os.write(a, b'later')
b = os.open('half', os.O_WRONLY | os.O_CREAT, 0o644); os.write(b, b'h' * 200000)
c = os.open('stored.txt', os.O_WRONLY | os.O_TRUNC); os.write(c, b'half of a new one')
d = os.open('closed', os.O_WRONLY | os.O_CREAT, 0o644); os.write(d, b'c' * 100000); os.close(d)
print('written', flush=True); time.sleep(600)"`);
    await writer.first;
    await kill();
    writer.child.kill('SIGKILL');
    await until(async () => (await world.status()).pending.length === 0);
    expect((await world.status()).failed.map(({ path }) => path).sort()).toEqual(['/half', '/stored.txt']);
    expect(await world.out('wc -c < half; tr -d h < half | wc -c; md5sum < promised')).toBe(
      `200000\n0\n${createHash('md5').update('p'.repeat(300_000)).digest('hex')}  -`,
    );
    expect(`${await world.sandbox.store.readFile('/promised')}`).toBe('p'.repeat(300_000));
    expect(`${await world.sandbox.store.readFile('/closed')}`).toBe('c'.repeat(100_000));
    expect(`${await world.sandbox.store.readFile('/stored.txt')}`).toBe('stored\n');
  });

  it('a program that outlives the mount cannot change what was promised, nor what the next mount shows', async () => {
    const writer = world.start(`python3 -c "
import os, time
f = os.open('file', os.O_WRONLY | os.O_CREAT, 0o644); g = os.open('other', os.O_WRONLY | os.O_CREAT, 0o644)
os.write(f, b'p' * 300000); os.fsync(f); os.write(g, b'o' * 300000)
print('written', flush=True)
while not os.path.exists(os.environ['TOP'] + '/go'): time.sleep(0.05)
for one in (f, g):
    try: os.pwrite(one, b'zombie' * 1000, 0)
    except OSError: pass
print('written on', flush=True)
for one in (f, g):
    try: os.close(one); print('closed')
    except OSError: print('told')"`);
    await writer.first;
    await kill();
    await until(async () => (await world.status()).pending.length === 0);
    await world.out('cat file > /dev/null; touch "$TOP/go"');
    expect((await writer.ended).stdout).toBe('written\nwritten on\ntold\ntold\n');
    expect(await world.out('tr -d p < file | wc -c; tr -d o < other | wc -c; stat -c %s file other')).toBe(
      '0\n0\n300000\n300000',
    );
    expect(`${await world.sandbox.store.readFile('/file')}`).toBe('p'.repeat(300_000));
  });

  it('thousands of files, by several at once, leave no descriptor behind', long, async () => {
    const count = `ls /proc/${pid}/fd | wc -l`;
    await world.out(`
      for i in 1 2 3; do python3 -c "
import os
for i in range(700):
    f = os.open('x$i', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644); os.write(f, b'x' * i); g = os.open('x$i', os.O_RDONLY)
    assert os.fstat(f).st_size == i == len(os.read(g, 10000)); os.close(f); os.close(g)" & pids="$pids $!"; done
      for one in $pids; do wait $one || exit 7; done`);
    await until(async () => (await world.status()).pending.length === 0);
    // Uploads hold sockets and spool files for a moment longer.
    await until(async () => Number(await world.out(count)) < 60);
    for (const name of ['x1', 'x2', 'x3']) expect((await world.sandbox.store.readFile(`/${name}`)).length).toBe(699);
  });
});

describe.skipIf(!isPossible)('where close() waits (skipped before Linux 6.9 and for ordinary users)', () => {
  cleanUpWorlds();
  it('the kernel writes nothing by itself', async () => {
    const world = await createWorld({ binding: 'kernel' });
    await world.mount();
    const { pid } = await world.status();
    const counted = `awk '/^wchar/ { print $2 }' /proc/${pid}/io`;
    const before = Number(await world.out(counted));
    await world.out('head -c 3M /dev/zero > file');
    expect(Number(await world.out(counted)) - before).toBeGreaterThan(3 * MIB);
  });
});
