/** One machine gives a name to something else. The other machine shows the new owner of the name. */
import { expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, overKernel } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

/** Each in a directory of its own, of which `d/a` and `e/b` are one inode. */
const changes = [
  'rm d/a e/b; ln -s new e/b',
  'rm d/a; rm e/b; mkfifo e/b',
  'rm e/b; rm d/a; ln -s new e/b',
  'rm e/b; ln -s new e/b',
  'ln -s new e/n; mv e/n e/b',
  'rm d/a e/b; ln -s one d/a; ln -s two e/b',
  'rm d/a',
  'rm d/a; ln -s new d/a',
  'rm e/b; mkdir e/b',
  'rm d/a e/b; ln -s new e/b; ln -P e/b d/a',
  'rm d/a e/b; ln -s new d/a; rm d/a',
  'rm d/a e/b; mkfifo d/a; rm d/a',
];
const objects = ['ln -s target d/a', 'mkfifo d/a', 'echo x > d/a'];
const each = (script: (change: string, object: string) => string): string =>
  changes
    .flatMap((change, n) =>
      objects.map((object, m) => `(mkdir -p c${n}-${m}/d c${n}-${m}/e; cd c${n}-${m}; ${script(change, object)})`),
    )
    .join('\n');
const tree = `find . -mindepth 2 -printf '%p|%y|%l|%m|' \\( -type d -printf '\\n' -o -printf '%n\\n' \\) | sort`;

describeEach(overKernel, 'further names that another machine of $provider gives away', (subject, turns) => {
  cleanUpWorlds();

  turns.it('show what has them now', long, async () => {
    const a = await openWorld(subject);
    await a.mount('--write-back');
    await a.out(each((_, object) => `${object}; ln -P d/a e/b`));
    await a.umount();
    const b = await joinWorld(a);
    await b.mount();
    const wanted = await b.out(`ls -R > /dev/null; ${each((change) => change)}; ${tree}`);
    await b.umount();
    await shows(a, wanted);
    await shows(await joinWorld(a), wanted);
  });
});

async function shows(world: World, wanted: string): Promise<void> {
  await world.mount('--dir-ttl', '1s');
  // An older listing is shown first.
  await expect.poll(() => world.out(tree), { timeout: 20_000 }).toBe(wanted);
  await world.umount();
}
