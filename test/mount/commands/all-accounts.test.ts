/** `mount --all`, `umount --all`, and `logout --purge`: whole machines, not single accounts. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lifeOf } from '../../../src/base/processes.js';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

cleanUpWorlds();

/** Three accounts of one service: they have their own names and mounts here, and the same files. */
async function threeAccounts(): Promise<World> {
  const world = await createWorld();
  await world.sandbox.store.putFile('/there.txt', 'there\n');
  for (const name of ['home', 'third']) await world.signIn(name);
  return world;
}

it('mounts every account on a folder of its name, again without harm, and ends all of them', async () => {
  const world = await threeAccounts();
  const cloud = join(world.directory, 'Cloud');
  const first = await world.cli(['mount', '--all', cloud, '--read-only']);
  expect([first.code, first.stderr]).toEqual([0, '']);
  expect(first.stdout.split('\n').toSorted()).toEqual([
    '',
    ...['home', 'third', 'work'].map((name) => `${name}: mounted on ${cloud}/${name}`),
  ]);
  expect(await world.shell(`cat "${cloud}"/*/there.txt`)).toBe('there\nthere\nthere');
  // The options count for all.
  expect(await world.shell(`touch "${cloud}/home/x" 2>&1 || true`)).toMatch(/Read-only/);
  const again = await world.cli(['mount', '--all', cloud]);
  expect([again.code, again.stdout]).toEqual([
    0,
    expect.stringContaining(`home: is mounted already, on ${cloud}/home\n`),
  ]);

  const pids = world.registry.all().map(({ pid }) => pid);
  const ended = await world.cli(['umount', '--all']);
  expect([ended.code, ended.stdout]).toEqual([0, expect.stringContaining(`work: unmounted from ${cloud}/work\n`)]);
  expect(pids.map(lifeOf)).toEqual(['gone', 'gone', 'gone']);
  expect(world.registry.all()).toEqual([]);
  expect(await world.cli(['umount', '--all'])).toMatchObject({ code: 0, stdout: 'Nothing is mounted.\n' });
}, 120_000);

it('tells what failed in one line each, and does the rest', async () => {
  const world = await threeAccounts();
  const cloud = join(world.directory, 'Cloud');
  await world.shell(`mkdir -p "${cloud}/home"; echo in the way > "${cloud}/home/file"; : > "${cloud}/third"`);
  const { code, stdout, stderr } = await world.cli(['mount', '--all', cloud]);
  expect([code, stdout]).toEqual([1, expect.stringContaining(`work: mounted on ${cloud}/work\n`)]);
  const lines = stderr.trim().split('\n');
  expect(lines.filter((line) => line.startsWith('syncmount: third: '))).toHaveLength(1);
  expect(lines.every((line) => /^syncmount: (home|third): /.test(line))).toBe(true);
  const left = world.start(`cd "${cloud}/work"; exec 3> open.txt; echo open; exec sleep 600`);
  await left.first;
  const ended = await world.cli(['umount', '--all']);
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(/^syncmount: work: .*is busy: .*open\.txt/m) });
  left.child.kill('SIGKILL');
  await left.ended;
}, 120_000);

it('says how it is meant', async () => {
  const world = await createWorld();
  for (const [args, message] of [
    [['mount', '--all', '/tmp/x', 'work:'], /'work:' is not expected/],
    [['mount', '--all', '/tmp/x', '-f'], /in the background/],
    [['mount'], /missing required argument 'account:path'/],
    [['mount', 'work:'], /missing required argument 'mountpoint'/],
    [['umount'], /missing required argument 'mountpoint'/],
    [['umount', '--all', '/tmp/x'], /is not expected/],
    [['logout', 'work', '--force'], /--force is for --purge/],
  ] as const)
    expect(await world.cli(args), args.join(' ')).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  const nobody = await createWorld({ loggedOut: true });
  expect(await nobody.cli(['mount', '--all', '/tmp/x'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/no account is known yet/),
  });
});

it('logout --purge removes all that is here, but nothing that is stored nowhere else', async () => {
  const world = await createWorld();
  await world.sandbox.store.putFile('/there.txt', 'there\n');
  const kept = (): string[] =>
    ['state/accounts', 'cache', 'state/log', 'config/accounts'].flatMap((at) => {
      const directory = join(world.directory, at);
      return (existsSync(directory) ? readdirSync(directory) : [])
        .filter((name) => name.startsWith('work') && !name.endsWith('.lock'))
        .map((name) => `${at}/${name.replace(/@.*/, '@')}`);
    });
  const all = ['state/accounts/work@', 'cache/work@', 'state/log/work.log', 'config/accounts/work.json'];
  await world.mount();
  await world.out('cat there.txt');
  expect(await world.cli(['logout', 'work', '--purge'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/'work' is mounted on .*: unmount it first/),
  });
  world.sandbox.faults.add({ method: 'POST', action: { kind: 'status', status: 403 } });
  await world.sh('echo precious > new.txt');
  await world.cli(['umount', world.mnt]);
  expect(await world.cli(['logout', 'work', '--purge'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/nothing was removed, because 1 content is stored nowhere else/),
  });
  expect(kept()).toEqual(all);
  world.sandbox.faults.clear();
  await world.mount();
  await world.cli(['uploads', 'retry']);
  await world.untilWaiting(0, 0);
  await world.umount();
  writeFileSync(join(world.directory, 'state/log/work.log.1'), 'an older one\n');
  expect(await world.cli(['logout', 'work', '--purge'])).toMatchObject({
    code: 0,
    stdout: "Removed what this machine had of 'work', and its credentials.\n",
  });
  expect(kept()).toEqual([]);
  expect(`${await world.sandbox.store.readFile('/new.txt')}`).toBe('precious\n');

  await world.signIn();
  await world.mount();
  world.sandbox.faults.add({ method: 'POST', action: { kind: 'status', status: 403 } });
  await world.sh('echo given up > other.txt');
  await world.cli(['umount', '--force', world.mnt]);
  expect((await world.cli(['logout', 'work', '--purge', '--force'])).code).toBe(0);
  expect(kept()).toEqual([]);
});

it('Ctrl-C in umount says where things stand, and the mount ends when it is done', async () => {
  const world = await createWorld();
  await world.mount('--write-back');
  world.sandbox.faults.add({ host: 'upload', action: { kind: 'stall', ms: 600_000 } });
  await world.out('head -c 3000 /dev/zero > waiting.bin');
  const { pid } = await world.status();
  const ending = world.start('cd /; exec $SYNCMOUNT umount "$MNT"');
  let told = '';
  ending.child.stderr?.on('data', (data: Buffer) => {
    told += data;
  });
  await expect.poll(() => told).toMatch(/uploading: 1 file,/);
  ending.child.kill('SIGINT');
  expect(await ending.ended).toMatchObject({
    code: 130,
    stderr: expect.stringMatching(
      /not waiting any longer: 1 file is still to be stored \(2\.9 KiB\), then .* is unmounted/,
    ),
  });
  world.sandbox.faults.clear();
  await expect.poll(() => lifeOf(pid), { timeout: 60_000 }).toBe('gone');
  expect(world.sandbox.store.stat('/waiting.bin')?.size).toBe(3000);
});
