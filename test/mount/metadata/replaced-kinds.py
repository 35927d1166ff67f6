"""Gives names to things of each kind, and then to things of each other kind: `replaced-kinds.py ROUND SHARE`, in the directory of the names.

Round 1 makes everything, round 2 replaces it, round 3 leaves it, removes it, renames it or replaces it again. `replaced-kinds.py look`
prints what is there. Of the pairs of kinds it has one in SHARE.
"""
import os, shutil, socket, stat, sys

KINDS = 'file empty hollow full link first further fifo socket device'.split()
ENDS = 'kept removed renamed again'.split()


def write(path, text):
    with open(path, 'w') as file:
        file.write(text)


def make(kind, path, turn, has_mode=False):
    text = f'{path} as {kind} {turn}\n'
    if kind == 'file':
        write(path, text)
    elif kind == 'empty':
        write(path, '')
    elif kind == 'hollow':
        os.mkdir(path)
    elif kind == 'full':
        os.mkdir(path)
        write(f'{path}/in', text)
    elif kind == 'link':
        os.symlink(text, path)
    elif kind == 'first':
        write(path, text)
        os.link(path, f'{path}-further-{turn}')
    elif kind == 'further':
        write(f'{path}-first-{turn}', text)
        os.link(f'{path}-first-{turn}', path)
    elif kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'socket':
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)
    else:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, turn))
    # What comes in its place must not get this.
    if kind != 'link' and (turn == 1 or has_mode):
        os.chmod(path, 0o700 + turn)


def is_directory(path):
    return stat.S_ISDIR(os.lstat(path).st_mode)


def remove(path):
    if is_directory(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def replace(kind, path, turn, by_rename):
    if not by_rename:
        remove(path)
        make(kind, path, turn, not by_rename)
        return
    make(kind, f'{path}-new', turn)
    if is_directory(path) != is_directory(f'{path}-new') or kind in ('hollow', 'full'):
        remove(path)
    os.rename(f'{path}-new', path)


def look():
    groups = {}
    for directory, directories, files in os.walk('.'):
        for name in directories + files:
            path = os.path.join(directory, name)
            found = os.lstat(path)
            links = '' if stat.S_ISDIR(found.st_mode) else found.st_nlink
            shown = f'{path} {found.st_mode:o} {links} {found.st_rdev}'
            if stat.S_ISLNK(found.st_mode):
                shown += f' -> {os.readlink(path)!r}'
            elif stat.S_ISREG(found.st_mode):
                with open(path) as file:
                    shown += f' {file.read()!r}'
            groups.setdefault(found.st_ino, []).append(shown)
    for group in sorted(' = '.join(sorted(group)) for group in groups.values()):
        print(group)


def main(what, share='1'):
    if what == 'look':
        return look()
    turn = int(what)
    for one, before in enumerate(KINDS):
        for two, after in enumerate(KINDS):
            if (one + two) % int(share) != 0:
                continue
            top = f'{before}-{after}'
            if turn == 1:
                os.mkdir(top)
            os.chdir(top)
            for three, end in enumerate(ENDS):
                by_rename = (one + two + three) % 2 == 1
                if turn == 1:
                    make(before, end, turn)
                elif turn == 2:
                    replace(after, end, turn, by_rename)
                elif end == 'removed':
                    remove(end)
                elif end == 'renamed':
                    os.rename(end, 'moved')
                elif end == 'again':
                    replace(KINDS[(two + one + 1) % len(KINDS)], end, turn, by_rename)
            os.chdir('..')


main(*sys.argv[1:])
