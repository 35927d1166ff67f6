/** The desktop's trash on a mount, used by desktop programs and by `syncmount trash`. */
import { describe, expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, type Subject } from '../subjects.js';
import { cleanUpWorlds, createWorld, joinWorld, type World } from '../world.js';

const subjects: readonly Subject[] = [
  { provider: '4shared', binding: 'kernel' },
  { provider: '4sync', binding: 'kernel' },
  { provider: '4shared', binding: 'native' },
];

const top = `.Trash-${process.getuid?.() ?? 0}`;

/** Restores and empties like GIO (its daemon gvfsd-trash): by the info files, with rename(2) and unlink(2). */
const desktop = `
import os, sys, urllib.parse
top = os.path.join(os.environ['MNT'], '${top}')
def items():
    for name in sorted(os.listdir(top + '/files')):
        info = open(top + '/info/' + name + '.trashinfo').read().split('\\n')
        yield name, urllib.parse.unquote(info[1].removeprefix('Path=')), info[2]
if sys.argv[1] == 'list':
    for name, path, date in items(): print(name, path)
if sys.argv[1] == 'restore':
    for name, path, date in items():
        if path in sys.argv[2:]:
            os.rename(top + '/files/' + name, os.path.join(os.environ['MNT'], path))
            os.unlink(top + '/info/' + name + '.trashinfo')
if sys.argv[1] == 'empty':
    os.makedirs(top + '/expunged', exist_ok=True)
    for n, (name, path, date) in enumerate(items()):
        os.rename(top + '/files/' + name, top + '/expunged/%d' % n)
        try: os.unlink(top + '/info/' + name + '.trashinfo')
        except FileNotFoundError: pass
    for name in os.listdir(top + '/expunged'):
        at = top + '/expunged/' + name
        os.rmdir(at) if os.path.isdir(at) else os.unlink(at)
`;

async function prepared(subject: Subject, ...flags: string[]): Promise<World> {
  const world = await openWorld(subject);
  await world.write('desktop.py', desktop);
  await world.mount(...flags);
  return world;
}

const trashed = (world: World): string[] =>
  world.sandbox.store
    .trash()
    .map(({ path }) => path.split('/').at(-1) ?? '')
    .sort();

describeEach(subjects, 'the trash on $provider over the $binding binding', (subject, turns) => {
  cleanUpWorlds();

  turns.it('takes a file and a folder from gio, one request each, and gives them back as they were', async () => {
    const world = await prepared(subject);
    await world.out('mkdir -p docs/sub; echo a > "docs/a b.txt"; chmod 640 "docs/a b.txt"; echo c > docs/sub/c');
    await world.out('ls -lR > /dev/null; ln -s c docs/sub/link');
    const routes = await world.routesOf(() => world.out('gio trash "docs/a b.txt"; gio trash docs/sub'));
    expect(routes.filter((route) => !route.startsWith('GET'))).toEqual([
      'POST /files/{id}/trash',
      'POST /folders/{id}/trash',
    ]);
    expect(trashed(world)).toEqual(['a b.txt', 'sub']);
    expect(await world.out('ls -A; ls docs')).toBe('docs');
    expect(await world.out('python3 "$TOP/desktop.py" list')).toBe('a b.txt docs/a b.txt\nsub docs/sub');

    await world.umount();
    await world.mount();
    const back = await world.routesOf(() =>
      world.out('python3 "$TOP/desktop.py" restore "docs/a b.txt" docs/sub; cat docs/sub/c'),
    );
    expect(back.filter((route) => /untrash|move/.test(route))).toEqual([
      'POST /files/{id}/untrash',
      'POST /folders/{id}/untrash',
    ]);
    // libfuse shows the attributes of the name in the trash for a second.
    await world.until('test "$(stat -c %a docs/sub)" = 755 && test "$(stat -c %a docs/*.txt)" = 640');
    expect(await world.out('stat -c "%n %a" docs/*; cat docs/*.txt docs/sub/c; readlink docs/sub/link')).toBe(
      'docs/a b.txt 640\ndocs/sub 755\na\nc\nc',
    );
    expect(await world.out(`ls ${top}/files ${top}/info`)).toBe(`${top}/files:\n\n${top}/info:`);
  });

  turns.it('empties for ever, and df shows the room at once', async () => {
    const world = await prepared(subject);
    const free = (): Promise<string> => world.out('df -B1 --output=avail . | tail -1');
    const before = await free();
    await world.out('mkdir f; head -c 409600 /dev/urandom > f/x; head -c 204800 /dev/urandom > y; gio trash f y');
    expect(Number(before) - Number(await free())).toBe(614_400);
    await world.out('python3 "$TOP/desktop.py" empty');
    expect(await free()).toBe(before);
    expect(trashed(world)).toEqual([]);
    expect(await world.out(`ls ${top}/files ${top}/info ${top}/expunged | grep -v :$ | grep . || true`)).toBe('');
  });
});

