"""Another client acts between two calls of a program, and the ordinary directory has the same by rename(2) and unlink(2).

What may be compared afterwards:

- A step is only done where it says something: the object is stored at the service as the program left it (of what is not, ours
  wins over a removal), and the new name is free. A file that is open with changes may be moved, not removed,
  and a directory that holds one may be renamed (Acronis does not tell where it is, until its new place is listed).
- Directories that exist through their files alone (5sync) stay in the mount when the files go: there, files are removed.
- The mount is made to learn it before the next call: the new name's directory is listed until it has it, then all of them until
  all names are those of the ordinary directory. Where they never become so, that is the difference.
- What was moved is compared in everything, with all descriptors: it is the same file under another name.
- The directories that lose or get a name have a time of the service's then: both are touched.
- Descriptors of what was removed (`gone`) keep the size, the mode, the place of the next read and the locks. A read gives the
  same bytes, or ESTALE, where it needs some that were not here. The link count and the times are not compared: the mount learns of a
  removal as of an absence in a list. Writes, truncations and changes of attributes are left out: they bring the
  name back, which no local file system does (test/mount/names/out-of-reach.test.ts).
"""
import os, shutil, stat, time

# How long the mount may take to learn what another client did, s: more than any poll takes on a busy machine.
PATIENCE = 20
# Between two looks, s.
LOOK = 0.02

# Steps on descriptors, by what they do.
READS = {'pread', 'read'}
CHANGES = {'pwrite', 'write', 'ftruncate', 'map_write', 'fchmod', 'futimes'}
OTHERS = {'lseek', 'fsync', 'fstat', 'flock', 'unlock', 'lock'}


def names_in(top):
    """All paths below it, with what they are."""
    found = set()
    for directory, directories, files in os.walk(top):
        for kind, names in (('directory', directories), ('file', files)):
            found |= {(os.path.relpath(os.path.join(directory, name), top), kind) for name in names}
    return found


def identity(found):
    return found.st_dev, found.st_ino


class Elsewhere:
    def __init__(self, mount, local, ask):
        self.mount, self.local, self.ask = mount, local, ask
        # Slots whose file another client has removed.
        self.gone = set()
        # Files that were changed through a descriptor which is still open, by their identity in the ordinary directory.
        self.changed = set()

    # Around the steps of the program.

    def may(self, step):
        """Does the step do what can be compared?"""
        name, *told = step
        if name == 'copy_range':
            return not self.gone & {told[0], told[1]}
        return not (name in CHANGES and told[0] in self.gone)

    def is_excused(self, step, seen):
        return step[0] in READS and step[1] in self.gone and seen == ['errno', 'ESTALE']

    def seen(self, step, outcome):
        """What of an outcome is compared."""
        if step[0] == 'fstat' and step[1] in self.gone and outcome[0] == 'ok':
            kind, mode, _time, *rest = outcome[1]
            return [kind, mode, *rest[:1]]
        return outcome

    def done(self, step, outcome):
        """Keeps up with what the step has changed."""
        name, *told = step
        if outcome[0] != 'ok':
            return
        if name in ('open', 'close'):
            self.gone.discard(told[0])
        slot = told[1] if name == 'copy_range' else told[0] if name in CHANGES else None
        if name == 'open' and 'O_TRUNC' in told[2]:
            slot = told[0]
        if slot is not None:
            self.changed.add(identity(os.fstat(self.local.fd(slot))))
        # What nobody has open is stored.
        self.changed &= {identity(os.fstat(fd)) for fd in self.local.descriptors.values()}

    # What the other client does.

    def perform(self, how, path, to):
        """The difference that it made, in words, or None; None also where it was not done."""
        if self.ask is None or not self._can(how, path, to) or not self.ask('can', how, *self._paths(how, path, to)):
            return None
        before = self._linked()
        self._do(how, path, to)
        self.ask('do', how, *self._paths(how, path, to))
        problem = self._learn(path, to if how == 'move' else None)
        if problem is not None:
            return problem
        self.gone |= before - self._linked()
        for changed in {os.path.dirname(path)} | ({os.path.dirname(to)} if how == 'move' else set()):
            for actor in (self.mount, self.local):
                os.utime(actor.at(changed))
        seen, wanted = (self._open_as(actor, to) for actor in (self.mount, self.local)) if how == 'move' else (None, None)
        return None if seen == wanted else f'open under its new name: {seen}, and not {wanted}'

    def _paths(self, how, path, to):
        return (path, to) if how == 'move' else (path,)

    def _can(self, how, path, to):
        at = self.local.at
        if not os.path.lexists(at(path)):
            return False
        if how == 'move':
            inside = to == path or to.startswith(f'{path}/')
            return not inside and not os.path.lexists(at(to)) and os.path.isdir(os.path.dirname(at(to)))
        below = [path] + [os.path.join(path, name) for name, _kind in names_in(at(path))]
        # Of a file with several names the service knows one, and all of them go with it.
        if any(stat.S_ISREG(os.lstat(at(each)).st_mode) and os.lstat(at(each)).st_nlink > 1 for each in below):
            return False
        return not any(identity(os.lstat(at(each))) in self.changed for each in below)

    def _do(self, how, path, to):
        if how == 'move':
            os.rename(self.local.at(path), self.local.at(to))
        elif stat.S_ISDIR(os.lstat(self.local.at(path)).st_mode):
            shutil.rmtree(self.local.at(path))
        else:
            os.unlink(self.local.at(path))

    def _linked(self):
        return {slot for slot, fd in self.local.descriptors.items() if os.fstat(fd).st_nlink > 0}

    def _learn(self, old, new):
        """Makes the mount look until it shows what the ordinary directory does, and the kernel has forgotten the old name."""
        until = time.monotonic() + PATIENCE
        wanted = names_in(self.local.top)
        while new is not None and os.path.basename(new) not in self._list(os.path.dirname(new)):
            if time.monotonic() > until:
                return f'the mount never shows {new}'
            time.sleep(LOOK)
        while (seen := names_in(self.mount.top)) != wanted:
            if time.monotonic() > until:
                return f'the mount goes on showing {sorted(seen - wanted)}, and not {sorted(wanted - seen)}'
            time.sleep(LOOK)
        # A list comes from the mount. The kernel is told of what is gone a moment later.
        while os.path.lexists(self.mount.at(old)):
            if time.monotonic() > until:
                return f'{old} is found by its name, and in no list'
            time.sleep(LOOK)
        return None

    def _list(self, path):
        try:
            return os.listdir(self.mount.at(path))
        except FileNotFoundError:
            # The way there may be what has moved.
            return []

    def _open_as(self, actor, path):
        """Slots that have this file open."""
        found = identity(os.lstat(actor.at(path)))
        return sorted(slot for slot, fd in actor.descriptors.items() if identity(os.fstat(fd)) == found)
