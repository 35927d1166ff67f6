"""Works at random on one file of a mount, and compares each byte that it reads with what it wrote: after fsx of NeXT.

    fsx.py FILE --seed S --operations N --seconds T   works; the model is left in $TOP/expected
    fsx.py FILE --replay < LOG                        does what a log says

A mismatch ends it with status 1; the log, made as short as it can be, goes to stdout as a shell script. `$REMOUNT` is
a command that mounts again what FILE is on; its argument `cold` says that the cache is to be emptied in between.
"""
import argparse, ctypes, mmap, os, random, subprocess, sys, time

# Enough for several blocks of the cache (64 KiB) and for uploads in several chunks.
MOST = 600_000
PAGE = mmap.PAGESIZE
# Replays that a failure is shortened by, at most, and for how long, seconds.
MOST_REPLAYS, SHRINKING = 400, 60
libc = ctypes.CDLL(None, use_errno=True)
FALLOC_FL_KEEP_SIZE = 1


class Mismatch(Exception):
    pass


def pattern(fill, at, length):
    """No two writes alike, and no two places of one write."""
    unit = b''.join(((fill * 2654435761 + i) & 0xFFFFFFFF).to_bytes(4, 'little') for i in range(at // 4, at // 4 + 64))
    return (unit * (length // len(unit) + 1))[:length]


class File:
    """The file and what it must hold. Each method but `end` is one line of a log."""

    def __init__(self, path):
        self.path, self.model, self.fd, self.appender, self.map = path, bytearray(), None, None, None
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644))
        self.open()

    def open(self):
        if self.fd is None:
            self.fd = os.open(self.path, os.O_RDWR)

    def close(self):
        for fd in (self.fd, self.appender):
            if fd is not None:
                os.close(fd)
        self.fd = self.appender = None

    def reopen(self):
        self.close()
        self.open()

    def unmap(self):
        if self.map is not None:
            self.map.close()
        self.map = None

    def end(self):
        self.unmap()
        self.close()

    def remount(self, kind):
        self.end()
        subprocess.run([*os.environ['REMOUNT'].split(), kind], check=True, stdout=subprocess.DEVNULL)
        self.open()

    def write(self, at, length, fill):
        self._put(at, pattern(fill, at, length))
        done = 0
        while done < length:
            done += os.pwrite(self.fd, self.model[at + done:at + length], at + done)

    def append(self, length, fill):
        if self.appender is None:
            self.appender = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        at = len(self.model)
        self._put(at, pattern(fill, at, length))
        done = 0
        while done < length:
            done += os.write(self.appender, self.model[at + done:])

    def truncate(self, size):
        self.unmap()
        self._size(size)
        os.ftruncate(self.fd, size)

    def truncate_path(self, size):
        """Through the name, with or without an open descriptor."""
        self.unmap()
        self._size(size)
        os.truncate(self.path, size)

    def empty(self):
        self.unmap()
        self._size(0)
        os.close(os.open(self.path, os.O_WRONLY | os.O_TRUNC))

    def allocate(self, at, length, keep_size):
        mode = FALLOC_FL_KEEP_SIZE if keep_size else 0
        if libc.fallocate(self.fd, mode, ctypes.c_long(at), ctypes.c_long(length)) != 0:
            raise OSError(ctypes.get_errno(), 'fallocate')
        if not keep_size:
            self._size(max(len(self.model), at + length))

    def copy(self, source, at, length):
        """Within the file, which must not overlap."""
        data = self.model[source:source + length]
        done = 0
        while done < len(data):
            count = os.copy_file_range(self.fd, self.fd, len(data) - done, source + done, at + done)
            if count == 0:
                raise Mismatch(f'copy_file_range ended after {done} of {len(data)} bytes')
            done += count
        self._put(at, data)

    def mmap_write(self, at, length, fill, sync):
        data = pattern(fill, at, length)
        self._put(at, data)
        with self._mapped(at, length) as mapped:
            mapped[at % PAGE:at % PAGE + length] = data
            if sync:
                mapped.flush()

    def map_for_long(self):
        """A mapping that outlives the descriptors, as that of a data base may."""
        self.unmap()
        if len(self.model) > 0:
            self.map = mmap.mmap(self.fd, len(self.model))

    def write_to_map(self, at, length, fill):
        if self.map is not None and at + length <= len(self.map):
            data = pattern(fill, at, length)
            self._put(at, data)
            self.map[at:at + length] = data

    def read_map(self, at, length):
        if self.map is not None and at + length <= len(self.map):
            self._compare(self.map[at:at + length], at, length)

    def mmap_read(self, at, length):
        with self._mapped(at, length) as mapped:
            self._compare(mapped[at % PAGE:at % PAGE + length], at, length)

    def read(self, at, length):
        self._compare(os.pread(self.fd, length, at), at, length)

    def drop(self):
        """The kernel forgets what it has of the file."""
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self, data_only):
        (os.fdatasync if data_only else os.fsync)(self.fd)

    def check(self):
        for size in (os.fstat(self.fd).st_size, os.stat(self.path).st_size, os.lseek(self.fd, 0, os.SEEK_END)):
            if size != len(self.model):
                raise Mismatch(f'{size} bytes long, not {len(self.model)}')
        with open(self.path, 'rb') as file:
            self._compare(file.read(), 0, len(self.model) + 1)

    def _mapped(self, at, length):
        start = at - at % PAGE
        return mmap.mmap(self.fd, at - start + length, offset=start)

    def _size(self, size):
        if size < len(self.model):
            del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def _put(self, at, data):
        self._size(max(len(self.model), at + len(data)))
        self.model[at:at + len(data)] = data

    def _compare(self, seen, at, length):
        wanted = bytes(self.model[at:at + length])
        if seen == wanted:
            return
        bad = [i for i in range(min(len(seen), len(wanted))) if seen[i] != wanted[i]]
        which = f'; bytes {at + bad[0]} to {at + bad[-1]} differ, the first is {seen[bad[0]]}, not {wanted[bad[0]]}' if bad else ''
        raise Mismatch(f'{len(seen)} bytes at {at}, not {len(wanted)}{which}')


def choose(file, rng, remounts):
    """The next operation, as a name and its arguments."""
    size = len(file.model)
    fill = rng.randrange(1 << 30)
    at = rng.choice((rng.randrange(MOST), rng.randrange(size + 1), rng.randrange(MOST) // PAGE * PAGE))
    length = 1 + rng.choice((rng.randrange(300), rng.randrange(10_000), rng.randrange(150_000), PAGE - 1))
    length = min(length, MOST - at)
    inside = min(length, size - at)
    # Only a shrinking file is unmapped: a mapping beyond the end is another matter (SIGBUS).
    acts = [(4, 'write', at, length, fill), (2, 'append', min(length, MOST - size), fill), (6, 'read', at, length),
            (2, 'truncate', rng.randrange(size + 1)), (1, 'truncate', at), (1, 'truncate_path', at),
            (2, 'allocate', at, length, rng.random() < 0.5), (2, 'sync', rng.random() < 0.5), (3, 'reopen'),
            (3, 'drop'), (2, 'check'), (0.5, 'map_for_long'), (0.3, 'unmap'), (0.2, 'empty'), (remounts / 2, 'remount', 'warm'),
            (remounts / 2, 'remount', 'cold')]
    if inside > 0:
        acts += [(5, 'mmap_read', at, inside), (5, 'mmap_write', at, inside, fill, rng.random() < 0.5)]
        target = rng.randrange(MOST)
        if abs(target - at) >= inside and target + inside <= MOST:
            acts.append((2, 'copy', at, target, inside))
        if file.map is not None and at + inside <= len(file.map):
            acts += [(3, 'write_to_map', at, inside, fill), (2, 'read_map', at, inside)]
    _, *act = rng.choices(acts, [weight for weight, *_ in acts])[0]
    return act


def perform(file, act):
    name, *arguments = act
    if name.startswith('_') or (file.fd is None and name != 'open'):
        raise ValueError(f'{name} cannot be done')
    getattr(file, name)(*arguments)


def replay(path, log):
    """What goes wrong, or None."""
    file = File(path)
    try:
        for act in log:
            perform(file, act)
        perform(file, ['check'])
    except (Mismatch, OSError) as error:
        return error
    finally:
        file.end()
    return None


def shortened(path, log):
    """A log of fewer operations that still fails; the log itself where it does not fail again."""
    until, replays = time.monotonic() + SHRINKING, 0
    piece = len(log) // 2
    while piece > 0:
        start = 0
        while start < len(log):
            if replays >= MOST_REPLAYS or time.monotonic() > until:
                return log
            shorter = log[:start] + log[start + piece:]
            replays += 1
            try:
                fails = replay(f'{path}.{replays}', shorter) is not None
            except (ValueError, BufferError):
                fails = False
            if fails:
                log = shorter
            else:
                start += piece
        piece //= 2
    return log


def work(path, seed, operations, seconds, remounts):
    rng, file, log = random.Random(seed), File(path), []
    until = time.monotonic() + seconds
    try:
        while len(log) < operations and time.monotonic() < until:
            log.append(choose(file, rng, remounts))
            perform(file, log[-1])
        perform(file, ['check'])
    except (Mismatch, OSError) as error:
        print(f'# seed {seed}, operation {len(log)}, {log[-1]}: {error}', file=sys.stderr, flush=True)
        file.end()
        short = shortened(path, log)
        lines = '\n'.join(repr(act) for act in short)
        print(f"# {len(short)} of {len(log)} operations\npython3 test/mount/fsx/fsx.py \"$MNT/file\" --replay <<'END'\n{lines}\nEND")
        sys.exit(1)
    file.end()
    with open(os.path.join(os.environ['TOP'], 'expected'), 'wb') as expected:
        expected.write(file.model)
    print(len(log))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('path')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--operations', type=float, default=20_000)
    parser.add_argument('--seconds', type=float, default=float('inf'))
    parser.add_argument('--remounts', type=float, default=0.1, help='weight; 0.1 is one in 400 operations')
    parser.add_argument('--replay', action='store_true')
    chosen = parser.parse_args()
    if not chosen.replay:
        return work(chosen.path, chosen.seed, chosen.operations, chosen.seconds, chosen.remounts)
    error = replay(chosen.path, [__import__('ast').literal_eval(line) for line in sys.stdin])
    sys.exit(None if error is None else f'{error}')


main()
