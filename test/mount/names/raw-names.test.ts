/** Names that are not UTF-8: any bytes but '/' and NUL. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { decodeName } from '../../../src/base/raw-names.js';
import { describeEach, openWorld, overKernel, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

/** Latin-1, a sequence that is cut, the ends of the range, 255 bytes, and a character that stands for a byte elsewhere. */
const names = [
  ...['caf\\xe9', 'caf\\xe8.txt', '\\xe2\\x82', '\\x80', '\\xee\\xbe\\xa9', 'caf\\xc3\\xa9'],
  `\\xff${'\\xfe'.repeat(254)}`,
];
const make = `import os
names = [${names.map((name) => `b'${name}'`).join(', ')}]
for name in names:
    with open(name, 'wb') as f: f.write(b'of ' + name)
    os.mkdir(b'd' + name[:254])
`;
const show = `import os
def show(at):
    for name in sorted(os.listdir(at)):
        path = os.path.join(at, name)
        print(name, open(path, 'rb').read() if os.path.isfile(path) else 'directory')
show(b'.')
`;

describeEach(overKernel, 'names that are not UTF-8 on $provider', (subject, turns) => {
  cleanUpWorlds();

  const python = (world: World, directory: string, script: string): Promise<string> =>
    world.out(`cd ${directory}; python3 - <<'PY'\n${script}\nPY`);

  turns.it('come back as the same bytes, also from a listing and on another machine', async () => {
    const world = await openWorld(subject);
    await world.mount();
    await world.out('mkdir "$TOP/n" n');
    const run = (script: string): Promise<string[]> =>
      Promise.all(['"$TOP/n"', 'n'].map((directory) => python(world, directory, script)));
    const [local, mounted] = await run(make + show);
    expect(mounted).toBe(local);
    expect(local).toContain("b'caf\\xe9' b'of caf\\xe9'");
    // What the service holds is sound text, and of each name another.
    const held = world.sandbox.store.tree().filter(({ path, kind }) => path.startsWith('/n/') && kind === 'file');
    expect(held.map(({ name }) => name).sort()).toEqual(
      names.map((name) => decodeName(Buffer.from(JSON.parse(`"${name.replaceAll('\\x', '\\u00')}"`), 'latin1'))).sort(),
    );
    for (const { name } of held) expect(name.isWellFormed()).toBe(true);
    await world.umount();
    await world.mount();
    const [again, remounted] = await run(show);
    expect(remounted).toBe(again);
    await world.umount();
    await world.shell('rm -r "$TOP"/state "$TOP"/cache');
    await world.mount();
    // 5sync has no empty directories.
    const files = (text: string): string => text.replaceAll(/^.* directory\n?/gm, '');
    expect(files(await python(world, 'n', show))).toBe(files(again ?? ''));
  });

  turns.it('are exported under the same bytes, whether the mount answers or not', async () => {
    const world = await openWorld(subject);
    await world.mount('--write-back', '--deadline', '2s');
    const { bringing, refusals } = traits[subject.provider];
    const [status, code] = refusals[0] ?? [507];
    const refusal = { kind: 'status', status, ...(code === undefined ? {} : { code }) } as const;
    world.sandbox.faults.add({ ...bringing, action: refusal });
    const script = `${make}\nfor name in names: os.rename(name, b'd' + name[:254] + b'/' + name)`;
    await python(world, '.', script);
    await world.untilWaiting(0, names.length);
    const listed = `find . -type f -printf '%P\\0' | sort -z | od -c; find . -type f -exec cat {} + | wc -c`;
    const shown = await world.out(listed);
    for (const [target, end] of [
      ['mounted', ''],
      ['unmounted', 'kill'],
    ] as const) {
      if (end === 'kill') await world.shell(`kill -9 ${(await world.status()).pid}; umount -l "$MNT"`);
      const out = await world.cli(['uploads', 'export', 'work:', join(world.directory, target)]);
      expect(out).toMatchObject({ code: 0, stdout: expect.stringContaining(`Exported ${names.length} of`) });
      expect(await world.shell(`cd "$TOP/${target}" && ${listed}`)).toBe(shown);
    }
  });

  turns.it('are renamed, replaced and removed like others, and 256 bytes are too many', async () => {
    const world = await openWorld(subject);
    await world.mount();
    await world.out('mkdir "$TOP/n" n');
    const script = `${make}
import errno
os.rename(names[0], names[1]); os.rename(names[2], b'plain'); os.rename(b'plain', b'\\xe9t\\xe9'); os.unlink(names[3])
for name in names: os.rmdir(b'd' + name[:254])
for act in (lambda: open(b'\\xff' * 256, 'w'), lambda: os.mkdir(b'\\xff' * 256), lambda: os.rename(names[1], b'\\xff' * 256)):
    try: act(); print('done')
    except OSError as e: print(errno.errorcode[e.errno])
${show}`;
    const [local, mounted] = [await python(world, '"$TOP/n"', script), await python(world, 'n', script)];
    expect(mounted).toBe(local);
    expect(mounted).toContain('ENAMETOOLONG');
  });
});
