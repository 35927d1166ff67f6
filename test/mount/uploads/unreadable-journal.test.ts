/** Contents that are not stored yet, while the disk of the state directory has no room for the file that SQLite makes to read a journal. */
import { expect, it } from 'vitest';
import { cleanUpWorlds, createWorld } from '../world.js';

cleanUpWorlds();

it.skipIf(process.getuid?.() !== 0)('are exported from a full disk, and one that nobody can read is told', async () => {
  const world = await createWorld();
  await world.sh('mkdir -p "$TOP/state"; mount -t tmpfs -o size=2m tmpfs "$TOP/state"');
  try {
    await world.mount('--write-back');
    expect((await world.cli(['pause'])).code).toBe(0);
    await world.out('mkdir d; echo one > a; head -c 200000 /dev/zero > d/b');
    expect((await world.cli(['umount', world.mnt])).code).toBe(3);
    await world.sh('head -c 9000000 /dev/zero > "$TOP/state/full"');
    const exported = await world.cli(['uploads', 'export', `${world.directory}/copies`]);
    expect(exported).toMatchObject({ code: 0, stdout: expect.stringContaining('Exported 2 of 2') });
    expect(await world.out('cd "$TOP/copies"; cat a; stat -c %s d/b')).toBe('one\n200000');
    await world.sh('cd "$TOP/state/accounts"/*; rm -f state.db-wal; head -c 50000 /dev/urandom > state.db');
    const unreadable = await world.cli(['uploads', 'export', `${world.directory}/more`]);
    expect(unreadable).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^syncmount: .*state.db cannot be read/),
    });
  } finally {
    await world.sh('cd /; umount -l "$MNT"; umount -l "$TOP/state"; true');
  }
});
