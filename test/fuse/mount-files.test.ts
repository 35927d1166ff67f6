import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { FsError } from '../../src/filesystem/core/fs-error.js';
import { candidates, cleanUpMounts, mountMemory, type TestMount } from './harness.js';

describe.each(candidates)('file content over the $binding.name binding', ({ binding, unavailable }) => {
  cleanUpMounts();
  let m: TestMount;

  beforeEach(async ({ skip }) => {
    if (unavailable !== undefined) skip(unavailable);
    m = await mountMemory(binding);
  });

  const ok = { code: 0, stderr: '' };

  it('copies a tree in and out unchanged', async () => {
    const tree = '/usr/include/linux';
    expect(await m.sh(`cp -r ${tree} tree && diff -r ${tree} tree && diff -r tree ${tree}`)).toMatchObject(ok);
    expect(m.complaints).toEqual([]);
  });

  it('writes and reads 64 MiB sequentially without a wrong byte, in large requests', async () => {
    const script = `head -c 67108864 /dev/urandom >$T; cp $T big; cmp $T big; dd if=big bs=1M status=none | cmp - $T; rm $T`;
    expect(await m.sh(`T=$(mktemp); ${script}`)).toMatchObject(ok);
    const writes = m.fs.calls.get('write') ?? 0;
    // 4 KiB pieces would be 16384.
    expect(writes).toBeLessThanOrEqual(512);
  });

  it('reads at any offset and stops at the end', async () => {
    const script = `
data = os.urandom(300001)
open('f', 'wb').write(data)
f = os.open('f', os.O_RDONLY)
for offset, length in [(0, 1), (4095, 2), (131071, 4097), (299999, 100), (300001, 10), (500000, 10)]:
    assert os.pread(f, length, offset) == data[offset:offset + length], (offset, length)
print('same')`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'same' });
  });

  it('overwrites, extends past a hole, truncates down and up', async () => {
    const script = `
f = os.open('f', os.O_RDWR | os.O_CREAT, 0o600)
os.write(f, b'0123456789')
os.pwrite(f, b'XY', 3)
os.pwrite(f, b'end', 5000)
assert os.pread(f, 10, 0) == b'012XY56789'
assert os.pread(f, 4990, 10) == bytes(4990)
assert os.fstat(f).st_size == 5003
os.ftruncate(f, 4)
assert os.fstat(f).st_size == 4 and os.pread(f, 100, 0) == b'012X'
os.ftruncate(f, 8)
assert os.pread(f, 100, 0) == b'012X' + bytes(4)
os.close(f)
os.truncate('f', 2)
assert open('f', 'rb').read() == b'01'
assert open('f', 'wb').close() is None and os.stat('f').st_size == 0
print('right')`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'right' });
  });

  it('appends, also from two descriptors at once', async () => {
    const script = `
a = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
b = os.open('log', os.O_WRONLY | os.O_APPEND)
for i in range(50):
    os.write(a, b'a%03d\\n' % i)
    os.write(b, b'b%03d\\n' % i)
os.close(a); os.close(b)
lines = open('log').read().split()
assert len(lines) == 100 and lines[0::2] == ['a%03d' % i for i in range(50)], lines
print('right')`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'right' });
    expect(await m.sh('echo one >f; echo two >>f; cat f')).toMatchObject({ ...ok, stdout: 'one\ntwo' });
  });

  it('refuses O_EXCL on a name that exists', async () => {
    const script = `
os.close(os.open('lock', os.O_WRONLY | os.O_CREAT | os.O_EXCL))
try: os.open('lock', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
except FileExistsError: print('refused')`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'refused' });
  });

  it('refuses what the mode of the descriptor does not allow', async () => {
    const script = `
open('f', 'w').close()
for flags, call in [(os.O_RDONLY, lambda f: os.write(f, b'x')), (os.O_WRONLY, lambda f: os.read(f, 1))]:
    f = os.open('f', flags)
    try: call(f)
    except OSError as e: print(errno.errorcode[e.errno])
    os.close(f)`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'EBADF\nEBADF' });
  });

  it('goes on through a descriptor after the file is unlinked, and leaves nothing', async () => {
    const script = `
f = os.open('gone', os.O_RDWR | os.O_CREAT, 0o600)
os.write(f, b'before')
os.unlink('gone')
assert os.listdir('.') == [], os.listdir('.')
assert not os.path.exists('gone')
os.write(f, b' after')
assert os.pread(f, 100, 0) == b'before after'
os.ftruncate(f, 3)
assert os.fstat(f).st_size == 3
os.fchmod(f, 0o640)
assert os.fstat(f).st_mode & 0o777 == 0o640
open('gone', 'w').write('another')
assert os.pread(f, 100, 0) == b'bef'
os.close(f)
assert open('gone').read() == 'another'
print(os.listdir('.'))`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: "['gone']" });
    await expect.poll(() => m.fs.openHandles).toBe(0);
    expect(m.complaints).toEqual([]);
  });

  it('keeps the old content for descriptors open while another file is renamed over it', async () => {
    const script = `
open('f', 'w').write('old')
f = os.open('f', os.O_RDONLY)
open('new', 'w').write('new')
os.rename('new', 'f')
assert open('f').read() == 'new'
assert os.pread(f, 10, 0) == b'old'
os.close(f)
print(os.listdir('.'))`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: "['f']" });
  });

  it('maps files into memory, shared writes included', async () => {
    const script = `
import mmap
open('f', 'wb').write(b'a' * 10000)
f = os.open('f', os.O_RDWR)
with mmap.mmap(f, 0) as view:
    assert view[9999:10000] == b'a'
    view[5000:5003] = b'xyz'
    view.flush()
os.close(f)
assert open('f', 'rb').read()[4999:5004] == b'axyza'
print('right')`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'right' });
  });

  it.each(['EIO', 'ENOSPC', 'EFBIG', 'EDQUOT', 'EACCES'] as const)(
    'tells close(2) that flush failed with %s',
    async (code) => {
      const mend = m.fs.fail('flush', new FsError(code, 'as the test wants'));
      const script = `
f = os.open('f', os.O_WRONLY | os.O_CREAT, 0o600)
os.write(f, b'x')
try: os.close(f)
except OSError as e: print(errno.errorcode[e.errno])`;
      expect(await m.python(script)).toMatchObject({ ...ok, stdout: code });
      expect((await m.sh('cp /etc/hostname g')).code).toBe(1);
      mend();
      expect(await m.sh('cp /etc/hostname g && cmp g /etc/hostname')).toMatchObject(ok);
      await expect.poll(() => m.fs.openHandles).toBe(0);
    },
  );

  it('tells fsync(2) and read(2) of errors', async () => {
    await m.sh('echo x >f');
    m.fs.fail('fsync', new FsError('EIO', 'as the test wants'));
    expect((await m.sh('dd if=/dev/zero of=f bs=10 count=1 conv=fsync')).stderr).toContain('Input/output error');
    m.fs.fail('read', new FsError('ENETUNREACH', 'as the test wants'));
    expect((await m.sh('echo 1 >g; cat g')).stderr).toContain('Network is unreachable');
  });

  it('answers EIO, and logs, where the file system throws something unknown', async () => {
    await m.sh('echo x >f');
    m.fs.plan('open', () => {
      throw new TypeError('a bug');
    });
    expect((await m.sh('cat f')).stderr).toContain('Input/output error');
    expect(m.complaints).toHaveLength(1);
  });

  it('lets a flush take its time while others work', async () => {
    let finish: () => void = () => {};
    const started = new Promise<void>((resolve) => {
      m.fs.plan('flush', () => {
        m.fs.plan('flush');
        resolve();
        return new Promise((done) => {
          finish = done;
        });
      });
    });
    const slow = m.sh('echo slow >slow');
    await started;
    expect(await m.sh('mkdir d; echo fast >d/fast; cat d/fast; ls')).toMatchObject({ ...ok, stdout: 'fast\nd\nslow' });
    finish();
    expect(await slow).toMatchObject(ok);
  });

  it('serves many readers at once', async () => {
    const content = randomBytes(1 << 20).toString('base64');
    await m.sh(`cat >f <<'end'\n${content.slice(0, 100_000)}\nend`);
    m.fs.plan('read', () => new Promise((resolve) => setImmediate(resolve)));
    const script = 'for i in $(seq 40); do cat f | md5sum & done; wait';
    const { stdout } = await m.sh(script);
    expect(new Set(stdout.split('\n')).size).toBe(1);
    expect(stdout.split('\n')).toHaveLength(40);
  });
});
