/** A machine without a network: the mount shows what it knows, and files that are not stored yet work as on a local disk. */
import { expect } from 'vitest';
import { swallowingPorts } from '../../support/swallowing-ports.js';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds } from '../world.js';

/** `timed S PROGRAM…` says whether the program was done, and what it took where that was more than S seconds. */
const timed = `timed() { s=$1; shift; b=$(date +%s%N); "$@" 2>/dev/null && r=done || r=failed
  t=$((($(date +%s%N) - b) / 1000000)); [ $t -le \${s}000 ] || r="$r after $t ms"; echo $1 $r; };`;

describeEach(protocols, 'without a network, files of $provider', (subject, { it }) => {
  cleanUpWorlds();

  it('that no upload has reached the service with are renamed and removed here', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/known', 'known');
    await world.mount('--write-back', '--deadline', '2s');
    expect(await world.out('mkdir e; cat d/known; ls e')).toBe('known');
    await world.sandbox.close();
    await world.out('echo one > d/a; echo two > d/b; head -c 3000000 /dev/zero > d/c; : > d/empty');
    // Each has been tried, or has waited for one that was.
    await expect.poll(async () => (await world.status()).outage?.error).toMatch(/ECONNREFUSED/);
    await expect.poll(async () => (await world.status()).pending.length).toBe(4);
    expect(await world.out('mv d/a d/a2; mv d/b e/b2; mv d/c d/a2; rm d/empty; ls d e; stat -c %s d/a2')).toBe(
      'd:\na2\nknown\n\ne:\nb2\n3000000',
    );
  });

  it('are so too where packets vanish, and no call waits longer than the deadline', async () => {
    const world = await openWorld(subject);
    await world.sandbox.store.putFile('/d/known', 'known');
    await world.sandbox.store.putFile('/d/cold', 'cold');
    await world.mount('--write-back', '--deadline', '5s', '--dir-ttl', '1s');
    expect(await world.out('cat d/known; ls d')).toBe('knowncold\nknown');
    const ports = Object.values(world.sandbox.endpoints).map((url) => Number(new URL(url).port));
    await world.sandbox.close();
    await swallowingPorts(...new Set(ports));
    // Each has its deadline from its arrival, and a look at the folder before that.
    expect(await world.out(`${timed} timed 12 rm d/cold; timed 12 cat d/cold`)).toBe('rm failed\ncat failed');
    await world.out('echo one > d/a; echo two > d/b; head -c 3000000 /dev/zero > d/c');
    await expect.poll(async () => (await world.status()).pending.map(({ state }) => state)).toContain('uploading');
    expect(await world.out(`${timed} timed 5 mv d/a d/a2; timed 5 mv d/c d/c2; timed 5 rm d/b; ls d`)).toBe(
      'mv done\nmv done\nrm done\na2\nc2\ncold\nknown',
    );
  });
});
