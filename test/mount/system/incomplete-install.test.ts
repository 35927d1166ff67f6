/** An installation by `npm ci --ignore-scripts`: it has every package, but nothing that their scripts build. */
import { cp, mkdir, readdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nativeBinding } from '../../../src/fuse/native/native-binding.js';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

const native = await nativeBinding.probe();

/** A copy of the program without its own addon, and without better-sqlite3's if that is unbuilt too. Answers its main file. */
async function installUnbuilt(world: World, { sqliteIsBuilt = false } = {}): Promise<string> {
  const root = join(world.directory, 'unbuilt');
  const packages = resolve('node_modules');
  await mkdir(join(root, 'node_modules'), { recursive: true });
  for (const part of ['bin', 'dist', 'package.json']) await cp(resolve(part), join(root, part), { recursive: true });
  for (const name of await readdir(packages)) {
    if (sqliteIsBuilt || name !== 'better-sqlite3')
      await symlink(join(packages, name), join(root, 'node_modules', name));
  }
  if (!sqliteIsBuilt)
    await cp(join(packages, 'better-sqlite3'), join(root, 'node_modules/better-sqlite3'), {
      recursive: true,
      filter: (path) => !/better-sqlite3\/(build|deps|src)$/.test(path),
    });
  return join(root, 'bin/syncmount.js');
}

describe('an installation whose addons were not built', () => {
  cleanUpWorlds();

  it('is told by doctor and by mount in one line, with the commands that build them', async () => {
    const world = await createWorld();
    const main = await installUnbuilt(world);
    const run = (words: string) => world.sh(`cd /; ${process.execPath} '${main}' ${words}`);
    const mends =
      /better-sqlite3 is not built for this Node\.js .*: cd \S+ && npm rebuild better-sqlite3 && npm run build:addon\n/;
    const doctor = await run('doctor');
    expect(doctor).toMatchObject({ code: 1, stdout: expect.stringMatching(mends), stderr: '' });
    expect(doctor.stdout).toMatch(/kernel binding: the kernel binding is not built: .*npm run build:addon/);
    const before = world.sandbox.log.entries().length;
    for (const command of ['mount work: "$MNT"', 'uploads export /tmp/nowhere']) {
      const { code, stderr } = await run(command);
      expect([command, code, stderr]).toEqual([command, 1, expect.stringMatching(mends)]);
      expect(stderr).toMatch(/^syncmount: [^\n]+\n$/);
    }
    // Nothing was asked of the service for it.
    expect(world.sandbox.log.entries()).toHaveLength(before);
    expect(await run('status')).toMatchObject({ code: 0, stdout: 'Nothing is mounted.\n' });
  });

  it.skipIf(!native.ok)(
    '(skipped where libfuse 2 is missing) without the kernel binding, mount says which one it takes, and why',
    async () => {
      const world = await createWorld();
      const main = await installUnbuilt(world, { sqliteIsBuilt: true });
      const { code, stderr } = await world.sh(`cd /; ${process.execPath} '${main}' mount work: "$MNT"`);
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: expect.stringMatching(
          /^syncmount: warning: the kernel binding is not built: .*npm run build:addon\. The native binding is used, .*docs\/bindings\.md\n$/,
        ),
      });
      expect(await world.sh('echo hello > "$MNT/a" && cat "$MNT/a"')).toMatchObject({ code: 0, stdout: 'hello\n' });
    },
  );
});
