/** The command `syncmount uploads`, or the mount, is killed while the command works: each content is whole, in one place or the other. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect } from 'vitest';
import { kill } from '../kill.js';
import { describeEach, openWorld, protocols, traits } from '../subjects.js';
import { cleanUpWorlds, type World } from '../world.js';

const COUNT = 12;
const names = Array.from({ length: COUNT }, (_, at) => `${at}`.padStart(2, '0'));
/** The service has the first half already, in an older version. */
const isChanged = (name: string): boolean => Number(name) < COUNT / 2;

describeEach(protocols, 'contents that $provider refused', (subject, { it }) => {
  cleanUpWorlds();
  let world: World;
  const refuse = (): void => {
    const [status, code] = traits[subject.provider].refusals[0] ?? [507];
    const action = { kind: 'status', status, ...(code === undefined ? {} : { code }) } as const;
    world.sandbox.faults.add({ ...traits[subject.provider].bringing, action });
  };
  const flags = ['--deadline', '3s', '--write-back', '--metadata', 'local'];
  const failed = async (): Promise<string[]> => (await world.status()).failed.map(({ path }) => path.slice(1)).sort();

  beforeEach(async () => {
    world = await openWorld(subject);
    for (const name of names.filter(isChanged)) await world.sandbox.store.putFile(`/${name}`, `old ${name}`);
    await world.mount(...flags);
    refuse();
    await world.out(`cat * > /dev/null; for name in ${names.join(' ')}; do echo "new $name" > $name; done`);
    await world.untilWaiting(0, COUNT);
  });

  it('are discarded or kept, each as a whole, where the mount is killed in the midst of it', async () => {
    const discarding = world.start(`printf 'yes\\nyes\\n' | $SYNCMOUNT uploads discard "$MNT"`);
    await expect.poll(async () => (await world.log()).includes('is discarded'), { interval: 1 }).toBe(true);
    await kill(world);
    // The command says so, unless it was done already.
    const { code, stderr } = await discarding.ended;
    expect(code === 0 || stderr.startsWith('syncmount: ')).toBe(true);
    await world.mount(...flags);
    const kept = await failed();
    for (const name of names) {
      const shown = await world.sh(`cat ${name}`);
      if (kept.includes(name)) expect(shown.stdout).toBe(`new ${name}\n`);
      else if (isChanged(name)) expect(shown.stdout).toBe(`old ${name}`);
      else expect(shown.stderr).toMatch(/No such file/);
    }
    expect(kept.length).toBeLessThan(COUNT);
    world.sandbox.faults.clear();
    await world.out('$SYNCMOUNT uploads retry');
    await world.untilWaiting(0, 0);
    await world.umount();
    const stored = names.filter((name) => isChanged(name) || kept.includes(name));
    expect(world.storedFiles()).toEqual(stored.map((name) => `/${name}`));
    for (const name of stored)
      expect(`${await world.sandbox.store.readFile(`/${name}`)}`).toBe(
        kept.includes(name) ? `new ${name}\n` : `old ${name}`,
      );
  });

  it('are stored after `retry`, wherever the mount is killed', async () => {
    world.sandbox.faults.clear();
    const retrying = world.start('$SYNCMOUNT uploads retry');
    const isNew = async (name: string): Promise<boolean> =>
      world.sandbox.store.stat(`/${name}`)?.size === `new ${name}\n`.length &&
      `${await world.sandbox.store.readFile(`/${name}`)}` === `new ${name}\n`;
    const stored = async (): Promise<number> => (await Promise.all(names.map(isNew))).filter(Boolean).length;
    await expect.poll(stored, { interval: 1 }).toBeGreaterThan(0);
    await kill(world);
    await retrying.ended;
    await world.mount(...flags);
    await world.out('$SYNCMOUNT uploads retry');
    await world.untilWaiting(0, 0);
    await expect.poll(stored).toBe(COUNT);
    await world.umount();
    expect(world.storedFiles()).toEqual(names.map((name) => `/${name}`));
  });

  it('are exported whole or not at all under their names, where the command is killed', async () => {
    const content = randomBytes(48 * 1024 * 1024);
    await world.write('large', content);
    await world.out('cp "$TOP/large" large');
    await world.untilWaiting(0, COUNT + 1);
    const target = join(world.directory, 'out');
    const md5Of = async (): Promise<string> =>
      createHash('md5')
        .update(await readFile(join(target, 'large')))
        .digest('hex');
    const md5 = createHash('md5').update(content).digest('hex');
    const exporting = world.start('exec $SYNCMOUNT uploads export "$TOP/out" "$MNT"');
    // The large one is the last.
    const begun = async (): Promise<number> => (await readdir(target).catch(() => [])).length;
    await expect.poll(begun, { interval: 1 }).toBeGreaterThan(COUNT);
    exporting.child.kill('SIGKILL');
    await exporting.ended;
    if (existsSync(join(target, 'large'))) expect(await md5Of()).toBe(md5);
    else await world.out('rm "$TOP"/out/[0-9]*; $SYNCMOUNT uploads export "$TOP/out" "$MNT"');
    expect(await md5Of()).toBe(md5);
  });
});
