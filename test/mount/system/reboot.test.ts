/**
 * The machine reboots while contents wait for their upload, and at first the provider is away. The mount starts with all contents, and
 * stores them when the provider is back. A different boot id in a mount namespace stands for the reboot.
 */
import { beforeEach, expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const isRoot = process.getuid?.() === 0;
const skipReason = 'only root plays another boot';

const inNewBoot = `
set -eu
echo 11111111-2222-3333-4444-555555555555 > "$TOP/boot-id"
mount --bind "$TOP/boot-id" /proc/sys/kernel/random/boot_id
$SYNCMOUNT mount work: "$MNT" -o write-back,deadline=2s 2> "$TOP/told"
cd "$MNT"
cat small; md5sum < large; cat kept
echo up
until [ "$($SYNCMOUNT uploads list)" = 'Everything is stored.' ]; do sleep 0.2; done
cd /
$SYNCMOUNT umount "$MNT"
`;

describeEach(protocols, 'a reboot while contents wait for $provider', (subject, { unless }) => {
  const it = unless(() => !isRoot, skipReason);
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await openWorld(subject);
  });

  it('loses nothing, and needs nobody, although the provider is away at first', async () => {
    await world.mount('--write-back');
    await world.out('echo there > kept');
    await world.untilWaiting(0, 0);
    await world.cli(['pause']);
    const large = await world.out(
      'echo small > small; head -c 3000000 /dev/urandom > large; echo more >> kept; md5sum < large',
    );
    expect(world.storedMd5s().size).toBe(1);
    process.kill((await world.status()).pid, 'SIGKILL');
    await world.shell('umount -l "$MNT"');
    const away = world.sandbox.faults.add({ action: { kind: 'status', status: 503 } });
    const boot = world.start(
      `cd /; exec unshare -m --propagation private bash -c '${inNewBoot.replaceAll("'", "'\\''")}'`,
    );
    let shown = '';
    boot.child.stdout?.on('data', (data: Buffer) => {
      shown += data;
    });
    await expect.poll(() => shown).toContain('up\n');
    expect(shown).toBe(`small\n${large}\nthere\nmore\nup\n`);
    expect(await world.shell('cat "$TOP/told"')).toMatch(/cannot be reached .*; what is known of 'work' is shown/);
    world.sandbox.faults.clear(away);
    expect(await boot.ended).toMatchObject({ code: 0, stderr: '' });
    const { store } = world.sandbox;
    expect([...world.storedMd5s().keys()].toSorted()).toEqual(['/kept', '/large', '/small']);
    expect([`${await store.readFile('/small')}`, `${await store.readFile('/kept')}`]).toEqual([
      'small\n',
      'there\nmore\n',
    ]);
    expect(`${world.storedMd5s().get('/large')}  -`).toBe(large);
  });
});
