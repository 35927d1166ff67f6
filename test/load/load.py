"""Many writers and readers on one mount, while its service fails now and then.

    load.py DIRECTORY --work SECONDS --seed S --writers N --readers N    works; what must be there is left in $TOP/files
    load.py DIRECTORY --check                                           compares with $TOP/files

Content is made of records that say to which file, version and place they belong: whatever a reader sees can be told to
have been written by somebody, or not. One JSON object goes to stdout; `problems` must be empty.
"""
import argparse, json, os, random, struct, sys, threading, time

RECORD = struct.Struct('<IIII')
FILES_EACH = 6
MOST_RECORDS = 12_000
PIECE = 65_536
# Of problems, as many as anybody reads.
KEPT = 20


def checksum(file, version, index):
    return (file * 2654435761 ^ version * 40503 ^ index * 2246822519) & 0xFFFFFFFF


def content(file, version):
    records = random.Random(file * 1_000_003 + version).randrange(1, MOST_RECORDS)
    return b''.join(RECORD.pack(file, version, index, checksum(file, version, index)) for index in range(records))


def stranger(data, offset, file, last):
    """What is wrong with bytes that were read of a file whose last version is `last`; None where nothing is."""
    for at in range(0, len(data) - len(data) % RECORD.size, RECORD.size):
        whose, version, index, check = RECORD.unpack_from(data, at)
        if (whose, index, check) != (file, (offset + at) // RECORD.size, checksum(whose, version, index)) or not 1 <= version <= last:
            return f'{data[at:at + RECORD.size].hex()} at {offset + at}: file {whose}, version {version} of {last}, record {index}'
    return None if len(data) % RECORD.size == 0 else f'{len(data)} bytes at {offset}'


class Load:
    def __init__(self, top, seed):
        self.top, self.seed = top, seed
        # By file: the versions that it may be, 0 for none; and whether a call failed since it was last certain.
        self.possible, self.versions, self.isTorn = {}, {}, {}
        self.problems, self.errors, self.counts = [], {}, {'stored': 0, 'failed': 0, 'read': 0, 'unread': 0, 'removed': 0}
        self.lock = threading.Lock()

    def path(self, file):
        return os.path.join(self.top, f'd{file % 4}', f'f{file}')

    def count(self, what, error=None):
        with self.lock:
            self.counts[what] += 1
            if error is not None:
                name = f'{what}: {os.strerror(error.errno)}'
                self.errors[name] = self.errors.get(name, 0) + 1

    def problem(self, text):
        with self.lock:
            if len(self.problems) < KEPT:
                self.problems.append(text)

    def write(self, path, data, rng):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            size = rng.choice((4096, PIECE, len(data)))
            for at in range(0, len(data), size):
                os.write(fd, data[at:at + size])
            if rng.random() < 0.2:
                os.fsync(fd)
        finally:
            # It is close that says whether it is stored.
            os.close(fd)

    def change(self, file, rng):
        path, version = self.path(file), self.versions[file] + 1
        choice = rng.random()
        self.versions[file] = version
        try:
            if choice < 0.15:
                os.unlink(path)
                version = 0
            elif choice < 0.5:
                self.write(f'{path}.new', content(file, version), rng)
                os.rename(f'{path}.new', path)
            else:
                self.write(path, content(file, version), rng)
        except FileNotFoundError:
            # Nothing to remove; or, of what was written, the name was gone.
            if choice < 0.15 and 0 in self.possible[file]:
                self.possible[file], self.isTorn[file] = {0}, False
            else:
                self.problem(f'{path} is gone, and may be {sorted(self.possible[file])}')
        except OSError as error:
            self.possible[file] |= {0 if choice < 0.15 else version}
            self.isTorn[file] = self.isTorn[file] or choice >= 0.5
            self.count('failed', error)
        else:
            self.possible[file], self.isTorn[file] = {version}, False
            self.count('stored' if version > 0 else 'removed')

    def writer(self, number, until):
        rng = random.Random(self.seed * 1000 + number)
        mine = range(number * FILES_EACH, (number + 1) * FILES_EACH)
        while time.monotonic() < until:
            self.change(rng.choice(mine), rng)

    def reader(self, number, until):
        rng = random.Random(self.seed * 2000 + number)
        files = sorted(self.possible)
        while time.monotonic() < until:
            file = rng.choice(files)
            try:
                self.look(file)
                self.count('read')
            except OSError as error:
                self.count('unread', error)

    def look(self, file):
        with open(self.path(file), 'rb', buffering=0) as opened:
            offset = 0
            while data := opened.read(PIECE):
                wrong = stranger(data, offset, file, self.versions[file])
                if wrong is not None:
                    self.problem(f'{self.path(file)} read {wrong}')
                    return
                offset += len(data)

    def work(self, seconds, writers, readers):
        for n in range(4):
            os.makedirs(os.path.join(self.top, f'd{n}'), exist_ok=True)
        for file in range(writers * FILES_EACH):
            self.possible[file], self.versions[file], self.isTorn[file] = {0}, 0, False
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self.guarded, args=(self.writer, n, until)) for n in range(writers)]
        threads += [threading.Thread(target=self.guarded, args=(self.reader, n, until)) for n in range(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with open(os.path.join(os.environ['TOP'], 'files'), 'w') as file:
            json.dump({f: [sorted(self.possible[f]), self.isTorn[f]] for f in self.possible}, file)

    def guarded(self, work, *told):
        try:
            work(*told)
        except BaseException as error:
            self.problem(repr(error))

    def check(self):
        with open(os.path.join(os.environ['TOP'], 'files')) as file:
            expected = json.load(file)
        for file, (possible, isTorn) in expected.items():
            self.compare(int(file), possible, isTorn)
        known = {self.path(int(file)) for file in expected}
        for directory, _, names in os.walk(self.top):
            for name in names:
                path = os.path.join(directory, name)
                # What was written for a rename that failed.
                if path not in known and path.removesuffix('.new') not in known:
                    self.problem(f'{path} is nobody\'s')

    def compare(self, file, possible, isTorn):
        try:
            with open(self.path(file), 'rb') as opened:
                found = opened.read()
        except FileNotFoundError:
            if 0 not in possible:
                self.problem(f'{self.path(file)} is gone; it may be {possible}')
            return
        if any(version > 0 and found == content(file, version) for version in possible):
            return self.count('read')
        # A file whose writer was told that it is not stored may end where the error came.
        if isTorn and any(version > 0 and content(file, version).startswith(found) for version in possible):
            return self.count('read')
        version = RECORD.unpack_from(found)[1] if len(found) >= RECORD.size else None
        self.problem(f'{self.path(file)} has {len(found)} bytes of version {version}; it may be {possible}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('top')
    parser.add_argument('--work', type=float)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--writers', type=int, default=32)
    parser.add_argument('--readers', type=int, default=32)
    parser.add_argument('--check', action='store_true')
    chosen = parser.parse_args()
    load = Load(chosen.top, chosen.seed)
    if chosen.check:
        load.check()
    else:
        load.work(chosen.work, chosen.writers, chosen.readers)
    print(json.dumps({'counts': load.counts, 'errors': load.errors, 'problems': load.problems}))


main()
