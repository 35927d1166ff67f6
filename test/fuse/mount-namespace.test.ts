import { beforeEach, describe, expect, it } from 'vitest';
import { FsError } from '../../src/filesystem/core/fs-error.js';
import { long } from '../support/extent.js';
import { candidates, cleanUpMounts, mountMemory, type TestMount } from './harness.js';

describe.each(candidates)('names over the $binding.name binding', ({ binding, unavailable }) => {
  cleanUpMounts();
  let m: TestMount;

  beforeEach(async ({ skip }) => {
    if (unavailable !== undefined) skip(unavailable);
    m = await mountMemory(binding);
  });

  const ok = { code: 0, stderr: '' };

  it('shows under every path the inode numbers of the core, also those of the root and of ".."', async () => {
    const { root } = m.fs;
    await m.sh('mkdir -p a/b; echo x >a/b/f');
    const [a, b, f] = [m.fs.inoOf('a'), m.fs.inoOf('a/b'), m.fs.inoOf('a/b/f')];
    // The first object made has inode 1, which for the kernel is the root's number.
    expect([a, b, f]).toContain(1);
    expect((await m.sh('stat -c %i . a a/b a/b/f a/b/.. a/..')).stdout.split('\n').map(Number)).toEqual([
      ...[root, a, b, f, a, root],
    ]);
    const listing = await m.sh('ls -ai a');
    expect(listing.stdout.split('\n').map((line) => line.trim())).toEqual([`${a} .`, `${root} ..`, `${b} b`]);
  });

  it('lists a directory of 2,500 names completely, each once, with types', long, async () => {
    const script = `
os.mkdir('big')
for i in range(2500): open('big/file%05d' % i, 'w').close()
os.mkdir('big/sub')
with os.scandir('big') as entries: found = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries]
assert sorted(found) == [('file%05d' % i, False) for i in range(2500)] + [('sub', True)], len(found)
print(len(os.listdir('big')), sum(1 for n in os.listdir('big') if os.stat('big/' + n).st_size == 0))`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: '2501 2501' });
  });

  it('removes a full directory while it is being listed', async () => {
    expect(await m.sh('mkdir d; cd d; seq 1500 | xargs touch; cd ..; rm -r d; ls -A')).toMatchObject({
      ...ok,
      stdout: '',
    });
  });

  it('shows a name that appears and one that goes, at once', async () => {
    const script = 'test ! -e f; echo 1 >f; test -e f; ls; rm f; test ! -e f; mkdir f; test -d f; rmdir f; ls';
    expect(await m.sh(script)).toMatchObject({ ...ok, stdout: 'f' });
  });

  it('takes names that are not UTF-8 as they are, or refuses them instead of taking different ones for one', async () => {
    const script = `
a, b = b'caf\\xe9', b'caf\\xe8'
def outcome(act):
    try: act(); return 'done'
    except OSError as error: return errno.errorcode[error.errno]
open('f', 'w').write('f')
print({outcome(act) for name in (a, b) for act in (
    lambda: open(name, 'w'), lambda: os.stat(name), lambda: os.unlink(name), lambda: os.mkdir(name), lambda: os.rmdir(name),
    lambda: os.rename('f', name), lambda: os.rename(name, 'f'))}, os.listdir('.'))`;
    const right = "{'done'} ['f']";
    // fuse-native decodes names before we see them.
    const stdout = binding.name === 'native' ? "{'EILSEQ'} ['f']" : right;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout });
  });

  it('moves files within and across directories under the same inode number', async () => {
    const script =
      'mkdir d e; echo x >d/f; stat -c %i d/f; mv d/f d/g; mv d/g e/h; stat -c %i e/h; cat e/h; ls d; mv e d/; cat d/e/h';
    const { code, stdout } = await m.sh(script);
    const [before, after, ...contents] = stdout.split('\n');
    expect(code).toBe(0);
    expect(after).toBe(before);
    expect(contents).toEqual(['x', 'x']);
  });

  it('finds paths below a renamed directory, and below another one put in its place', async () => {
    const script = `
os.makedirs('a/b/c'); open('a/b/c/f', 'w').write('first')
assert open('a/b/c/f').read() == 'first'
os.rename('a/b', 'a/moved')
os.makedirs('a/b/c'); open('a/b/c/f', 'w').write('second')
assert open('a/b/c/f').read() == 'second' and open('a/moved/c/f').read() == 'first'
os.rename('a', 'z')
print(open('z/b/c/f').read(), open('z/moved/c/f').read(), os.path.exists('a'))`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'second first False' });
  });

  it('renames over a file and over an empty directory, not over a full one', async () => {
    const script = `
open('a', 'w').write('a'); open('b', 'w').write('b')
os.rename('a', 'b'); assert open('b').read() == 'a' and not os.path.exists('a')
os.mkdir('d'); os.mkdir('e'); open('d/x', 'w').close(); os.rename('d', 'e'); assert os.listdir('e') == ['x']
os.mkdir('d')
for source, target in [('d', 'e'), ('b', 'e'), ('d', 'b'), ('nothing', 'b')]:
    try: os.rename(source, target)
    except OSError as e: print(errno.errorcode[e.errno])`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'ENOTEMPTY\nEISDIR\nENOTDIR\nENOENT' });
  });

  it('keeps descriptors and working directories across a rename', async () => {
    const script = `
os.mkdir('d'); f = os.open('d/f', os.O_RDWR | os.O_CREAT, 0o600); os.write(f, b'one')
os.rename('d/f', 'd/g'); os.rename('d', 'e')
os.write(f, b'two'); os.fsync(f); os.close(f)
print(open('e/g').read())`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'onetwo' });
  });

  it('answers the errors of the file system', async () => {
    const script = `
os.mkdir('d'); open('d/f', 'w').close()
def attempt(call):
    try: call()
    except OSError as e: print(errno.errorcode[e.errno], end=' ')
    else: print('ok', end=' ')
attempt(lambda: os.rmdir('d'))
attempt(lambda: os.mkdir('d'))
attempt(lambda: os.unlink('d'))
attempt(lambda: os.rmdir('d/f'))
attempt(lambda: os.unlink('none'))
attempt(lambda: os.stat('d/f/x'))
attempt(lambda: os.mkdir('x' * 256))
attempt(lambda: os.symlink('d', 'd'))
attempt(lambda: os.link('d/f', 'd/f'))
attempt(lambda: os.link('d', 'l'))
attempt(lambda: os.mkfifo('d'))
attempt(lambda: os.mknod('regular'))
attempt(lambda: os.stat('regular'))`;
    expect(await m.python(script)).toMatchObject({
      ...ok,
      stdout: 'ENOTEMPTY EEXIST EISDIR ENOTDIR ENOENT ENOTDIR ENAMETOOLONG EEXIST EEXIST EPERM EEXIST ok ok',
    });
    m.fs.fail('mkdir', new FsError('EROFS', 'as the test wants'));
    expect((await m.sh('mkdir other')).stderr).toContain('Read-only file system');
  });

  it('carries hard links: one inode, whose count goes up and down', async () => {
    const script = `
with open('a', 'w') as f: f.write('text')
os.mkdir('d'); os.link('a', 'd/b'); print(os.stat('a').st_nlink, os.stat('a').st_ino == os.stat('d/b').st_ino)
with open('d/b', 'a') as f: f.write(' more')
print(open('d/b').read()); os.unlink('a'); print(os.stat('d/b').st_nlink, open('d/b').read())`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: '2 True\ntext more\n1 text more' });
  });

  it('carries links, pipes and sockets, and their types in a listing', async () => {
    const script = `
os.symlink('where/ever', 'link'); os.symlink('x' * 4095, 'long'); os.mkfifo('pipe', 0o640)
import socket, stat
socket.socket(socket.AF_UNIX).bind('socket')
print(os.readlink('link'), len(os.readlink('long')), os.lstat('long').st_size, os.path.exists('link'))
print([stat.filemode(os.lstat(n).st_mode) for n in ('link', 'pipe', 'socket')])
with os.scandir('.') as entries: print(sorted((e.name, e.is_symlink(), e.is_file(follow_symlinks=False)) for e in entries))
try: os.readlink('pipe')
except OSError as e: print(errno.errorcode[e.errno])
try: os.open('link', os.O_RDONLY | os.O_NOFOLLOW)
except OSError as e: print(errno.errorcode[e.errno])`;
    expect(await m.python(script)).toMatchObject({
      ...ok,
      stdout: `where/ever 4095 4095 False
['lrwxrwxrwx', 'prw-r-----', 'srwxr-xr-x']
[('link', True, False), ('long', True, False), ('pipe', False, False), ('socket', False, False)]
EINVAL
ELOOP`,
    });
  });

  it('carries names of every script and with every odd character', async () => {
    const script = `
names = ['Grüße', '日本語', 'né e', "a'b\\"c", 'back\\\\slash', 'new\\nline', '🎉', 'x' * 255, '-rf', '.hidden', 'e\\u0301']
for name in names:
    open(name, 'w').write(name); os.mkdir('dir ' + name[:200]); open('dir ' + name[:200] + '/' + name, 'w').close()
assert sorted(os.listdir('.')) == sorted(names + ['dir ' + n[:200] for n in names])
assert all(open(name).read() == name for name in names)
print('same')`;
    expect(await m.python(script)).toMatchObject({ ...ok, stdout: 'same' });
  });

  it('works for git, tar and rsync', async () => {
    const script = `
git init -q r; cd r; git config user.email a@b.c; git config user.name n
for i in 1 2 3; do echo $i >f$i; done; git add .; git commit -qm one; git rm -q f1; git commit -qm two
git gc -q; git fsck; git status --porcelain; git reset -q --hard HEAD~1; git status --porcelain; ls; cd ..
rsync -a /usr/include/asm-generic .; diff -r /usr/include/asm-generic asm-generic
tar cf - asm-generic | tar xf - --one-top-level=t; diff -r asm-generic t/asm-generic`;
    expect(await m.sh(`(${script}) 2>/dev/null`)).toMatchObject({ code: 0, stdout: 'f1\nf2\nf3' });
    expect(m.complaints).toEqual([]);
    await expect.poll(() => m.fs.openHandles).toBe(0);
  });
});
