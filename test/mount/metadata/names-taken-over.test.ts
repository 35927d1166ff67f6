/**
 * An object with a metadata entry of this machine moves elsewhere, and another object takes its name. The old entry goes, and the entry
 * of the new object stays.
 */
import { expect } from 'vitest';
import { long } from '../../support/extent.js';
import { describeEach, openWorld, protocols, type Subject, traits } from '../subjects.js';
import { cleanUpWorlds, joinWorld, type World } from '../world.js';

const lacksMoves = ({ provider }: Subject): boolean => !traits[provider].movesFolders;
const tree = `find d -mindepth 1 -printf '%P|%y|%m|%l\\n' | sort`;

async function onAnother(a: World, act: (b: World) => Promise<void>): Promise<void> {
  const b = await joinWorld(a);
  await b.mount();
  await act(b);
  await b.umount();
}

/** Mounts twice more: what an earlier mount has seen is tidied up at the start of the next one. */
async function endsAs(a: World, wanted: string): Promise<void> {
  for (let mounts = 0; mounts < 2; mounts++) {
    await a.mount('--dir-ttl', '1s');
    await expect.poll(() => a.out(tree)).toBe(wanted);
    await a.umount();
  }
  await onAnother(a, async (fresh) => expect(await fresh.out(tree)).toBe(wanted));
}

describeEach(protocols, 'names of $provider that something else has taken over', (subject, turns) => {
  cleanUpWorlds();

  for (const [how, readings] of [
    ['', {}],
    [', where empty files are refused', { emptyContent: 'refused' }],
  ] as const)
    turns.it(`show what another machine has made there${how}`, long, async () => {
      const a = await openWorld(subject, { readings });
      await a.mount();
      await a.out('mkdir d; for n in file empty link; do echo of a > d/$n; chmod 640 d/$n; done');
      await a.umount();
      let wanted = '';
      await onAnother(a, async (b) => {
        await b.out('cd d; rm *; echo longer > file; touch empty; ln -s target link; chmod 600 file empty');
        wanted = await b.out(tree);
      });
      await endsAs(a, wanted);
    });

  turns.it('show the link that was made here after another client had removed the file', long, async () => {
    const a = await openWorld(subject);
    await a.mount('--dir-ttl', '1s');
    await a.out('mkdir d; for n in kept one two; do echo of a > d/$n; chmod 640 d/$n; done');
    for (const name of ['one', 'two']) a.sandbox.store.remove(`/d/${name}`);
    await a.until('! stat d/one && ! stat d/two');
    await a.out('ln -s target d/one; mkfifo d/two');
    const wanted = await a.out(tree);
    await a.umount();
    await endsAs(a, wanted);
  });

  turns.it('stay as they are when the file that had them is changed while it is open', long, async () => {
    const a = await openWorld(subject);
    await a.mount('--dir-ttl', '1s');
    await a.out('mkdir d; for n in kept one; do echo of a > d/$n; chmod 640 d/$n; done');
    const opened = a.out(
      'exec 5< d/one; touch "$TOP/opened"; until [ -e "$TOP/made" ]; do sleep .05; done; chmod 600 /proc/self/fd/5',
    );
    await a.until('[ -e "$TOP/opened" ]');
    a.sandbox.store.remove('/d/one');
    await a.until('! stat d/one');
    await a.out('ln -s target d/one; touch "$TOP/made"');
    await opened;
    const wanted = await a.out(tree);
    await a.umount();
    await endsAs(a, wanted);
  });

  turns.unless(lacksMoves, 'nobody moves there')(
    'show what another machine has made where another client had moved the file away',
    long,
    async () => {
      const a = await openWorld(subject);
      await a.mount();
      await a.out('mkdir d e; for n in file link; do echo of a > d/$n; chmod 640 d/$n; done');
      await a.umount();
      for (const name of ['file', 'link']) a.sandbox.store.move(`/d/${name}`, '/e');
      let wanted = '';
      await onAnother(a, async (b) => {
        await b.out('ls d e; echo longer > d/file; chmod 600 d/file; ln -s target d/link');
        wanted = await b.out(tree);
      });
      await endsAs(a, wanted);
    },
  );
});
