/** The account carries hard links: names of one inode on one machine are names of one inode on every other machine. */
import { expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

const carried = ['--metadata', 'account'] as const;
/** Everything but directories: kind, number of names and target. */
const kinds = `find . -mindepth 1 ! -type d -printf '%P|%y|%n|%l\\n' | sort`;
/** The names of each inode, a line for each. */
const groups = `find . -mindepth 1 ! -type d -printf '%i %P\\n' | sort | awk '{ names[$1] = names[$1] " " $2 } END { for (i in names) print names[i] }' | sort`;

describeEach(protocols, 'hard links in the account: $provider', (subject, { it }) => {
  cleanUpWorlds();

  const open = async (script: string): Promise<World> => {
    const world = await openWorld(subject);
    await world.mount(...carried);
    await world.out(script);
    return world;
  };
  const second = async (world: World): Promise<World> => {
    const other = await joinWorld(world);
    await other.mount(...carried, '--dir-ttl', '1s');
    return other;
  };
  /** Waits until the machine shows what another one has. */
  const untilSame = async (world: World, other: World): Promise<void> => {
    const wanted = [await other.out(kinds), await other.out(groups)];
    await expect.poll(async () => [await world.out(kinds), await world.out(groups)], { interval: 500 }).toEqual(wanted);
  };

  const make = `
    mkdir -p a/b z; echo one > z/first; ln z/first a/b/second; ln a/b/second a/third; chmod 640 a/third
    echo two > z/plain; ln z/plain a/plain
    ln -s target z/link; ln z/link a/link; mkfifo z/fifo; ln z/fifo a/fifo`;

  for (const looked of ['a', 'z', 'a/b'])
    it(`a second machine that looks at ${looked} first finds all names of each inode`, async () => {
      const a = await open(make);
      const shown = [await a.out(kinds), await a.out(groups)];
      const inIt = await a.out(`ls ${looked}`);
      await a.umount();
      const b = await second(a);
      expect(await b.out(`ls ${looked}`)).toBe(inIt);
      expect([await b.out(kinds), await b.out(groups)]).toEqual(shown);
      expect(await b.out('cat a/third; stat -c "%h %a" a/b/second')).toBe('one\n3 640');
      await b.umount();
      await b.mount(...carried);
      expect(await b.out(groups)).toBe(shown[1]);
    });

  it('each name may go first on any machine, and new ones come', async () => {
    const a = await open(make);
    await a.umount();
    const b = await second(a);
    await b.out(
      'cat z/first; rm z/first; rm a/third; ln a/b/second z/new; echo more >> z/new; mv a/plain z/moved; rm a/fifo',
    );
    const made = [await b.out(kinds), await b.out(groups)];
    await b.umount();
    await a.mount(...carried, '--dir-ttl', '1s');
    await b.mount(...carried, '--dir-ttl', '1s');
    await untilSame(a, b);
    expect([await a.out(kinds), await a.out(groups)]).toEqual(made);
    expect(await a.out('cat a/b/second; [ a/b/second -ef z/new ] && [ z/moved -ef z/plain ] && echo same')).toBe(
      'one\nmore\nsame',
    );
  });

  it('the names go along with their folders', async () => {
    const a = await open(make);
    await a.out('mkdir top; mv z top/y; mv a top/x');
    const made = [await a.out(kinds), await a.out(groups)];
    await a.umount();
    const b = await second(a);
    expect([await b.out(kinds), await b.out(groups)]).toEqual(made);
  });

  for (const [what, take] of [
    ['removed', 'rm z/first'],
    ['replaced', 'echo new > z/new; mv z/new z/first'],
  ] as const)
    it(
      `the content stays for names of which this machine has not heard, where the one that it knows is ${what}`,
      long,
      async () => {
        const a = await open('mkdir a z; echo one > z/first; echo other > a/other');
        await a.umount();
        const b = await joinWorld(a);
        // What it has seen once it does not look at again.
        const patient = [...carried, '--dir-ttl', '1h'];
        await b.mount(...patient);
        expect(await b.out('cat z/first; ls a z')).toBe('one\na:\nother\n\nz:\nfirst');
        await b.umount();
        await a.mount(...carried);
        // One in a folder that the other machine knows, and one in a folder that it does not.
        await a.out('ln z/first a/second; mkdir -p a/deep/er; ln z/first a/deep/er/third');
        await a.umount();
        await b.mount(...patient);
        await b.out(take);
        expect(await b.out('cat a/second a/deep/er/third; stat -c %h a/second')).toBe('one\none\n2');
        await b.umount();
        await a.mount(...carried, '--dir-ttl', '1s');
        await a.until(
          '[ "$(cat a/second a/deep/er/third)" = "$(printf "one\\none")" ] && [ "$(stat -c %h a/second)" = 2 ]',
        );
        expect(await a.sh('cat z/first')).toMatchObject(
          what === 'removed' ? { code: 1 } : { code: 0, stdout: 'new\n' },
        );
      },
    );

  it('a name that another machine gave just now is found before the others go', long, async () => {
    const a = await open('mkdir a z; echo one > z/first; ln z/first z/second');
    await a.umount();
    const b = await second(a);
    expect(await b.out('stat -c %h z/first; ls a')).toBe('2');
    await a.mount(...carried, '--dir-ttl', '1s');
    await a.out('ln z/first a/third');
    await expect.poll(async () => (await a.status()).metadata?.pending).toBe(0);
    await b.out('rm z/second z/first');
    // On 5sync it is another object by then, which may get a name of its own where it shows before the old one has gone.
    await a.until('[ ! -e z/first ] && [ "$(cat a/third*)" = one ]');
    await b.until('[ "$(cat a/third)" = one ]');
  });

  it('nothing is asked before a file that has one name is removed', async () => {
    const a = await open('mkdir z; echo one > z/first; ln z/first z/second; echo plain > z/plain; chmod 600 z/plain');
    await a.umount();
    const b = await joinWorld(a);
    await b.mount(...carried);
    await b.out('ls z');
    const routes = await b.routesOf(() => b.out('rm z/plain'));
    expect(routes.filter((route) => route !== 'GET /changes')[0]).toMatch(/^DELETE |\/trash$/);
  });

  it('snapshots by rsync --link-dest show one inode for what did not change', async () => {
    const a = await open('true');
    await a.out(`
      mkdir -p "$TOP/src/d"; for n in 1 2 3 4 5; do echo $n > "$TOP/src/d/f$n"; done
      rsync -aH --numeric-ids "$TOP/src/" day1/
      for day in 2 3; do echo $day >> "$TOP/src/d/f$day"; rsync -aH --numeric-ids --link-dest=../day$((day - 1)) "$TOP/src/" day$day/; done`);
    const made = [await a.out(kinds), await a.out(groups)];
    await a.umount();
    const b = await second(a);
    // The newest first: the names that the service knows are in the oldest.
    expect(await b.out('cat day3/d/f3; stat -c %h day3/d/f1 day3/d/f2 day3/d/f3')).toBe('3\n3\n3\n2\n1');
    expect([await b.out(kinds), await b.out(groups)]).toEqual(made);
    expect(await b.out(`rsync -aHni --numeric-ids --checksum ${a.directory}/src/ day3/`)).toBe('');
  });
});