describe('the trash', () => {
  cleanUpWorlds();
  const kernel: Subject = { provider: '4shared', binding: 'kernel' };

  it('is one for two machines and the browser: clashing names, 300 entries, chosen places', async () => {
    const world = await prepared(kernel, '--dir-ttl', '1s');
    const other = await joinWorld(world);
    await other.write('desktop.py', desktop);
    await other.mount('--dir-ttl', '1s');
    await world.out('mkdir a b; echo 1 > a/x; echo 2 > b/x; gio trash a/x b/x');
    expect(await world.out('python3 "$TOP/desktop.py" list')).toBe('x a/x\nx.2 b/x');
    world.sandbox.store.remove('/a', { trash: true });
    for (let n = 0; n < 300; n++) await world.sandbox.store.putFile(`/many/${n}`, `${n}`);
    for (let n = 0; n < 300; n++) world.sandbox.store.remove(`/many/${n}`, { trash: true });
    expect(await other.out(`ls ${top}/files | wc -l; ls ${top}/info | wc -l`)).toBe('303\n303');
    const list = await other.out('python3 "$TOP/desktop.py" list');
    expect(list.split('\n')).toEqual(expect.arrayContaining(['a a', '17 many/17']));
    expect(list).toMatch(/^x.* a\/x$/m);
    expect(list).toMatch(/^x.* b\/x$/m);

    await other.out(`mkdir here; mv ${top}/files/17 here/seventeen; cat here/seventeen`);
    await world.until('grep -q 17 here/seventeen');
    await world.until(`test "$(ls ${top}/files | wc -l)" = 302`);
  });

  it(
    'has 1,000 entries: one question lists them, each goes with one request, and df shows the room at once',
    long,
    async () => {
      const world = await openWorld(kernel);
      await world.write('desktop.py', desktop);
      const { store } = world.sandbox;
      for (let n = 0; n < 1_000; n++) await store.putFile(`/many/${n}`, 'x'.repeat(4_096));
      for (let n = 0; n < 1_000; n++) store.remove(`/many/${n}`, { trash: true });
      await world.mount('--dir-ttl', '1h');
      const free = async (): Promise<number> => Number(await world.out('df -B1 --output=avail . | tail -1'));
      const before = await free();
      const counts = async (script: string): Promise<Record<string, number>> => {
        const routes = await world.routesOf(() => world.out(script));
        const asked = routes.filter((route) => /trash|DELETE/.test(route));
        return Object.fromEntries(
          [...new Set(asked)].map((route) => [route, asked.filter((one) => one === route).length]),
        );
      };
      expect(await counts(`ls -l ${top}/files ${top}/info > "$TOP/list"; cat ${top}/info/* > "$TOP/infos"`)).toEqual({
        'GET /user/trash': 2,
      });
      expect(await world.shell('cd "$TOP"; grep -c trashinfo list; grep -c Path=many/ infos')).toBe('1000\n1000');
      expect(await counts('python3 "$TOP/desktop.py" restore many/17; ls many')).toEqual({
        'POST /files/{id}/untrash': 1,
      });
      expect(await counts('python3 "$TOP/desktop.py" empty')).toEqual({ 'DELETE /files/{id}': 999 });
      expect((await free()) - before).toBe(999 * 4_096);
      expect(trashed(world)).toEqual([]);
      expect(await world.out(`stat -c %s many/17; ls -A ${top}/files; ls -A ${top}/info`)).toBe('4096');
    },
  );

  it('survives a killed mount, and says what cannot be done with a dead token', async () => {
    const world = await prepared(kernel);
    await world.out('echo a > a; echo b > b; ln -s a link; gio trash a');
    const { pid } = await world.status();
    process.kill(pid, 'SIGKILL');
    await world.shell(`umount -l "${world.mnt}"`);
    await world.mount();
    expect(await world.out('python3 "$TOP/desktop.py" list')).toBe('a a');
    expect((await world.sh('gio trash link')).stderr).toContain('link');
    expect(await world.out('readlink link')).toBe('a');
    world.sandbox.faults.add({ action: { kind: 'status', status: 401, code: '401.0301' } });
    const { code, stderr } = await world.sh(`gio trash b; mv ${top}/files/a a`);
    expect([code, stderr.match(/denied/g)?.length]).toEqual([1, 2]);
    expect(await world.out('cat b')).toBe('b');
    world.sandbox.faults.clear();
    await world.out(`mv ${top}/files/a a; cat a`);
    expect(trashed(world)).toEqual([]);
  });

  it('shows again what the service would not remove, to be restored or removed', async () => {
    const world = await prepared(kernel);
    await world.out('echo a > a; gio trash a');
    const rule = { method: 'DELETE', action: { kind: 'status', status: 403 } } as const;
    world.sandbox.faults.add(rule);
    expect((await world.sh('python3 "$TOP/desktop.py" empty')).stderr).toContain('Permission denied');
    expect(await world.out('python3 "$TOP/desktop.py" list')).toBe('a a');
    expect(await world.out('python3 "$TOP/desktop.py" restore a; cat a')).toBe('a');
  });

  it('is listed, restored and emptied by the command', async () => {
    const world = await prepared(kernel);
    await world.out('mkdir docs; echo 1 > docs/x; rm docs/x; echo two > docs/x; echo 3 > y; rm docs/x y');
    const listed = JSON.parse((await world.cli(['trash', '--json'])).stdout) as { path: string; size: number }[];
    expect(listed.map(({ path, size }) => [path, size]).sort()).toEqual([
      ['/docs/x', 2],
      ['/docs/x', 4],
      ['/y', 2],
    ]);
    expect((await world.cli(['trash', 'list', world.mnt])).stdout).toMatch(/^[\d-]+ [\d:]+\t2 B\t\/y$/m);
    expect((await world.cli(['trash', 'work:'])).stdout).toMatch(/\t2 B\t\/y$/m);
    expect(await world.cli(['trash', 'nonsense'])).toMatchObject({
      code: 2,
      stderr: "syncmount: 'nonsense' is none of list, restore, empty, and no mount\n",
    });
    expect(await world.cli(['trash', 'restore', `${world.mnt}/y`])).toMatchObject({
      code: 0,
      stdout: 'Restored 1 of 1.\n',
    });
    expect(await world.out('cat y')).toBe('3');
    expect(await world.cli(['trash', 'restore', '/nothing'])).toMatchObject({ code: 1 });
    expect(await world.cli(['trash', 'empty', '--older-than', '1d', '--yes'])).toMatchObject({
      stdout: 'Nothing to do.\n',
    });
    expect(await world.cli(['trash', 'empty'], 'no\n')).toMatchObject({ code: 1 });
    expect(trashed(world)).toEqual(['x', 'x']);
    expect(await world.cli(['trash', 'empty', 'work:'], 'yes\nyes\n')).toMatchObject({ code: 0 });
    expect(trashed(world)).toEqual([]);
  });

  it('costs those nothing who do not use it', async () => {
    const world = await prepared(kernel);
    const routes = await world.routesOf(() =>
      world.out('ls -la; find . > /dev/null; df . > /dev/null; echo x > x; rm x'),
    );
    expect(routes.filter((route) => route.includes('trash'))).toEqual(['POST /files/{id}/trash']);
  });

  it.each(['5sync', 'acronis'] as const)('%s has none: programs offer to delete for good', async (provider) => {
    const world = await openWorld({ provider, binding: 'kernel' });
    await world.mount();
    await world.out('echo a > a');
    expect(await world.out('gio info -a access::can-trash a | grep can-trash')).toMatch(/FALSE$/);
    expect((await world.sh('gio trash a')).stderr).toMatch(/trash directory/);
    expect(await world.out(`ls -A; mkdir ${top} 2>/dev/null || echo refused`)).toBe('a\nrefused');
    expect((await world.cli(['trash', 'list'])).stderr).toMatch(/has no trash/);
  });

  it('is the folder of the account that an older version has made', async () => {
    const world = await createWorld();
    await world.sandbox.store.putFile(`/${top}/files/old`, 'old');
    await world.mount();
    expect(await world.out(`ls -A; cat ${top}/files/old; echo; rm -r ${top}; ls -A ${top}`)).toBe(
      `${top}\nold\nfiles\ninfo`,
    );
  });
});
