// @module-tag long
/**
 * A service may refuse to hold a file in its place: an empty file, or on 5sync a large file in a folder other than the root. The file
 * shows in its place all the same, on this machine and on others.
 */
import { describe, expect, it } from 'vitest';
import { kill } from '../kill.js';
import { describeEach, openWorld, protocols, type Subject, traits } from '../subjects.js';
import { cleanUpWorlds, createServiceWorld, joinWorld, type World } from '../world.js';

/** 4Sync speaks the protocol of 4shared, through the same code. */
const refusing = { readings: { emptyContent: 'refused' } };
const look = `find . -mindepth 1 -type f -printf '%P|%s|%m\\n' | sort; find . -type f | sort | xargs md5sum`;

/** On 5sync another client's folder has to have a file. */
const files = ({ sandbox }: World): string[] =>
  sandbox.store
    .tree()
    .filter(({ kind, path }) => kind === 'file' && !path.startsWith('/.syncmount/'))
    .map(({ path }) => path)
    .sort();

for (const mode of [[], ['--write-back']])
  describeEach(
    protocols,
    `where $provider refuses empty files (${mode.join('') || 'stored at close'})`,
    (subject, turns) => {
      cleanUpWorlds();

      turns.it('they are made, filled, emptied, renamed, linked, replaced and removed', async () => {
        const a = await openWorld(subject, refusing);
        await a.mount(...mode);
        await a.out(`
        mkdir d e; : > d/a; touch d/b d/c d/gone; echo x > d/full
        echo y > d/b; : > d/full; mv d/c e/moved; rm d/gone
        ln d/a e/link; echo content > e/over; touch new; mv new e/over; touch f; echo z > g; mv g f
        chmod 600 d/a; touch -d 2001-02-03 d/a; cp -p d/a d/copied`);
        expect(await a.out('cat d/b f; stat -c "%s %a %h %Y" d/a d/copied; ls d e')).toBe(
          'y\nz\n0 600 2 981158400\n0 600 1 981158400\nd:\na\nb\ncopied\nfull\n\ne:\nlink\nmoved\nover',
        );
        const made = await a.out(look);
        await a.umount();
        expect(files(a)).toEqual(['/d/b', '/f']);
        await a.mount(...mode);
        expect(await a.out(look)).toBe(made);
        const b = await joinWorld(a);
        await b.mount(...mode, '--dir-ttl', '1s');
        expect(await b.out(look)).toBe(made);
        expect(await b.out('stat -c "%h %Y" e/link d/copied')).toBe('2 981158400\n1 981158400');
        // The other machine changes them, and this one sees it.
        await b.out('rm d/copied; echo more >> d/full; mv e/moved e/again; chmod 640 e/again');
        const changed = await b.out(look);
        await b.umount();
        await a.umount();
        await a.mount(...mode, '--dir-ttl', '1s');
        await a.until(`[ "$(${look})" = "${changed}" ]`);
      });
    },
  );

describeEach(protocols, 'empty files that $provider refuses', (subject, turns) => {
  cleanUpWorlds();

  for (const name of ['.gitkeep', 'пусто.txt'])
    turns.it(
      `may have the name ${name}, of which the service could say no more than that the request is wrong`,
      async () => {
        const a = await openWorld(subject, refusing);
        await a.mount();
        await a.out(`mkdir d; touch d/${name}`);
        await a.umount();
        const b = await joinWorld(a);
        await b.mount();
        expect(await b.out('find . -type f -printf "%P %s\\n"')).toBe(`d/${name} 0`);
      },
    );

  turns.it('survive the death of the process', async () => {
    const a = await openWorld(subject, refusing);
    await a.mount('--write-back');
    await a.out('mkdir d; touch d/a; echo x > d/b; : > d/b');
    await kill(a);
    await a.mount('--write-back');
    expect(await a.out('find . -type f -printf "%P %s\\n" | sort')).toBe('d/a 0\nd/b 0');
    await a.umount();
    const b = await joinWorld(a);
    await b.mount();
    expect(await b.out('find . -type f -printf "%P %s\\n" | sort')).toBe('d/a 0\nd/b 0');
  });

  turns.it('take the name of a stored file at once, also where the process dies meanwhile', async () => {
    const a = await openWorld(subject, refusing);
    await a.mount();
    await a.out('mkdir d; echo old > d/full; echo keep > d/keep; touch d/empty');
    await a.untilWaiting(0, 0);
    a.sandbox.faults.add({ action: { kind: 'stall', ms: 600_000, when: 'after' } });
    const moving = a.sh('mv d/empty d/full');
    await expect.poll(() => files(a)).not.toContain('/d/full');
    await kill(a);
    await moving;
    a.sandbox.faults.clear();
    await a.mount();
    const shown = await a.out('find d -type f -printf "%P %s\\n" | sort');
    expect(shown).toBeOneOf(['empty 0\nfull 4\nkeep 5', 'full 0\nkeep 5']);
    await a.untilWaiting(0, 0);
    await expect.poll(() => files(a)).toEqual(shown.startsWith('empty') ? ['/d/full', '/d/keep'] : ['/d/keep']);
  });

  turns.it('stay with --metadata local, and are carried later', async () => {
    const a = await openWorld(subject, refusing);
    await a.mount();
    await a.out('mkdir d; touch d/carried');
    await a.umount();
    // Each look lists the folder anew.
    await a.mount('--metadata', 'local', '--dir-ttl', '1ms');
    await a.out('touch d/local; mv d/carried d/moved; ls d');
    expect(await a.out('ls d; echo x > d/new; ls d')).toBe('local\nmoved\nlocal\nmoved\nnew');
    await a.umount();
    await a.mount();
    expect(await a.out('ls d')).toBe('local\nmoved\nnew');
    await a.umount();
    const b = await joinWorld(a);
    await b.mount();
    expect(await b.out('ls d')).toBe('local\nmoved\nnew');
  });

  const hasFeed = ({ provider }: Subject): boolean => provider === '5sync';
  turns.unless(hasFeed, 'its feed tells of it too late')(
    'keep what another client stores under their name',
    async () => {
      const a = await openWorld(subject, refusing);
      await a.mount('--dir-ttl', '1s');
      await a.out('mkdir d; touch d/a; echo keep > d/keep');
      // An empty file is stored after its last close.
      await a.untilWaiting(0, 0);
      await a.sandbox.store.putFile('/d/a', 'theirs');
      await a.out('echo ours > d/a');
      await a.until('[ "$(for f in d/*; do cat "$f"; echo; done | sort -u | xargs)" = "keep ours theirs" ]');
      await a.umount();
      expect(files(a).length).toBe(3);
    },
  );

  turns.unless(({ provider }: Subject) => !traits[provider].keepsFolders, 'its folders go with their last file')(
    'go with their folder, where another client removes that',
    async () => {
      const a = await openWorld(subject, refusing);
      await a.mount('--dir-ttl', '1s');
      await a.out('mkdir d; touch d/a');
      await a.untilWaiting(0, 0);
      a.sandbox.store.remove('/d');
      await a.until('! ls -d d');
    },
  );
});

