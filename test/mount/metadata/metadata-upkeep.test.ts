// @module-tag long
/** Compaction of the metadata in the account, through the mount: its files become fewer again, and removed entries go on every machine. */
import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

const carried = ['--metadata', 'account', '--dir-ttl', '1s'] as const;
const names = `find . -mindepth 1 -type d -printf '%P\\n' -o -printf '%P|%y|%n|%l\\n' | cut -c 1-60 | sort`;

/** How many files the store has. */
const filesOf = ({ sandbox }: World): number =>
  sandbox.store.tree().filter(({ path }) => path.startsWith('/.syncmount/') && path.endsWith('.gz')).length;

describeEach(protocols, 'the upkeep of the metadata: $provider', (subject, turns) => {
  cleanUpWorlds();

  turns.it('packs of which most is removed are merged at the next mount', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    // Long targets fill a pack with few links.
    await a.out(`python3 -c "
import os
for folder in 'abc':
    os.mkdir(folder)
    for n in range(800): os.symlink('x' * 4000 + str(n), '%s/l%d' % (folder, n))"`);
    await a.umount();
    expect(filesOf(a)).toBe(4);
    await a.mount(...carried);
    await a.out('for folder in a b c; do find $folder -name "l[1-9]*" -delete; echo x > $folder/file; done');
    // On a slow machine they are merged by then.
    await a.umount();
    const made = await (async () => {
      await a.mount(...carried);
      return a.out(names);
    })();
    await expect.poll(() => filesOf(a), { timeout: 60_000, interval: 500 }).toBe(2);
    await expect.poll(async () => (await a.status()).metadata?.pending, { timeout: 30_000 }).toBe(0);
    expect(await a.out(names)).toBe(made);
    const b = await joinWorld(a);
    await b.mount(...carried);
    expect(await b.out(names)).toBe(made);
  });

  turns.it('what a machine has made and removes goes on a machine that has shown it', async () => {
    const a = await openWorld(subject);
    await a.mount(...carried);
    await a.out(`mkdir d e; echo x > d/x; echo y > d/y; ln -s x d/l; ln -s x d/m; mkfifo d/p; ln d/x e/second; ln d/x d/third; mkdir d/empty
      ln -s stays e/stays`);
    await a.umount();
    const b = await joinWorld(a);
    await b.mount(...carried);
    const before = await b.out(names);
    expect(before.match(/\n/g)).toHaveLength(10);
    // Its own is not for others to take.
    await b.out('ln -s mine d/mine; ln d/y d/own');
    await b.umount();
    await a.mount(...carried);
    await a.until('[ -L d/mine ]');
    await a.out('rm d/l d/p e/second d/third; mv d/m e/moved; rmdir d/empty');
    const made = await a.out(names);
    await a.umount();
    await b.mount(...carried);
    await b.until(`[ "$(${names})" = "${made}" ]`);
    expect(await b.out('readlink d/mine; readlink e/stays; cat d/own')).toBe('mine\nstays\ny');
    await b.umount();
    const c = await joinWorld(a);
    await c.mount(...carried);
    expect(await c.out(names)).toBe(made);
  });
});
