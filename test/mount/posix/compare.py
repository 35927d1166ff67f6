"""Performs the same system calls in a directory of a mount and in an ordinary one, and tells the first difference.

    compare.py                     a JSON object a line in, {"mount", "local", "steps", "lenient"}; out, {"difference": text or null}
    compare.py MOUNT LOCAL < LOG   one step a line; the difference is printed, and the exit status is 1

With {"trees": [one, other]} nothing is done: the first difference of two directories is told.

A step is an array: the name of a method of `Actor` and its arguments. `lenient` names errnos of the mount after which a
step counts as not done, because the service cannot do it: it is then left out in the ordinary directory.

In between, this process asks about the service behind the mount: {"ask": [what, ...]} out, the answer in (others.ts). So it
meets uploads on their way (`during_upload`), and has another client act (elsewhere.py). With MOUNT LOCAL nobody answers: then
`during_upload` meets no upload, and `elsewhere` does nothing.
"""
import ctypes, errno, fcntl, json, mmap, os, random, signal, stat, sys, time

from elsewhere import Elsewhere

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_NOREPLACE = -100, 1
# Times that utimes sets are before this; of later ones only that they are now.
OLD = 1_500_000_000_000_000_000
# How far from now a time may be that says now, ns.
NOW = 600_000_000_000
PERMISSIONS = 0o7777
# How often a signal comes, s: several times during a call that waits for the service.
STORM = 0.003
# How often is looked whether an upload is under way, s.
LOOK = 0.002


def pattern(fill, length):
    """The same for the same fill, and nothing comes twice in it: what is put in the wrong place shows."""
    return random.Random(fill).randbytes(length)


def time_of(ns):
    if ns < OLD:
        return ns
    return 'now' if abs(time.time_ns() - ns) < NOW else f'{ns}'


def attributes(found):
    """What must be equal in both directories."""
    if stat.S_ISDIR(found.st_mode):
        return ['directory', found.st_mode & PERMISSIONS, time_of(found.st_mtime_ns)]
    kinds = {stat.S_IFREG: 'file', stat.S_IFLNK: 'link', stat.S_IFSOCK: 'socket', stat.S_IFIFO: 'pipe'}
    kind = kinds[stat.S_IFMT(found.st_mode)]
    if kind == 'pipe':
        # Its times are those of what went through it, which the kernel tells nobody.
        return [kind, found.st_mode & PERMISSIONS, found.st_nlink]
    return [kind, found.st_mode & PERMISSIONS, time_of(found.st_mtime_ns), found.st_size, found.st_nlink]


def attributes_of(path):
    """Extended ones: those that a program has set."""
    names = [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith('user.')]
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in names}


def rendezvous(tell, wait):
    """Says so by one pipe, and waits until the other is closed."""
    os.write(tell, b'.')
    os.read(wait, 1)


