import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

/** Runs `act` while the directory is on a read-only disk. */
async function onReadOnlyDisk(world: World, act: (directory: string) => Promise<void>): Promise<void> {
  const directory = join(world.directory, 'read-only');
  await mkdir(directory);
  await world.out(
    `mount -t tmpfs none '${directory}' && mkdir '${directory}/.config' && mount -o remount,ro '${directory}'`,
  );
  try {
    await act(directory);
  } finally {
    await world.out(`umount '${directory}'`);
  }
}

describe.skipIf(process.getuid?.() !== 0)('a home that cannot be written (needs root, to make one)', () => {
  cleanUpWorlds();

  it('is named by login, mount and doctor, and what needs no writing works', async () => {
    const world = await createWorld();
    const known = { ...world.env };
    await onReadOnlyDisk(world, async (home) => {
      const refused = (path: string): RegExp =>
        new RegExp(`cannot make the directory ${join(home, path)}: EROFS: read-only file system`);
      const use = (kinds: readonly string[]): void => {
        Object.assign(world.env, known, { HOME: home, XDG_CONFIG_HOME: '', XDG_STATE_HOME: '', XDG_CACHE_HOME: '' });
        for (const kind of kinds) delete world.env[`SYNCMOUNT_${kind}_DIR`];
      };
      const fails = async (args: string[], message: RegExp): Promise<void> => {
        const { code, stderr } = await world.cli(args);
        expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
        expect(stderr).toMatch(/^syncmount: [^\n]+\n$/);
        expect(stderr).not.toContain('ENOENT');
      };
      use(['CONFIG']);
      const login = await world.login();
      expect([login.code, login.stderr]).toEqual([1, expect.stringMatching(refused('.config/syncmount'))]);
      expect(await world.cli(['accounts'])).toMatchObject({ code: 0 });
      use(['STATE']);
      await fails(['mount', 'work:', world.mnt], refused('.local'));
      await fails(
        ['mount', '-f', 'work:', world.mnt, '--log-file', join(home, 'log')],
        /cannot write the log file .*EROFS/,
      );
      await fails(['umount', world.mnt], /is not mounted/);
      expect(await world.cli(['status'])).toMatchObject({ code: 0, stdout: 'Nothing is mounted.\n' });
      use(['CACHE']);
      await fails(['mount', 'work:', world.mnt], refused('.cache'));
      use(['CONFIG', 'STATE', 'CACHE']);
      const { code, stdout } = await world.cli(['doctor']);
      expect(code).toBe(1);
      for (const path of ['.config/syncmount', '.local', '.cache']) expect(stdout).toMatch(refused(path));
    });
  });
});
