/** Files that the kernel reads by itself (passthrough) while they wait for their upload. Programs must notice only the speed. */
import { createHash } from 'node:crypto';
import { release } from 'node:os';
import { beforeEach, expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, overKernel, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const MIB = 1024 * 1024;
const [major = 0, minor = 0] = release().split('.').map(Number);
const isPossible = (major > 6 || (major === 6 && minor >= 9)) && process.geteuid?.() === 0;

describeEach(overKernel, 'passthrough of the spool on $provider', (subject, { unless }) => {
  const it = unless(() => !isPossible, 'before Linux 6.9 and for ordinary users');
  const { bringing } = traits[subject.provider];
  cleanUpWorlds();
  let world: World;
  let pid = 0;
  const refuse = (): void => void world.sandbox.faults.add({ ...bringing, action: { kind: 'status', status: 507 } });
  beforeEach(async () => {
    world = await openWorld(subject);
    await world.sandbox.store.generate('/other.bin', 60 * MIB);
    await world.mount('--write-back', '--cache-size', '64M');
    ({ pid } = await world.status());
    refuse();
  });

  /** The reads of the mount's process itself, without passthrough reads of the kernel. */
  const bytesRead = async (script: string): Promise<number> => {
    const counted = `awk '/^rchar/ { print $2 }' /proc/${pid}/io`;
    return Number(
      await world.out(`before=$(${counted}); { ${script}; } > /dev/null; echo $(( $(${counted}) - before ))`),
    );
  };
  const until = (what: () => Promise<boolean>) => expect.poll(what).toBe(true);
  const untilFailed = (): Promise<void> => until(async () => (await world.status()).failed.length > 0);
  const store = async (): Promise<void> => {
    world.sandbox.faults.clear();
    await world.cli(['uploads', 'retry', world.mnt]);
    await until(async () => {
      const { pending, failed } = await world.status();
      return pending.length + failed.length === 0;
    });
  };
  const md5 = (data: Uint8Array | string): string => createHash('md5').update(data).digest('hex');

  it('a file that cannot be stored is read by the kernel, before and after it is stored', long, async () => {
    const sum = await world.out('head -c 20M /dev/urandom | tee file.bin | md5sum | cut -c1-32');
    await untilFailed();
    expect(await bytesRead('cat file.bin; tail -c 1M file.bin')).toBeLessThan(MIB);
    const reader = world.start(`
      exec 3< file.bin; head -c 1M <&3 | md5sum | cut -c1-32; while [ ! -e "$TOP/go" ]; do sleep 0.05; done
      { head -c 1M file.bin; cat <&3; } | md5sum | cut -c1-32`);
    await reader.first;
    await store();
    // What the cache gives up now is not what is being read.
    await world.out('cat other.bin other.bin > /dev/null');
    expect(await bytesRead('cat file.bin')).toBeLessThan(MIB);
    await world.out('touch "$TOP/go"');
    expect((await reader.ended).stdout.split('\n')[1]).toBe(sum);
    expect(md5(await world.sandbox.store.readFile('/file.bin'))).toBe(sum);
    expect(await world.out('stat -c %s file.bin; md5sum < file.bin | cut -c1-32')).toBe(`${20 * MIB}\n${sum}`);
  });

  it('a reader sees what others write, append, cut, map and store, and the size of it', async () => {
    await world.out('printf %0100000d 0 > file');
    await untilFailed();
    expect(
      await world.out(`python3 -c "
import os, mmap
r = os.open('file', os.O_RDONLY); seen = mmap.mmap(r, 0, prot=mmap.PROT_READ)
assert os.pread(r, 3, 0) == b'000' and os.fstat(r).st_size == 100000
w = os.open('file', os.O_RDWR)
assert os.pwrite(w, b'BBB', 50000) == 3
assert os.pread(r, 5, 49999) == b'0BBB0' == os.pread(w, 5, 49999) == seen[49999:50004]
os.close(w)
for i in range(2):
    w = os.open('file', os.O_WRONLY | os.O_APPEND); os.write(w, b'end'); os.close(w)
    assert os.fstat(r).st_size == 100003 + 3 * i == os.stat('file').st_size
    assert os.pread(r, 10, 100000 + 3 * i) == b'end'
w = os.open('file', os.O_RDWR); m = mmap.mmap(w, 0); m[0:4] = b'mmap'; m.flush(); m.close(); os.close(w)
assert os.pread(r, 5, 0) == b'mmap0', os.pread(r, 5, 0)
assert os.stat('file').st_ino == os.fstat(r).st_ino
os.truncate('file', 10); assert os.pread(r, 100, 0) == b'mmap000000' and os.fstat(r).st_size == 10
w = os.open('file', os.O_WRONLY | os.O_TRUNC); assert os.pread(r, 100, 0) == b''; os.write(w, b'new'); os.close(w)
assert os.pread(r, 100, 0) == b'new'
os.rename('file', 'renamed'); assert os.pread(r, 100, 0) == b'new'
w = os.open('renamed', os.O_WRONLY | os.O_APPEND); os.write(w, b'er'); os.close(w)
assert os.pread(r, 100, 0) == b'newer'
print(open('renamed').read())"`),
    ).toBe('newer');
    await store();
    expect(`${await world.sandbox.store.readFile('/renamed')}`).toBe('newer');
    expect((await world.log()).match(/unexpected|malformed/)).toBeNull();
  });

  it('an open file that is removed or replaced is read on, and nothing of it is left', async () => {
    await world.out('head -c 3M /dev/urandom > file; md5sum < file | cut -c1-32 > "$TOP/sum"');
    await untilFailed();
    expect(
      await world.out(`
        exec 3< file; echo new > temporary; mv temporary file 2> /dev/null || { rm file; echo new > file; }
        cat file; rm file; md5sum <&3 | cut -c1-32 | cmp - "$TOP/sum" && ls -A`),
    ).toBe('new\nother.bin');
    await until(async () => (await world.out('find "$TOP/state" -path "*spool/*" -type f')) === '');
  });

  it('a mapping of it outlives its descriptor, its upload and the cache', async () => {
    await world.out('head -c 20M /dev/urandom > file.bin');
    await untilFailed();
    const mapped = world.start(`python3 -c "
import ctypes, hashlib, os, time
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
f = os.open('file.bin', os.O_RDONLY); size = os.fstat(f).st_size
at = libc.mmap(None, ctypes.c_size_t(size), 1, 1, f, ctypes.c_long(0)); os.close(f)
print(hashlib.md5((ctypes.c_char * size).from_address(at)).hexdigest(), flush=True)
while not os.path.exists(os.environ['TOP'] + '/go'): time.sleep(0.05)
print(hashlib.md5((ctypes.c_char * size).from_address(at)).hexdigest())"`);
    await mapped.first;
    await store();
    await world.out('cat other.bin other.bin > /dev/null; touch "$TOP/go"');
    const sum = md5(await world.sandbox.store.readFile('/file.bin'));
    expect((await mapped.ended).stdout).toBe(`${sum}\n${sum}\n`);
  });
});
