/** A service may store another name than the requested one, and tell so in its answer, or only in the next listing. */
import { expect } from 'vitest';
import { describeEach, openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

/** As a shell reads them: each becomes another name at the service. */
const odd = {
  colon: `'a:b'`,
  nfd: `$'e\\u0301t\\u00e9'`,
  dot: `'end.'`,
  blank: `'fin '`,
  control: `$'x\\ty'`,
  long: `"$(printf 'l%.0s' {1..240})"`,
};
const all = Object.values(odd).join(' ');
/** What a program sees of a tree. */
const seen = `find . -mindepth 1 -printf '%P %y\\n' | LC_ALL=C sort; find . -type f | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 -r md5sum`;

describeEach(protocols, 'a service that changes names: $provider', (subject, turns) => {
  cleanUpWorlds();

  const open = (toldNames: string): Promise<World> =>
    openWorld(subject, { readings: { storedNames: 'cleaned', toldNames } });
  const files = (world: World): string[] =>
    world.sandbox.store
      .tree()
      .filter(({ kind, path }) => kind === 'file' && !path.startsWith('/.syncmount'))
      .map(({ path }) => path);

  for (const told of ['kept', 'asked'])
    for (const flags of [[], ['--write-back']]) {
      const how = `${told === 'kept' ? 'it tells' : 'it does not tell'}${flags.length > 0 ? ', with write-back' : ''}`;

      turns.it(`files keep the names that programs gave them (${how})`, async () => {
        const world = await open(told);
        const mount = (): Promise<void> => world.mount('--dir-ttl', '0s', ...flags);
        await mount();
        const script = `for n in ${all}; do printf one > "$n"; printf two >> "$n"; done
          for n in ${all}; do printf new > tmp && mv tmp "$n"; done; for n in ${all}; do printf '+' >> "$n"; done`;
        const local = await world.out(`mkdir "$TOP/l" && cd "$TOP/l" && ${script}; ${seen}`);
        await world.out(script);
        const inodes = await world.out(`stat -c %i ${all}`);
        for (let round = 0; round < 2; round++) {
          expect(await world.out(seen)).toBe(local);
          expect(await world.out(`stat -c %i ${all}`)).toBe(inodes);
          await world.umount();
          expect(files(world)).toHaveLength(6);
          await mount();
        }
        await world.out(
          `mv ${odd.colon} ${odd.dot}; mv ${odd.dot} 'q?'; rm ${odd.nfd} ${odd.blank} ${odd.control} ${odd.long}`,
        );
        expect(await world.out('cat q?; ls')).toBe('new+q?');
        await world.umount();
        expect(files(world)).toEqual(['/q_']);
      });

      turns.it(`two names that are one there do not overwrite each other (${how})`, async () => {
        const world = await open(told);
        const mount = (): Promise<void> => world.mount('--dir-ttl', '0s', ...flags);
        await mount();
        const pairs = `a_b 'a:b' 'a?b' $'\\u00e9' $'e\\u0301' x. x`;
        const script = `for n in ${pairs}; do printf %s "$n" > "$n"; done; for n in ${pairs}; do printf + >> "$n"; done`;
        const local = await world.out(`mkdir "$TOP/l" && cd "$TOP/l" && ${script}; ${seen}`);
        await world.out(script);
        for (let round = 0; round < 2; round++) {
          expect(await world.out(seen)).toBe(local);
          expect(await world.status()).toMatchObject({ failed: [] });
          await world.umount();
          expect(files(world)).toHaveLength(7);
          await mount();
        }
        expect((await world.sh('mkdir a:b')).stderr).toContain('File exists');
        await world.out(`rm ${pairs}; ls > "$TOP/left"; test ! -s "$TOP/left"`);
        await world.umount();
        expect(files(world)).toEqual([]);
      });
    }

  for (const names of ['asked', 'cleaned'])
    turns.unless(({ provider }) => provider === '5sync', 'nothing is ever renamed there')(
      `a name that another client gives is shown, also one that a service could have made (names: ${names})`,
      async () => {
        const world = await openWorld(subject, { readings: { storedNames: names, toldNames: 'asked' } });
        await world.mount('--dir-ttl', '0s');
        await world.out(`printf text > 'a:b'; printf text > 'c-d'; ls; ls > "$TOP/listed"`);
        const [[a = ''] = [], [c = ''] = []] = ['a', 'c'].map((first) =>
          files(world).filter((path) => path[1] === first),
        );
        expect(a).toBe(names === 'asked' ? '/a:b' : '/a_b');
        world.sandbox.store.rename(a, 'a b');
        world.sandbox.store.rename(c, 'cd');
        await world.until('test -e "a b" -a -e cd');
        expect(await world.out('ls; cat "a b" cd')).toBe('a b\ncd\ntexttext');
        await world.umount();
      },
    );

  turns.it('another machine shows the names that programs gave, and so does this one without its state', async () => {
    const world = await open('kept');
    await world.mount('--metadata', 'account', '--dir-ttl', '0s');
    const script = `printf 1 > a_b; printf 2 > 'a:b'; printf 3 > 'x.'; mv 'x.' 'y?'; printf 4 > 'z|'; mv 'z|' z_; mkdir plain; printf 5 > 'plain/p:q'`;
    const local = await world.out(`mkdir "$TOP/l" && cd "$TOP/l" && ${script}; ${seen}`);
    await world.out(`${script}; ls -R > "$TOP/listed"`);
    await world.umount();
    const other = await joinWorld(world);
    await other.mount('--metadata', 'account', '--dir-ttl', '0s');
    expect(await other.out(`ls -R > "$TOP/listed"; ${seen}`)).toBe(local);
    expect(await other.out(`printf + >> 'a:b'; mv 'y?' 'v?'; cat a_b 'a:b' 'v?'`)).toBe('12+3');
    await other.umount();
    expect(files(other)).toHaveLength(5);
  });

  turns.unless(({ provider }) => provider === '5sync', 'it has no folders but by their files')(
    'directories keep the names that programs gave them',
    async () => {
      const world = await open('asked');
      await world.mount('--dir-ttl', '0s');
      const script = `mkdir 'd:e' 'd:e/f?'; printf 1 > 'd:e/f?/x:y'; mv 'd:e/f?' 'g|'; mv 'd:e' 'g|/h.'; printf 2 > 'g|/h./i'; mkdir 'r:' && rmdir 'r:'`;
      const local = await world.out(`mkdir "$TOP/l" && cd "$TOP/l" && ${script}; ${seen}`);
      await world.out(script);
      for (let round = 0; round < 2; round++) {
        expect(await world.out(seen)).toBe(local);
        await world.umount();
        await world.mount('--dir-ttl', '0s');
      }
      await world.out(`rm -r 'g|'`);
      await world.umount();
      expect(files(world)).toEqual([]);
    },
  );

  turns.unless(({ provider }) => provider !== '5sync', 'it has folders')(
    'what cannot be stored in a folder of that name stays here, and says why',
    async () => {
      const world = await open('kept');
      await world.sandbox.store.putFile('/d_e/f', 'theirs');
      await world.mount('--dir-ttl', '0s');
      expect((await world.sh(`printf ours > "$TOP/ours"; mkdir 'd:e'; cp "$TOP/ours" 'd:e/f'`)).code).not.toBe(0);
      expect(await world.out('cat d:e/f d_e/f')).toBe('ourstheirs');
      const [failed] = (await world.status()).failed;
      expect(failed).toMatchObject({ path: '/d:e/f', error: 'the service has /d_e for /d:e: give it another name' });
      expect(`${await world.sandbox.store.readFile('/d_e/f')}`).toBe('theirs');
      expect(files(world)).toEqual(['/d_e/f']);
      await world.out(`mkdir d; mv 'd:e/f' d/f`);
      await world.cli(['uploads', 'retry', world.mnt]);
      await world.umount();
      expect(files(world).sort()).toEqual(['/d/f', '/d_e/f']);
    },
  );
});