class Actor:
    """One of the two directories. Each method returns what a program sees."""

    def __init__(self, top, ask=None):
        """`ask` puts a question to the service; only of the mount, and where somebody answers."""
        self.top, self.descriptors, self.ask = top, {}, ask

    def at(self, path):
        return os.path.join(self.top, path) if path else self.top

    def perform(self, step):
        name, *arguments = step
        try:
            return ['ok', getattr(self, name)(*arguments)]
        except OSError as error:
            return ['errno', errno.errorcode.get(error.errno, str(error.errno))]

    def fd(self, slot):
        # A number that nobody has, where the slot is free: EBADF.
        return self.descriptors.get(slot, 1_000_000)

    def open(self, slot, path, flags):
        bits = os.O_NONBLOCK
        for flag in flags:
            bits |= getattr(os, flag)
        fd = os.open(self.at(path), bits, 0o640)
        if slot in self.descriptors:
            os.close(self.descriptors[slot])
        self.descriptors[slot] = fd

    def close(self, slot):
        os.close(self.descriptors.pop(slot, 1_000_000))

    def pwrite(self, slot, offset, length, fill):
        return os.pwrite(self.fd(slot), pattern(fill, length), offset)

    def write(self, slot, length, fill):
        return os.write(self.fd(slot), pattern(fill, length))

    def pread(self, slot, offset, length):
        return os.pread(self.fd(slot), length, offset).hex()

    def read(self, slot, length):
        return os.read(self.fd(slot), length).hex()

    def lseek(self, slot, offset, whence):
        # Where a directory ends is the file system's own business.
        if stat.S_ISDIR(os.fstat(self.fd(slot)).st_mode):
            return 'directory'
        return os.lseek(self.fd(slot), offset, getattr(os, whence))

    def ftruncate(self, slot, size):
        os.ftruncate(self.fd(slot), size)

    def fsync(self, slot):
        os.fsync(self.fd(slot))

    def fstat(self, slot):
        return attributes(os.fstat(self.fd(slot)))

    def fchmod(self, slot, mode):
        os.fchmod(self.fd(slot), mode)

    def futimes(self, slot, ns):
        os.utime(self.fd(slot), ns=(ns, ns))

    def copy_range(self, source, target, offset, length):
        return os.copy_file_range(self.fd(source), self.fd(target), length, offset, offset)

    def map_write(self, slot, offset, length, fill):
        """Through a shared mapping, which ends afterwards. Where the file is too short for it, nothing."""
        fd = self.fd(slot)
        found = os.fstat(fd)
        if length == 0 or stat.S_ISDIR(found.st_mode) or found.st_size < offset + length:
            return 'too short'
        with mmap.mmap(fd, offset + length) as mapping:
            mapping[offset:offset + length] = pattern(fill, length)
            mapping.flush()

    def flock(self, slot, exclusive):
        fcntl.flock(self.fd(slot), (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)

    def unlock(self, slot):
        fcntl.flock(self.fd(slot), fcntl.LOCK_UN)

    def lock(self, slot, exclusive):
        fcntl.lockf(self.fd(slot), (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)

    def lock_elsewhere(self, path, flags, kind, exclusive):
        """What another process gets that wants a lock."""
        child = os.fork()
        if child == 0:
            try:
                fd = os.open(self.at(path), getattr(os, flags) | os.O_NONBLOCK)
                operation = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
                (fcntl.flock if kind == 'flock' else fcntl.lockf)(fd, operation)
            except OSError as error:
                os._exit(error.errno)
            finally:
                os._exit(0)
        return errno.errorcode.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 'granted')

    def create(self, path, length, fill):
        """As the shell's `>`."""
        self._put(path, os.O_CREAT | os.O_TRUNC, pattern(fill, length))

    def append(self, path, length, fill):
        self._put(path, os.O_APPEND, pattern(fill, length))

    def save(self, path, length, fill):
        """As an editor: beside it, and then in its place."""
        self._put(f'{path}.new', os.O_CREAT | os.O_EXCL, pattern(fill, length))
        os.rename(self.at(f'{path}.new'), self.at(path))

    def copy(self, path, to):
        content = self._content(path)
        self._put(to, os.O_CREAT | os.O_TRUNC, content)
        os.utime(self.at(to), ns=(os.stat(self.at(path)).st_mtime_ns,) * 2)

    def cat(self, path):
        return self._content(path).hex()

    def truncate(self, path, size):
        os.truncate(self.at(path), size)

    def stat(self, path):
        return attributes(os.lstat(self.at(path)))

    def chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def utimes(self, path, ns):
        os.utime(self.at(path), ns=(ns, ns))

    def readdir(self, path):
        return sorted(os.listdir(self.at(path)))

    def mkdir(self, path):
        os.mkdir(self.at(path), 0o750)

    def rmdir(self, path):
        os.rmdir(self.at(path))

    def unlink(self, path):
        os.unlink(self.at(path))

    def symlink(self, target, path):
        os.symlink(target, self.at(path))

    def readlink(self, path):
        return os.readlink(self.at(path))

    def socket(self, path):
        # What stands for all special files: an open of it fails at once, and that of a FIFO would wait.
        os.mknod(self.at(path), stat.S_IFSOCK | 0o640)

    def link(self, path, to):
        os.link(self.at(path), self.at(to), follow_symlinks=False)

    def pipe(self, path):
        # It is opened by O_NONBLOCK: without it, an open would wait for another one.
        os.mkfifo(self.at(path), 0o640)

    def set_attribute(self, path, name, length, fill):
        os.setxattr(self.at(path), name, pattern(fill, length), follow_symlinks=False)

    def get_attribute(self, path, name):
        return os.getxattr(self.at(path), name, follow_symlinks=False).hex()

    def remove_attribute(self, path, name):
        os.removexattr(self.at(path), name, follow_symlinks=False)

    def list_attributes(self, path):
        return attributes_of(self.at(path))

    def rename(self, path, to):
        os.rename(self.at(path), self.at(to))

    def rename_noreplace(self, path, to):
        names = (os.fsencode(self.at(path)), os.fsencode(self.at(to)))
        if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_NOREPLACE) != 0:
            raise OSError(ctypes.get_errno(), 'renameat2')

    def during_upload(self, path, length, fill, delay, act):
        """Another process stores a file; as soon as the upload of all of it is under way, `act`. What becomes of both."""
        # To be told that it is written, and to say that it may be closed.
        written, may_close = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(written[0])
            os.close(may_close[1])
            try:
                self._put(path, os.O_CREAT | os.O_TRUNC, pattern(fill, length), lambda: rendezvous(written[1], may_close[0]))
            except OSError as error:
                os._exit(error.errno)
            finally:
                os._exit(0)
        os.close(written[1])
        os.close(may_close[0])
        is_written = os.read(written[0], 1) != b''
        if is_written and self.ask is not None:
            self.ask('delay', *delay)
        os.close(may_close[1])
        os.close(written[0])
        ended = self._until_uploading(path, child, is_written)
        outcome = self.perform(act)
        if self.ask is not None:
            self.ask('go on')
        status = ended if ended is not None else os.waitpid(child, 0)[1]
        return [errno.errorcode.get(os.waitstatus_to_exitcode(status), 'stored'), outcome]

    def nothing(self):
        """In the place of an act that the service cannot do."""

    def _until_uploading(self, path, child, is_written):
        """In the ordinary directory: until it is stored. The exit status, where the child has ended."""
        if self.ask is None or not is_written:
            return os.waitpid(child, 0)[1]
        ended = None
        while not self.ask('is uploading', path, ended is not None):
            if ended is None:
                done, status = os.waitpid(child, os.WNOHANG)
                ended = status if done else None
            time.sleep(LOOK)
        return ended

    def tree(self):
        """Everything: attributes, and content of files."""
        seen, same = {}, {}
        for directory, names, files in os.walk(self.top):
            for name in names + files:
                path = os.path.join(directory, name)
                found = os.lstat(path)
                content = self._content(path).hex() if stat.S_ISREG(found.st_mode) else None
                if stat.S_ISLNK(found.st_mode):
                    content = os.readlink(path)
                same.setdefault((found.st_dev, found.st_ino), []).append(os.path.relpath(path, self.top))
                seen[os.path.relpath(path, self.top)] = [attributes(found), content, attributes_of(path)]
        seen['names of one inode'] = sorted(sorted(names) for names in same.values() if len(names) > 1)
        return seen

    def close_all(self):
        outcomes = [self.perform(['close', slot]) for slot in sorted(self.descriptors)]
        return [outcome for outcome in outcomes if outcome[0] != 'ok']

    def _put(self, path, flags, content, before_close=lambda: None):
        fd = os.open(self.at(path), os.O_WRONLY | os.O_NONBLOCK | flags, 0o640)
        try:
            os.write(fd, content)
            before_close()
        finally:
            os.close(fd)

    def _content(self, path):
        # What is opened by open() stays so where that refuses it, as it does a directory.
        with open(self.at(path), 'rb', buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            return file.read() or b''


def short(value):
    text = json.dumps(value)
    return text if len(text) < 300 else f'{text[:200]}… ({len(text)} characters) …{text[-60:]}'


def difference(step, seen, wanted):
    if isinstance(seen[1], dict) and isinstance(wanted[1], dict):
        paths = [path for path in sorted({*seen[1], *wanted[1]}) if seen[1].get(path) != wanted[1].get(path)]
        seen, wanted = ([path, one[1].get(path)] for path, one in ((paths[0], seen), (paths[0], wanted)))
    return f'{json.dumps(step)}: {short(seen)}, and not {short(wanted)}'


def compare(mount, local, steps, lenient, ask=None):
    """The first difference in words, or None."""
    for top in (mount, local):
        if not os.path.isdir(top):
            os.mkdir(top)
    pair = Actor(mount, ask), Actor(local)
    elsewhere = Elsewhere(*pair, ask)
    try:
        for number, step in enumerate(steps):
            if step[0] == 'elsewhere':
                problem = elsewhere.perform(*step[1:])
                if problem is not None:
                    return f'step {number}, {json.dumps(step)}: {problem}'
                continue
            if not elsewhere.may(step):
                continue
            seen = pair[0].perform(step)
            if step[0] == 'during_upload' and seen[1][1][0] == 'errno' and seen[1][1][1] in lenient:
                # The file is stored all the same.
                step, seen[1][1] = [*step[:-1], ['nothing']], ['ok', None]
            if seen[0] == 'errno' and seen[1] in lenient or elsewhere.is_excused(step, seen):
                continue
            wanted = pair[1].perform(step)
            if elsewhere.seen(step, seen) != elsewhere.seen(step, wanted):
                return f'step {number}, {difference(step, seen, wanted)}'
            elsewhere.done(step, wanted)
        for last in (['close_all'], ['tree']):
            seen, wanted = (actor.perform(last) for actor in pair)
            if seen != wanted:
                return f'at the end, {difference(last, seen, wanted)}'
        return None
    finally:
        for actor in pair:
            actor.close_all()


def compare_trees(one, other):
    """The first difference in words, or None."""
    seen, wanted = (Actor(top).perform(['tree']) for top in (one, other))
    return None if seen == wanted else difference(['tree', one], seen, wanted)


def say(message):
    print(json.dumps(message), flush=True)


def ask(*question):
    say({'ask': question})
    return json.loads(sys.stdin.readline())


def main():
    # Modes are those that are asked for, in both.
    os.umask(0)
    # Signals come all the time, and change nothing: their handler restarts what they meet.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, STORM, STORM)
    if len(sys.argv) == 3:
        sys.exit(compare(sys.argv[1], sys.argv[2], [json.loads(line) for line in sys.stdin], []))
    while line := sys.stdin.readline():
        asked = json.loads(line)
        say({'difference': compare_trees(*asked['trees']) if 'trees' in asked else compare(**asked, ask=ask)})
    # A signal at the interpreter's end would kill it.
    signal.setitimer(signal.ITIMER_REAL, 0)


main()
