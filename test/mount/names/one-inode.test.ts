/**
 * A file is one object in the kernel, however it is opened. Locks, mappings, pages and watches belong to the file, even if some
 * of its readers are passthrough. Each script runs on a file that is stored, cached and handed to the kernel.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** The ways to lock a file; `wants` says what it takes where it is not shared. */
const prelude = `
import ctypes, fcntl, mmap, os, struct, subprocess, sys, time
def lock(fd, kind, exclusive):
    if kind == 'flock': fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    elif kind == 'posix': fcntl.lockf(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    else: fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, 0, 0, 0, 0))  # F_OFD_SETLK
def child(source, *args):
    process = subprocess.Popen([sys.executable, '-c', prelude + source, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\\n'
    return process
def end(process): process.stdin.close(); assert process.wait() == 0
`;
const python = (script: string): string =>
  `python3 - <<'END'\nprelude = r'''${prelude}'''\nexec(prelude)\n${script}\nEND`;

describeEach(overKernel, 'a file of $provider that is handed to the kernel, or not', (subject, { it }) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
    await world.sandbox.store.putFile('/l', 'a'.repeat(100_000));
    await world.mount();
    await world.out('cat l l > /dev/null');
  });

  it('shows every write to every reader, mapping and watch', async () => {
    expect(
      await world.out(
        python(`
libc = ctypes.CDLL(None, use_errno=True)
inotify = libc.inotify_init1(os.O_NONBLOCK)
r = os.open('l', os.O_RDONLY); m = mmap.mmap(r, 0, prot=mmap.PROT_READ)
assert os.pread(r, 3, 0) == b'aaa' == m[:3]
assert libc.inotify_add_watch(inotify, b'l', 2) > 0  # IN_MODIFY
for flags, at, text in ((os.O_WRONLY, 10, b'one'), (os.O_RDWR, 20, b'two'), (os.O_RDWR | os.O_APPEND, 100000, b'end')):
    w = os.open('l', flags); os.pwrite(w, text, at)
    assert os.pread(r, 3, at) == text, (flags, os.pread(r, 3, at))
    assert at == 100000 or m[at:at + 3] == text, flags
    assert os.fstat(r).st_size == os.fstat(w).st_size == os.stat('l').st_size == max(100000, at + 3)
    assert os.fstat(r).st_ino == os.stat('l').st_ino == os.fstat(w).st_ino
    os.close(w)
    assert os.read(inotify, 4096), flags
w = os.open('l', os.O_RDWR); s = mmap.mmap(w, 0); s[30:35] = b'three'
assert os.pread(r, 5, 30) == m[30:35] == os.pread(w, 5, 30) == b'three'
s.flush(); s.close(); os.close(w)
os.truncate('l', 50)
assert os.pread(r, 100, 0)[10:35] == b'oneaaaaaaatwoaaaaaaathree' and os.fstat(r).st_size == 50
print(open('l').read())`),
      ),
    ).toBe(`${'a'.repeat(10)}one${'a'.repeat(7)}two${'a'.repeat(7)}three${'a'.repeat(15)}`);
    await world.umount();
    expect(`${await world.sandbox.store.readFile('/l')}`).toBe(
      `${'a'.repeat(10)}one${'a'.repeat(7)}two${'a'.repeat(7)}three${'a'.repeat(15)}`,
    );
  });

  it('keeps what is written through a mapping that outlives its descriptors', async () => {
    expect(
      await world.out(
        python(`
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
r = os.open('l', os.O_RDONLY); os.pread(r, 1, 0)
w = os.open('l', os.O_RDWR)
at = libc.mmap(None, ctypes.c_size_t(100000), 3, 1, w, ctypes.c_long(0))
os.close(w); os.close(r)
ctypes.memmove(at + 50000, b'mapped', 6)
print(open('l').read()[49999:50007])
ctypes.memmove(at + 60000, b'later', 5)
libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(100000))`),
      ),
    ).toBe('amappeda');
    await expect.poll(async () => `${await world.sandbox.store.readFile('/l')}`.slice(59_999, 60_006)).toBe('alatera');
    expect(await world.out('cut -c 50000-50008 l')).toBe('amappedaa');
    await world.umount();
    expect((await world.log()).match(/unexpected|malformed/)).toBeNull();
  });
});

// Locks are the kernel's own business, whatever the service.
describe.each([[[]], [['--write-back']]])('a file that is handed to the kernel, or not, mounted with %j', (options) => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld({ provider: '4shared', binding: 'kernel' });
    await world.sandbox.store.putFile('/l', 'a'.repeat(100_000));
    await world.mount(...options);
    await world.out('cat l l > /dev/null');
  });

  it('is locked for all, whatever the lock, the open and the order', async () => {
    expect(
      await world.out(
        python(`
# Another program, which holds one lock after the other.
holder = child('''
print('ready', flush=True)
while line := sys.stdin.readline():
    flags, kind, exclusive = line.split()
    fd = os.open('l', int(flags)); lock(fd, kind, exclusive == 'True'); print('held', flush=True)
    sys.stdin.readline(); os.close(fd); print('free', flush=True)''')
def tell(line, answer):
    print(line, file=holder.stdin, flush=True)
    assert holder.stdout.readline() == answer + '\\n'
wrong = []
opens = [os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_APPEND]
for kind in ('flock', 'posix', 'ofd'):
    for first in opens:
        for second in opens:
            for exclusive in ((True, True), (True, False), (False, True), (False, False)):
                # POSIX and OFD locks: a shared one needs a descriptor that reads, an exclusive one one that writes.
                fits = lambda flags, ex: kind == 'flock' or (flags != os.O_RDONLY if ex else not flags & os.O_WRONLY)
                if not (fits(first, exclusive[0]) and fits(second, exclusive[1])): continue
                tell(f'{first} {kind} {exclusive[0]}', 'held')
                fd = os.open('l', second)
                try: lock(fd, kind, exclusive[1]); got = True
                except OSError: got = False
                if got != (exclusive == (False, False)): wrong.append((kind, first, second, exclusive))
                tell('', 'free'); lock(fd, kind, exclusive[1]); os.close(fd)
end(holder); print(wrong)`),
      ),
    ).toBe('[]');
  });

  it('takes the writes of four programs that use one SQLite database at once', long, async () => {
    expect(
      await world.out(`
        for mode in delete wal; do
          sqlite3 $mode.db "pragma journal_mode = $mode; create table t (who, n); insert into t values (0, 0)" > /dev/null
          cat $mode.db $mode.db > /dev/null
          sqlite3 -readonly $mode.db 'select count(*) from t; select count(*) from t' > /dev/null
          for who in 1 2 3 4; do
            ( for n in $(seq 15); do sqlite3 -cmd '.timeout 60000' $mode.db "insert into t values ($who, $n)" || echo failed; done ) &
          done
          for n in $(seq 30); do sqlite3 -readonly -cmd '.timeout 60000' $mode.db 'select count(*) > 0 from t' | grep -v 1; done
          wait
          sqlite3 $mode.db 'pragma integrity_check; select count(*), count(distinct who || "-" || n) from t'
        done`),
    ).toBe(['ok', '61|61', 'ok', '61|61'].join('\n'));
  });
});
