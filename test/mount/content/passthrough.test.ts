/** Files that the kernel reads by itself from our cache (passthrough). Programs must notice only the speed. */
import { createHash } from 'node:crypto';
import { release } from 'node:os';
import { beforeEach, expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, isDownload, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const MIB = 1024 * 1024;
const [major = 0, minor = 0] = release().split('.').map(Number);
const isPossible = (major > 6 || (major === 6 && minor >= 9)) && process.geteuid?.() === 0;

describeEach(overKernel, 'passthrough on $provider', (subject, { unless }) => {
  const it = unless(() => !isPossible, 'before Linux 6.9 and for ordinary users');
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
  });

  const sum = async (path: string): Promise<string> =>
    createHash('md5')
      .update(await world.sandbox.store.readFile(path))
      .digest('hex');
  /** The reads of the mount's process itself, without passthrough reads of the kernel. */
  const bytesRead = (script: string): Promise<number> =>
    world
      .out(
        `before=$(awk '/^rchar/ { print $2 }' /proc/$PID/io); { ${script}; } > /dev/null
        echo $(( $(awk '/^rchar/ { print $2 }' /proc/$PID/io) - before ))`.replaceAll('$PID', `${pid}`),
      )
      .then(Number);
  /** Without a checksum that tells revisions apart, a file that changed a moment ago is not cached. */
  const settled = (path: string): void => world.sandbox.store.setModified(path, Date.now() - 60_000);
  let pid = 0;
  const mount = async (...flags: string[]): Promise<void> => {
    await world.mount(...flags);
    ({ pid } = await world.status());
  };
  /** Twice: the first brings it, or checks what an earlier mount brought. */
  const warm = (name: string): Promise<string> =>
    world.out(`cat ${name} > /dev/null; cat ${name} | md5sum | cut -c1-32`);

  it('a file that was read once is read by the kernel, with the right bytes', async () => {
    await world.sandbox.store.generate('/file.bin', 10 * MIB + 12_345);
    settled('/file.bin');
    await mount();
    expect(await warm('file.bin')).toBe(await sum('/file.bin'));
    expect(await bytesRead('cat file.bin; tail -c 1M file.bin')).toBeLessThan(MIB);
    expect(
      await world.out(`python3 -c "
import mmap, hashlib
f = open('file.bin', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); f.close()
print(hashlib.md5(m).hexdigest())"`),
    ).toBe(await sum('/file.bin'));
    await world.umount();
    // It was found sound in this boot of the machine, and nobody has touched it since.
    await mount();
    expect(await bytesRead('cat file.bin')).toBeLessThan(MIB);
    expect(await world.out('md5sum < file.bin')).toContain(await sum('/file.bin'));
    await world.umount();
    // Touched: the checksums are compared first.
    await world.out('find "$TOP/cache" -type f -size +9M -exec touch {} +');
    await mount();
    expect(await bytesRead('cat file.bin')).toBeGreaterThan(10 * MIB);
    expect(await bytesRead('cat file.bin')).toBeLessThan(MIB);
  });

  it('a damaged cache file is never handed over', async () => {
    await world.sandbox.store.generate('/file.bin', 3 * MIB);
    await mount();
    await warm('file.bin');
    await world.out(
      'for f in $(find "$TOP/cache" -type f -size +1000k); do printf damaged | dd of=$f conv=notrunc seek=500000 bs=1 status=none; done',
    );
    expect(await world.out('md5sum < file.bin | cut -c1-32')).toBe(await sum('/file.bin'));
  });

  it('an open file stays whole while others push it out of a small cache, and the cap holds', long, async () => {
    await world.sandbox.store.generate('/kept.bin', 6 * MIB, 1);
    await world.sandbox.store.generate('/other.bin', 30 * MIB, 2);
    await mount('--cache-size', '16M');
    await warm('kept.bin');
    const said = await world.out(`
      exec 3< kept.bin; head -c 100000 <&3 > "$TOP/kept"; for i in 1 2; do md5sum < other.bin | cut -c1-32; done
      du -sB1 --exclude='index.db*' "$TOP/cache" | cut -f1; cat <&3 >> "$TOP/kept"; md5sum < "$TOP/kept" | cut -c1-32`);
    const [first, second, onDisk, kept] = said.split('\n');
    expect([first, second, kept]).toEqual([await sum('/other.bin'), await sum('/other.bin'), await sum('/kept.bin')]);
    expect(Number(onDisk)).toBeLessThanOrEqual(16.5 * MIB);
    expect((await world.status()).cache.bytes).toBeLessThanOrEqual(16 * MIB);
  });

  it('a mapping outlives its descriptor, also while others push the file out of the cache', long, async () => {
    await world.sandbox.store.generate('/kept.bin', 20 * MIB, 1);
    await world.sandbox.store.generate('/other.bin', 60 * MIB, 2);
    await mount('--cache-size', '64M');
    await warm('kept.bin');
    expect(
      await world.out(`python3 -c "
import ctypes, hashlib, os, subprocess
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
f = os.open('kept.bin', os.O_RDONLY); size = os.fstat(f).st_size
at = libc.mmap(None, ctypes.c_size_t(size), 1, 1, f, ctypes.c_long(0)); os.close(f)
subprocess.run('cat other.bin other.bin > /dev/null', shell=True, check=True)
print(hashlib.md5((ctypes.c_char * size).from_address(at)).hexdigest())"`),
    ).toBe(await sum('/kept.bin'));
  });

  it('a reader sees what others write, append and truncate, through several closes', async () => {
    await world.sandbox.store.putFile('/file', 'a'.repeat(100_000));
    await mount();
    await warm('file');
    expect(
      await world.out(`python3 -c "
import os, mmap
r = os.open('file', os.O_RDONLY)
assert os.pread(r, 3, 0) == b'aaa' and os.fstat(r).st_size == 100000
w = os.open('file', os.O_RDWR)
assert os.pwrite(w, b'BBB', 50000) == 3
assert os.pread(r, 5, 49999) == b'aBBBa' == os.pread(w, 5, 49999), os.pread(r, 5, 49999)
os.close(w)
assert os.pread(r, 5, 49999) == b'aBBBa'
for i in range(2):
    w = os.open('file', os.O_WRONLY | os.O_APPEND); os.write(w, b'end'); os.close(w)
    assert os.fstat(r).st_size == 100003 + 3 * i == os.stat('file').st_size
    assert os.pread(r, 10, 100000 + 3 * i) == b'end'
other = os.open('file', os.O_RDONLY); assert os.pread(other, 5, 49999) == b'aBBBa'; os.close(other)
w = os.open('file', os.O_RDWR); m = mmap.mmap(w, 0); m[0:4] = b'mmap'; m.flush(); m.close(); os.close(w)
assert os.pread(r, 5, 0) == b'mmapa', os.pread(r, 5, 0)
assert os.stat('file').st_ino == os.fstat(r).st_ino
os.truncate('file', 10); assert os.pread(r, 100, 0) == b'mmapaaaaaa' and os.fstat(r).st_size == 10
w = os.open('file', os.O_WRONLY | os.O_TRUNC); assert os.pread(r, 100, 0) == b''; os.write(w, b'new'); os.close(w)
assert os.pread(r, 100, 0) == b'new'
os.close(r)
print(open('file').read())"`),
    ).toBe('new');
    expect(await world.out('cat file; cat file; echo more >> file; cat file')).toBe('newnewnewmore');
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/file')}`).toBe('newmore\n');
    expect((await world.log()).match(/unexpected|malformed/)).toBeNull();
  });

  it('a reader keeps its revision when another client changes the file, and the next open sees the new one', async () => {
    await world.sandbox.store.putFile('/file', 'one '.repeat(50_000));
    await mount('--dir-ttl', '1s');
    await warm('file');
    const reader = world.start(`
      exec 3< file; head -c 4 <&3; while [ ! -e "$TOP/go" ]; do sleep 0.05; done; cat <&3 | md5sum | cut -c1-32`);
    await reader.first;
    await world.sandbox.store.putFile('/file', 'two '.repeat(30_000));
    await world.until('head -c 4 file | grep -q two');
    expect(
      await world.out('md5sum < file | cut -c1-32; stat -c %s file; echo end >> file; tail -c 4 file; touch "$TOP/go"'),
    ).toBe(`${await createHash('md5').update('two '.repeat(30_000)).digest('hex')}\n120000\nend`);
    const rest = createHash('md5').update('one '.repeat(49_999)).digest('hex');
    expect(await reader.ended).toEqual({ code: 0, stdout: `one ${rest}\n`, stderr: '' });
    expect((await world.sandbox.store.readFile('/file')).length).toBe(120_004);
  });

  it('an open file that is removed or replaced is read on, and costs no download', async () => {
    await world.sandbox.store.generate('/file.bin', 2 * MIB);
    settled('/file.bin');
    await mount();
    await warm('file.bin');
    const before = await sum('/file.bin');
    const requests = await world.requestsOf(async () => {
      expect(
        await world.out(
          'exec 3< file.bin; echo new > temporary; mv temporary file.bin; cat file.bin; rm file.bin; md5sum <&3 | cut -c1-32; ls -A',
        ),
      ).toBe(`new\n${before}`);
    });
    expect(requests.filter(isDownload)).toEqual([]);
  });

  it('thousands of opens, by several at once, leave no descriptor behind', async () => {
    await world.sandbox.store.generate('/file.bin', MIB);
    await mount();
    await warm('file.bin');
    const count = `ls /proc/${pid}/fd | wc -l`;
    const [before, after] = (
      await world.out(`
        opens() { pids=; for i in 1 2 3; do python3 -c "
import os
for i in range(1000):
    f = os.open('file.bin', os.O_RDONLY); g = os.open('file.bin', os.O_RDONLY)
    assert len(os.pread(f, 100, i * 1000)) == 100; os.close(f); os.close(g)
    if i % 250 == 0: f = os.open('file.bin', os.O_RDWR); os.close(f)" & pids="$pids $!"; done
        for one in $pids; do wait $one || exit 7; done; }
        # What the mount starts for the first of them (a thread) has descriptors of its own.
        opens; ${count}; opens; ${count}`)
    )
      .split('\n')
      .map(Number);
    // A thread of the mount that starts with its first work has four of its own.
    expect(after).toBeLessThanOrEqual((before ?? 0) + 2 + 4);
    expect(await world.out('md5sum < file.bin | cut -c1-32')).toBe(await sum('/file.bin'));
  });
});
