/** The log of a mount: its content, its place, and the command that shows it. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { cleanUpWorlds, createWorld, type World } from '../world.js';

describe('the log of a mount', () => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await createWorld();
  });
  const log = async (...args: string[]): Promise<string[]> => {
    const { code, stdout, stderr } = await world.cli(['log', ...args]);
    expect([code, stderr]).toEqual([0, '']);
    return stdout.trimEnd().split('\n');
  };

  it('is read by the account, the mountpoint, and a path below it, with or without the mount', async () => {
    await world.mount();
    world.sandbox.faults.add({ host: 'upload', action: { kind: 'status', status: 403, code: '403.0100' } });
    await world.sh(`echo x > $'a\\e[2Jb'`);
    const [mounted, failed = '', ...rest] = await log('work:');
    expect(mounted).toMatch(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d info {2}mounted {2}account=work mountpoint=\//);
    expect(failed).toMatch(/ error \/a\\{1,2}x1b\[2Jb is not stored: .* errno=ENOSPC/);
    expect(await log(join(world.mnt, 'deeper'))).toEqual([mounted, failed, ...rest]);
    expect(await log()).toEqual([mounted, failed, ...rest]);
    expect(await log('work:', '--level', 'error', '-n', '1')).toEqual([
      [failed, ...rest].findLast((line) => line.includes(' error ')),
    ]);
    expect(JSON.parse((await log('work:', '--json'))[0] ?? '')).toMatchObject({ msg: 'mounted', account: 'work' });
    await world.cli(['umount', world.mnt]);
    for (const target of [[world.mnt], ['work:'], []])
      expect((await log(...target)).at(-1)).toMatch(/ info {2}unmounted /);
    expect(await log('work:', '--since', '1h')).toHaveLength((await log('work:')).length);
    expect((await world.cli(['log', 'work:', '--since', '2099-01-01'])).stdout).toBe('');
  });

  it.each([
    [['log', '/nowhere'], 1, /no log tells of it/],
    [['log', 'work:'], 1, /there is no log .*work\.log yet/],
    [['log', 'wrok:'], 1, /unknown account 'wrok'/],
    [['log'], 1, /nothing is mounted, and no account has a log/],
    [['log', 'work:', '--level', 'loud'], 2, /none of debug, info, warn, error/],
    [['log', 'work:', '--since', 'once'], 2, /neither a time ago/],
    [['log', 'work:', '-n', 'many'], 2, /not a number of lines/],
  ] as const)('%j says in one line what is wrong', async (args, code, why) => {
    const told = await world.cli([...args]);
    expect([told.code, told.stderr]).toEqual([code, expect.stringMatching(why)]);
    expect(told.stderr.trimEnd()).not.toContain('\n');
  });

  it('is in several files of a size, of which `log` makes one', async () => {
    for (let at = 0; at < 4; at++) {
      await world.mount('--log-max-size', '300B', '--log-keep', '3');
      await world.umount();
    }
    expect((await readdir(join(world.directory, 'state/log'))).toSorted()).toEqual([
      'work.log',
      'work.log.1',
      'work.log.2',
    ]);
    const times = (await log('work:')).map((line) => line.slice(0, 19));
    expect(times).toEqual(times.toSorted());
    expect((await log('work:')).at(-1)).toContain('unmounted');
  });

  it('is followed over logrotate and over the end of the mount', async () => {
    await world.mount();
    const { pid } = await world.status();
    const file = join(world.directory, 'state/log/work.log');
    const following = world.start('cd / && exec $SYNCMOUNT log --follow work:');
    let seen = '';
    following.child.stdout?.on('data', (data: Buffer) => {
      seen += data;
    });
    await expect.poll(() => seen).toMatch(/ mounted /);
    await world.out(`mv '${file}' '${file}.1' && kill -HUP ${pid}; until [ -e '${file}' ]; do sleep 0.05; done`);
    await world.umount();
    await expect.poll(() => seen).toMatch(/ mounted .*\n.* unmounted /);
    following.child.kill('SIGINT');
    await following.ended;
  });

  it('is text for people where the mount stays in the foreground, and has priorities in the journal', async () => {
    // The mount obeys signals only after it has said that it is mounted.
    const endOf = (file: string): string =>
      `until grep -q 'mounted  ' "$TOP/${file}"; do sleep 0.05; done; kill -INT %1; wait %1; cat "$TOP/${file}"`;
    const shown = await world.shell(`set -m; $SYNCMOUNT mount -f work: "$MNT" 2> "$TOP/errors" & ${endOf('errors')}`);
    expect(shown).toMatch(/^20\d\d-\S+ \S+ info {2}mounted {2}account=work/m);
    const inJournal = `: > "$TOP/journal"; export JOURNAL_STREAM=$(stat -c %d:%i "$TOP/journal")`;
    const journal = await world.shell(
      `set -m; ${inJournal}; $SYNCMOUNT mount -f work: "$MNT" 2>> "$TOP/journal" & ${endOf('journal')}`,
    );
    expect(journal).toMatch(/^<6>mounted {2}account=work/m);
    expect((await world.cli(['log', 'work:'])).stderr).toMatch(/there is no log/);
  });
});
