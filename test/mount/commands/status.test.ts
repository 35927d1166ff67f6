/** `syncmount status` for people: transfers in flight with their rates, and a view that is redrawn in place on a terminal. */
import { spawn, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { cleanUpWorlds, createWorld } from '../world.js';

const MIB = 1024 * 1024;

/** script(1) of util-linux gives a program a terminal. */
const hasTerminal = spawnSync('script', ['--version']).status === 0;

/** xterm's sequences: the second screen without a cursor, and back. */
const enter = '\u001b[?1049h\u001b[?25l';
const leave = '\u001b[?25h\u001b[?1049l';

cleanUpWorlds();

it('tells of an upload and of a download how far they are, how fast, and for how long yet', long, async () => {
  const world = await createWorld();
  await world.sandbox.store.generate('/film.bin', 40 * MIB);
  await world.mount('--write-back');
  await world.out('ls');
  const slow = { kind: 'slow', bytesPerSecond: MIB } as const;
  world.sandbox.faults.add({ route: 'download', action: slow });
  const reading = world.start('cat film.bin > /dev/null');
  await expect
    .poll(async () => (await world.status()).downloads)
    .toMatchObject([{ path: '/film.bin', size: 40 * MIB }]);
  await expect.poll(async () => (await world.status()).transferred.received).toBeGreaterThan(0);
  const { stdout } = await world.cli(['status']);
  expect(stdout).toMatch(/^ {2}state {5}downloading$/m);
  expect(stdout).toMatch(/^ {2}download {2}1 file, [\d.]+ [KM]iB\/s$/m);
  expect(stdout).toMatch(/^ {4}\/film\.bin {2}[\d.]+ [KM]iB of 40\.0 MiB, \d+%, [\d.]+ [KM]iB\/s, .* left$/m);
  reading.child.kill('SIGKILL');
  world.sandbox.faults.clear();
  await reading.ended;

  world.sandbox.faults.add({ method: 'POST', action: { kind: 'stall', ms: 600_000 } });
  await world.out('head -c 3000000 /dev/zero > new.bin');
  await expect
    .poll(async () => (await world.cli(['status'])).stdout)
    .toMatch(/^ {4}uploading {2}\/new\.bin {2}.* of 2\.9 MiB, \d+%/m);
  world.sandbox.faults.clear();
  await world.untilWaiting(0, 0);
  expect((await world.status()).transferred.sent).toBeGreaterThanOrEqual(3_000_000);
  expect((await world.cli(['status'])).stdout).toMatch(/^ {2}state {5}everything is stored$/m);
});

it('tells what failed and what to do', async () => {
  const world = await createWorld();
  await world.mount();
  world.sandbox.faults.add({ method: 'POST', action: { kind: 'status', status: 403, code: '403.0100' } });
  await world.sh('echo x > full.txt');
  const { stdout } = await world.cli(['status']);
  expect(stdout).toMatch(/^ {2}state {5}1 file not stored: see below$/m);
  expect(stdout).toMatch(/^ {4}FAILED {2}\/full\.txt {2}2 B {2}ENOSPC: /m);
  expect(stdout).toContain('ENOSPC: the account is full, or the disk of this machine.');
  expect(stdout).toContain(`syncmount uploads retry ${world.mnt}`);
  world.sandbox.faults.clear();
  await world.cli(['uploads', 'retry']);
  await world.untilWaiting(0, 0);
});

it('says since when the service does not answer, and that it does again', async () => {
  const world = await createWorld();
  await world.mount('--deadline', '1s', '--dir-ttl', '1s');
  await world.out('echo x > f.txt');
  const status = async (): Promise<string> => (await world.cli(['status'])).stdout;
  expect(await status()).toMatch(/^ {2}state {5}everything is stored$/m);
  const before = Date.now();
  world.sandbox.faults.add({ action: { kind: 'status', status: 503 } });
  await world.sh('echo y > g.txt');
  expect(await status()).toMatch(/^ {2}state {5}offline, /m);
  expect(await status()).toMatch(/^ {2}OFFLINE {3}4shared has not answered since .*: it answers with 503$/m);
  expect((await world.status()).outage?.since).toBeGreaterThanOrEqual(before);
  world.sandbox.faults.clear();
  await world.cli(['uploads', 'retry']);
  await world.untilWaiting(0, 0);
  expect(await status()).toMatch(/^ {2}state {5}everything is stored$/m);
});

it('--watch without a terminal repeats its lines, and ends with the mount that was named', async () => {
  const world = await createWorld();
  await world.mount();
  const watching = world.start('cd /; exec $SYNCMOUNT status --watch "$MNT"');
  let said = '';
  watching.child.stdout?.on('data', (data: Buffer) => {
    said += data;
  });
  await expect.poll(() => said.split('everything is stored').length).toBeGreaterThan(2);
  expect(said).not.toContain('\u001b');
  await world.umount();
  expect(await watching.ended).toMatchObject({ code: 1, stderr: expect.stringMatching(/is not mounted|has died/) });
});

describe.skipIf(!hasTerminal)('on a terminal (needs script of util-linux)', () => {
  it('--watch draws in place in the second screen, follows its size, and gives the first one back at Ctrl-C', async () => {
    const world = await createWorld();
    await world.mount();
    const watch = `'${process.execPath}' '${resolve('bin/syncmount.js')}' status --watch`;
    const script = join(world.directory, 'watch.sh');
    await writeFile(script, `trap : INT; tty; stty rows 30 cols 100; ${watch}; echo "status $?"`);
    const terminal = spawn('script', ['--quiet', '--return', '--command', `sh '${script}'`, '/dev/null'], {
      env: world.env,
    });
    let said = '';
    terminal.stdout.on('data', (data: Buffer) => {
      said += data;
    });
    const ended = new Promise((end) => terminal.on('close', end));
    await expect.poll(() => said).toMatch(/requests/);
    expect(said.slice(said.indexOf(enter))).toMatch(/work: \(4shared\)/);
    await expect.poll(() => said.split('everything is stored').length).toBeGreaterThan(2);
    const tty = /\/dev\/\S+/.exec(said)?.[0];
    const before = said.length;
    await world.shell(`stty -F ${tty} rows 4 cols 40`);
    await expect.poll(() => said.slice(before)).toMatch(/and \d+ more lines/);
    terminal.stdin.write('\u0003');
    await ended;
    // It redraws without clearing first, so it does not flicker.
    expect(said).not.toContain('\u001b[2J');
    const [, after = ''] = said.split(leave);
    expect(after).toMatch(/status 0/);
  });
});
