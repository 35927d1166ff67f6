/** Holes, ranges of zeros, and files without a name: scripts must print the same on the mount as on a local disk. */
import { describe, expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, overKernel, shareWorld } from '../subjects.js';
import type { World } from '../world.js';

const prelude = `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
KEEP, PUNCH, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
def attempt(act):
    try: return act()
    except OSError as e: return errno.errorcode[e.errno]
def fallocate(f, mode, offset, length):
    if libc.fallocate(f, mode, offset, length) < 0: raise OSError(ctypes.get_errno(), 'fallocate')
def extents(f):
    found, at, size = [], 0, os.fstat(f).st_size
    while True:
        try: data = os.lseek(f, at, os.SEEK_DATA)
        except OSError as e:
            assert e.errno == errno.ENXIO
            return found
        at = os.lseek(f, data, os.SEEK_HOLE)
        found.append((data, at))
K = 1024
`;

describeEach(overKernel, 'sparse files on $provider', (subject, turns) => {
  let world: World;
  const share = (flags: readonly string[]): void => {
    shareWorld(subject, flags, (shared) => {
      world = shared;
    });
  };

  const python = (directory: string, script: string): Promise<string> =>
    world.out(`mkdir -p ${directory}; cd ${directory}; python3 - <<'PY'\n${prelude}${script}\nPY`);
  const both = async (script: string): Promise<[local: string, mounted: string]> => [
    await python('"$TOP/w"', script),
    await python('w', script),
  ];

  /** Gives a name to a file of O_TMPFILE. */
  const linked = async (): Promise<void> => {
    const [local, mounted] = await both(`
def link(f, name):
    if libc.linkat(-100, b'/proc/self/fd/%d' % f, -100, name, 0x400) < 0: raise OSError(ctypes.get_errno(), 'linkat')
f = os.open('.', os.O_WRONLY | os.O_TMPFILE, 0o640)
os.write(f, b'first'); link(f, b'a'); os.write(f, b' then'); print(os.fstat(f).st_nlink, os.listdir('.'), open('a').read())
link(f, b'b'); print(attempt(lambda: link(f, b'b'))); os.unlink('a'); os.close(f); print(os.stat('b').st_nlink, open('b').read())
g = os.open('.', os.O_RDWR | os.O_TMPFILE | os.O_EXCL, 0o600); print(attempt(lambda: link(g, b'c'))); os.close(g)
h = os.open('d', os.O_RDWR | os.O_CREAT); os.unlink('d'); print(attempt(lambda: link(h, b'd'))); print(sorted(os.listdir('.')))`);
    expect(mounted).toBe(local);
    expect(local).toContain("1 ['a'] first then");
    await world.umount();
    await world.clearCache();
    await world.mount();
    expect(await world.out('ls w; cat w/b')).toBe('b\nfirst then');
  };

  /** What is cut out of a file before and after it is stored, and of one that is not on this machine. */
  const cut = async (): Promise<void> => {
    const [local, mounted] = await both(`
f = os.open('f', os.O_RDWR | os.O_CREAT)
os.write(f, b'x' * 1024 * K); os.fsync(f); print(extents(f))
fallocate(f, PUNCH | KEEP, 128 * K, 128 * K); print(extents(f))
os.pwrite(f, b'y' * 64 * K, 160 * K); os.fsync(f); print(extents(f))
fallocate(f, PUNCH | KEEP, 900 * K, 124 * K); print(extents(f), os.lseek(f, 0, os.SEEK_HOLE), os.lseek(f, 130 * K, os.SEEK_DATA))
# Whether zeros are a hole is the file system's choice.
fallocate(f, ZERO, 512 * K, 64 * K); print(os.pread(f, 64 * K, 512 * K) == bytes(64 * K))
fallocate(f, ZERO, 1020 * K, 8 * K); print(os.fstat(f).st_size); os.close(f)`);
    expect(mounted).toBe(local);
    const again = `
f = os.open('f', os.O_RDWR)
content = os.pread(f, 2048 * K, 0)
# Each byte outside of what is told as data is 0.
told = extents(f); outside = 0
for (_, end), (start, _) in zip([(0, 0)] + told, told + [(len(content), 0)]): outside += len(content[end:start].strip(bytes(1)))
print(outside, len(content))
fallocate(f, PUNCH | KEEP, 256 * K, 128 * K); os.fsync(f)
print(os.lseek(f, 256 * K, os.SEEK_HOLE) // K, os.lseek(f, 256 * K, os.SEEK_DATA) // K, os.pread(f, 128 * K, 256 * K) == bytes(128 * K))
fallocate(f, ZERO, 400 * K, 8 * K); print(os.pread(f, 10 * K, 399 * K).count(0) // K)
os.pwrite(f, b'z', 300 * K); os.close(f)
import hashlib; print(hashlib.md5(open('f', 'rb').read()).hexdigest())`;
    const stored = async (): Promise<void> => {
      await world.untilWaiting(0, 0);
      const [onDisk, onMount] = await both(again);
      expect(onMount).toBe(onDisk);
    };
    await stored();
    await world.umount();
    await world.clearCache();
    await world.mount(...world.flags);
    await stored();
    await world.umount();
    await world.clearCache();
    await world.mount(...world.flags);
    await world.out('cmp w/f "$TOP/w/f"');
  };

  describe('stored at close', () => {
    share([]);

    turns.it('holes and zeros are told before and after the upload, and where nothing is here', cut);

    turns.it('fallocate punches holes and zeroes ranges, and what is stored has zeros there', async () => {
      const [local, mounted] = await both(`
f = os.open('f', os.O_RDWR | os.O_CREAT)
os.write(f, b'x' * 300 * K)
fallocate(f, PUNCH | KEEP, 64 * K, 100 * K); print(os.fstat(f).st_size, os.pread(f, 4, 64 * K - 2), os.pread(f, 4, 164 * K - 2))
fallocate(f, ZERO, 200 * K + 1, 10); print(os.pread(f, 12, 200 * K))
fallocate(f, ZERO | KEEP, 290 * K, 100 * K); print(os.fstat(f).st_size, os.pread(f, 4, 290 * K - 2))
fallocate(f, ZERO, 299 * K, 3 * K); print(os.fstat(f).st_size)
fallocate(f, PUNCH | KEEP, 400 * K, 4 * K); print(os.fstat(f).st_size)
print(attempt(lambda: fallocate(f, PUNCH, 0, 4 * K)))
r = os.open('f', os.O_RDONLY); print(attempt(lambda: fallocate(r, PUNCH | KEEP, 0, K)))
os.close(f)
import hashlib; print(hashlib.md5(open('f', 'rb').read()).hexdigest())`);
      expect(mounted).toBe(local);
      const moving = `
f = os.open('f', os.O_RDWR)
print([attempt(lambda: fallocate(f, mode, 0, 4 * K)) for mode in (COLLAPSE, INSERT)])`;
      expect(await python('w', moving)).toBe("['ENOTSUP', 'ENOTSUP']");
      const sum = local.split('\n').at(-1);
      await world.umount();
      await world.clearCache();
      await world.mount();
      expect(await world.out('md5sum < w/f')).toContain(sum);
    });

    turns.it('a hole is punched into a stored file that is not here, and the rest of it stays', long, async () => {
      await world.out('mkdir w; head -c 4M /dev/urandom > "$TOP/source"; cp "$TOP/source" w/f');
      await world.umount();
      await world.clearCache();
      await world.mount();
      const script = `
f = os.open('f', os.O_RDWR)
fallocate(f, PUNCH | KEEP, 1024 * K, 2048 * K); print(extents(f), os.pread(f, 2, 1024 * K))
os.close(f)`;
      expect(await python('w', script)).toBe(`[(0, 1048576), (3145728, 4194304)] b'\\x00\\x00'`);
      await world.out(
        'cp "$TOP/source" "$TOP/expected"; fallocate -p -o 1M -l 2M "$TOP/expected"; cmp w/f "$TOP/expected"',
      );
      await world.umount();
      await world.clearCache();
      await world.mount();
      await world.out('cmp w/f "$TOP/expected"');
    });

    turns.it('O_TMPFILE makes a file without a name, and nothing is stored of it', async () => {
      const before = await world.status();
      const [local, mounted] = await both(`
os.umask(0o027)
f = os.open('.', os.O_RDWR | os.O_TMPFILE, 0o666)
os.write(f, b'nameless'); s = os.fstat(f)
print(oct(s.st_mode), s.st_nlink, s.st_size, os.pread(f, 100, 0), os.listdir('.'))
os.fsync(f); os.ftruncate(f, 4); print(os.pread(f, 100, 0)); os.fchmod(f, 0o600); print(oct(os.fstat(f).st_mode))
g = os.open('/proc/self/fd/%d' % f, os.O_RDONLY); print(os.read(g, 100)); os.close(g)
os.close(f); print(os.listdir('.'))`);
      expect(mounted).toBe(local);
      expect(mounted).toContain("0 8 b'nameless' []");
      expect(await world.status()).toMatchObject({ pending: [], failed: [] });
      expect(before.pending).toEqual([]);
      expect(world.storedFiles()).toEqual([]);
      await world.umount();
      expect(await world.shell('find ../state -path "*spool*" -type f | wc -l')).toBe('0');
    });

    turns.it('a file of O_TMPFILE gets a name with linkat, and is stored then', linked);
  });

  describe('with write-back', () => {
    share(['--write-back']);

    turns.it('holes and zeros are told before and after the upload, and where nothing is here', cut);

    turns.it('a hole is punched into a file that the kernel writes by itself (passthrough)', async () => {
      const [local, mounted] = await both(`
import hashlib
f = os.open('f', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(f, b'x' * 300 * K); fallocate(f, PUNCH | KEEP, 64 * K, 100 * K); os.write(f, b'end'); fallocate(f, ZERO, 299 * K, 3 * K)
print(os.fstat(f).st_size, extents(f)); os.close(f)
print(hashlib.md5(open('f', 'rb').read()).hexdigest())`);
      expect(mounted).toBe(local);
      await world.umount();
      await world.clearCache();
      await world.mount();
      expect(await world.out('md5sum < w/f')).toContain(local.split('\n').at(-1));
    });

    turns.it('SEEK_DATA and SEEK_HOLE tell the holes of what is not stored yet', async () => {
      const [local, mounted] = await both(`
f = os.open('f', os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 1024 * K); print(extents(f), attempt(lambda: os.lseek(f, 0, os.SEEK_DATA)), os.lseek(f, 0, os.SEEK_HOLE))
os.pwrite(f, b'x' * 64 * K, 128 * K); os.pwrite(f, b'y' * 64 * K, 512 * K); os.fsync(f); print(extents(f))
os.pwrite(f, b'z' * 4 * K, 1020 * K); os.fsync(f); print(extents(f), attempt(lambda: os.lseek(f, 1024 * K, os.SEEK_DATA)))
fallocate(f, PUNCH | KEEP, 512 * K, 64 * K); os.fsync(f); print(extents(f)); os.close(f)`);
      expect(mounted).toBe(local);
      expect(local).toContain('(131072, 196608)');
    });

    turns.it('a file of O_TMPFILE gets a name with linkat, and is stored then', linked);
  });
});