describe('where 5sync stores large files in the root only', () => {
  cleanUpWorlds();

  const open = (): Promise<World> =>
    createServiceWorld({
      provider: '5sync',
      requestsPerHour: 60_000,
      simpleUploadLimit: 2_000_000,
      readings: { multipartPath: 'root', tooLarge: '413' },
    });
  const large = (name: string, size = 5_000_000): string => `head -c ${size} /dev/urandom > ${name}`;

  for (const mode of [[], ['--write-back']])
    it(`they are in their folders (${mode.join('') || 'stored at close'})`, async () => {
      const a = await open();
      await a.mount(...mode);
      await a.out(`mkdir -p d/e; ${large('d/e/f')}; ${large('d/g')}; echo x > d/h; ${large('top')}; chmod 600 d/g`);
      const made = await a.out(look);
      await a.umount();
      expect(files(a)).toEqual([
        expect.stringMatching(/^\/\.syncmount-held-[0-9a-f]+$/),
        expect.stringMatching(/^\/\.syncmount-held-[0-9a-f]+$/),
        '/d/h',
        '/top',
      ]);
      await a.mount(...mode);
      expect(await a.out(`ls -A; ${look}`)).toBe(`d\ntop\n${made}`);
      const b = await joinWorld(a);
      await b.mount(...mode);
      expect(await b.out(`ls -A; ${look}`)).toBe(`d\ntop\n${made}`);
      // A new version, a rename, a replacement by a small file, a removal: on the other machine.
      await b.out(`${large('d/e/f', 6_000_000)}; mv d/g d/moved; ${large('d/h', 3_000_000)}; ${large('new')}; rm new`);
      const changed = await b.out(look);
      await b.umount();
      await a.umount();
      await a.clearCache();
      await a.mount(...mode);
      await a.until(`[ "$(${look})" = "${changed}" ]`);
      await a.out('rm d/e/f d/moved; echo small > d/h');
      expect(await a.out('cat d/h; find . -type f | sort')).toBe('small\n./d/h\n./top');
      await a.umount();
      expect(files(a).length).toBe(2);
    });

  it('they survive the death of the process, and the loss of the metadata', async () => {
    const a = await open();
    await a.mount('--write-back');
    await a.out(`mkdir d; ${large('d/f')}; sync d/f`);
    const made = await a.out('md5sum d/f');
    await kill(a);
    await a.mount('--write-back');
    expect(await a.out('md5sum d/f')).toBe(made);
    await a.umount();
    await a.clearCache();
    // No machine has it any more: the bytes are in the root, for everybody to see.
    a.sandbox.store.remove('/.syncmount');
    const b = await joinWorld(a);
    await b.mount();
    expect((await b.out('md5sum .syncmount-held-*')).slice(0, 32)).toBe(made.slice(0, 32));
    await b.umount();
    // The one that wrote it still has it.
    await a.mount();
    expect(await a.out('ls -A; md5sum d/f')).toBe(`d\n${made}`);
  });
});
