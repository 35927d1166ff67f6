/** The commands as a person sees them if mounts are dead, hang, or have other names, and if nobody reads the output. */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { lifeOf } from '../../../src/base/processes.js';
import type { AnySandboxOptions } from '../../../src/sandbox/index.js';
import { long } from '../../support/extent.js';
import { cleanUpWorlds, createServiceWorld, createWorld, type Outcome, type World } from '../world.js';

/** Two accounts, mounted on `mnt` and on `other`. */
async function twoMounts(): Promise<{ world: World; other: string }> {
  const world = await createWorld();
  await world.signIn('home');
  const other = join(world.directory, 'other');
  await mkdir(other);
  await world.mount();
  const { code, stderr } = await world.cli(['mount', 'home:', other]);
  if (code !== 0) throw new Error(stderr);
  return { world, other };
}

/** Kills the process of a mount, and answers the file of its entry. */
async function killed(world: World, mountpoint: string): Promise<string> {
  const entry = world.registry.find(mountpoint);
  if (entry === undefined) throw new Error('not mounted');
  await world.out(`kill -9 ${entry.pid}; while [ -e /proc/${entry.pid}/exe ]; do sleep 0.05; done`);
  return entryFile(world, mountpoint);
}

async function entryFile(world: World, mountpoint: string): Promise<string> {
  const directory = join(world.directory, 'state/mounts');
  for (const name of await readdir(directory)) {
    const file = join(directory, name);
    if (name.endsWith('.json') && JSON.parse(await readFile(file, 'utf8')).mountpoint === mountpoint) return file;
  }
  throw new Error('no entry');
}

async function change(file: string, facts: object): Promise<void> {
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...facts }));
}

/** A process of another program. */
function stranger(): number {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child.pid as number;
}

describe('a mount whose process has died', () => {
  cleanUpWorlds();

  const deaths = {
    'and whose number no process has': async () => undefined,
    'and whose number another process has got': async (file: string) => change(file, { pid: stranger() }),
    'and whose number another process has got, in an entry of an earlier version': async (file: string) =>
      change(file, { pid: stranger(), mark: undefined }),
    'and whose entry is damaged': async (file: string) => writeFile(file, '{"mountpoint": "/'),
    'and whose entry names no process': async (file: string) => change(file, { pid: 0 }),
  };

  it(`${Object.keys(deaths).join(', ')}: hides no other, and is mounted again`, long, async () => {
    const { world, other } = await twoMounts();
    for (const [how, die] of Object.entries(deaths)) {
      await die(await killed(world, other));
      const [named, json, uploads, gone] = await Promise.all(
        [['status'], ['status', '--json'], ['uploads'], ['status', other]].map((command) => world.cli(command)),
      );
      expect([how, named]).toMatchObject([how, { code: 0, stdout: expect.stringContaining(world.mnt) }]);
      const listed = JSON.parse(json?.stdout ?? '');
      expect([how, ...listed.map(({ mountpoint }: { mountpoint: string }) => mountpoint)]).toEqual([how, world.mnt]);
      expect([how, uploads]).toMatchObject([how, { code: 0, stdout: 'Everything is stored.\n' }]);
      expect([how, gone?.code]).toEqual([how, 1]);
      expect([how, await world.cli(['mount', 'home:', other])]).toMatchObject([how, { code: 0, stderr: '' }]);
    }
    expect(await world.cli(['umount', other])).toMatchObject({ code: 0 });
    expect(await world.cli(['umount', world.mnt])).toMatchObject({ code: 0 });
  });

  it('is named by status, uploads and doctor, with what clears it', async () => {
    const { world, other } = await twoMounts();
    await change(await killed(world, other), { pid: stranger() });
    const mends = `'syncmount umount ${other}' clears it`;
    expect((await world.cli(['status'])).stderr).toContain(mends);
    expect((await world.cli(['uploads'])).stderr).toContain(mends);
    expect((await world.cli(['doctor'])).stdout).toContain(mends);
    expect(await world.cli(['umount', other])).toMatchObject({ code: 0, stdout: expect.stringMatching(/cleared/) });
  });

  it('and one that hangs hide no other', long, async () => {
    const { world, other } = await twoMounts();
    // A listener that never answers, like a stopped process.
    const socket = join(world.directory, 'silent.sock');
    const server = createServer(() => undefined);
    await new Promise<void>((listening) => server.listen(socket, listening));
    onTestFinished(() => void server.close());
    await change(await entryFile(world, other), { socket });
    const { code, stdout, stderr } = await world.cli(['status']);
    expect([code, stdout]).toEqual([1, expect.stringContaining(world.mnt)]);
    expect(stderr).toBe(`syncmount: ${other}: the mount has not answered for 10 s\n`);
  });
});

describe('a mount whose process is stopped', () => {
  cleanUpWorlds();

  it('is told by status and mount, and goes by force', long, async () => {
    const world = await createWorld();
    await world.mount();
    const { pid } = await world.status();
    process.kill(pid, 'SIGSTOP');
    try {
      const silent = /the mount has not answered for 10 s/;
      const [status, mount, umount] = await Promise.all([
        world.cli(['status', join(world.mnt, 'sub')]),
        world.cli(['mount', 'work:', world.mnt]),
        world.cli(['umount', world.mnt]),
      ]);
      expect(status).toMatchObject({ code: 1, stderr: expect.stringMatching(silent) });
      expect(mount.stderr).toMatch(/it is in use/);
      expect([umount.code, umount.stderr]).toEqual([
        1,
        expect.stringMatching(/process \d+ has not answered for 10 s; umount --force/),
      ]);
      expect(await readFile('/proc/mounts', 'utf8')).toContain(world.mnt);
      const forced = await world.cli(['umount', '--force', world.mnt]);
      expect([forced.code, forced.stderr]).toEqual([0, expect.stringMatching(/process \d+ does not answer/)]);
      expect(await readFile('/proc/mounts', 'utf8')).not.toContain(world.mnt);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expect.poll(() => lifeOf(pid)).toBe('gone');
  });
});

describe('a mount can be named', () => {
  cleanUpWorlds();
  let world: World;
  let other: string;
  beforeEach(async () => {
    ({ world, other } = await twoMounts());
  });
  const mountpointIn = (outcome: Outcome): string => JSON.parse(outcome.stdout).mountpoint;

  it('by its account, and by anything below it', long, async () => {
    await world.out('mkdir -p a/b && echo x > a/b/file && ln -s "$MNT/a" "$TOP/link"');
    const names = [
      'work:',
      world.mnt,
      join(world.mnt, 'a/b'),
      join(world.mnt, 'a/b/file'),
      join(world.directory, 'link/b'),
    ];
    for (const name of names) expect(mountpointIn(await world.cli(['status', name, '--json']))).toBe(world.mnt);
    expect(mountpointIn(await world.cli(['status', 'home:', '--json']))).toBe(other);
    expect(await world.cli(['uploads', 'list', join(world.mnt, 'a')])).toMatchObject({ code: 0 });
    expect(await world.cli(['uploads', 'export', 'work:', join(world.directory, 'out')])).toMatchObject({ code: 0 });
    expect(await world.cli(['umount', join(world.mnt, 'a/b')])).toMatchObject({ code: 0, stderr: '' });
    expect(await world.cli(['umount', 'home:'])).toMatchObject({ code: 0, stderr: '' });
    expect(await world.out('grep -c "$TOP" /proc/mounts || true')).toBe('0');
    expect(await world.cli(['umount', 'home:'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is not mounted/),
    });
    expect((await world.cli(['status', world.directory])).stderr).toBe(
      `syncmount: ${world.directory} is not mounted\n`,
    );
  });

  it('but another file system within it is none of ours', async () => {
    await world.out('mkdir inner && mount -t tmpfs none inner');
    const { code, stderr } = await world.cli(['umount', join(world.mnt, 'inner')]);
    await world.out('umount inner');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/inner is not a mount of syncmount \(tmpfs\)/)]);
    expect(await world.cli(['status', world.mnt])).toMatchObject({ code: 0 });
  });
});

describe('an umount whose answer is late or lost', () => {
  cleanUpWorlds();

  /** `umount` as the mount's process finds it: it unmounts, and then `more` happens. */
  async function withUmount(more: string): Promise<World> {
    const world = await createWorld({ binding: 'native' });
    const script = `#!/bin/sh\nPATH=${process.env.PATH}\numount "$@" || exit\n${more}\n`;
    await mkdir(join(world.directory, 'bin'));
    await writeFile(join(world.directory, 'bin/umount'), script, { mode: 0o755 });
    world.env.PATH = `${join(world.directory, 'bin')}:${process.env.PATH}`;
    return world;
  }

  it('is no error: the mount was away for a while before umount(8) came back', async () => {
    const world = await withUmount('sleep 5');
    await world.mount();
    await world.out('echo x > file');
    expect(await world.cli(['umount', world.mnt])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await world.out('grep -c "$TOP" /proc/mounts || true')).toBe('0');
  });

  it('writes nothing into the log of what was still to be asked after a walk', async () => {
    const world = await createWorld();
    for (let n = 0; n < 40; n++) await world.sandbox.store.putFile(`/d${n}/file`, 'x');
    await world.mount('--dir-ttl', '10ms');
    await world.out('find . | wc -l');
    await world.umount();
    await world.mount('--dir-ttl', '10ms');
    world.sandbox.settings.latencyMs = 20_000;
    const before = world.sandbox.log.entries().length;
    expect(await world.out('find . | wc -l')).toBe('81');
    // The mount asks again for the first of the listings that it served.
    await expect.poll(() => world.sandbox.log.entries().length).toBeGreaterThan(before);
    await world.umount();
    expect(await world.log()).not.toContain('serving an older listing');
  });

  it('is none either where the process died meanwhile; the journal tells what is not stored', async () => {
    const world = await withUmount('kill -9 $PPID');
    await world.mount();
    await world.out('echo x > file');
    expect(await world.cli(['umount', world.mnt])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    await world.mount('--write-back');
    world.sandbox.faults.add({ host: 'upload', action: { kind: 'status', status: 403, code: '403.0302' } });
    await world.out('echo y > another; until $SYNCMOUNT uploads | grep -q ^failed; do sleep 0.1; done');
    const { code, stderr } = await world.cli(['umount', world.mnt]);
    expect([code, stderr]).toEqual([3, expect.stringMatching(/unmounted, but 1 contents are not stored/)]);
  });
});

describe('SIGHUP', () => {
  cleanUpWorlds();

  it('opens the log anew, and the mount goes on', async () => {
    const world = await createWorld();
    await world.mount();
    const { pid } = await world.status();
    const log = join(world.directory, 'state/log/work.log');
    await world.out(`mv '${log}' '${log}.1' && kill -HUP ${pid}; until [ -e '${log}' ]; do sleep 0.05; done`);
    await world.out('echo x > file && cat file');
    expect((await world.status()).pid).toBe(pid);
    await world.umount();
    expect(await world.log()).toContain('"unmounted"');
    expect(await readFile(`${log}.1`, 'utf8')).not.toContain('"unmounted"');
  });
});

describe('a state directory with a long path', () => {
  cleanUpWorlds();

  it('has its control sockets in it, and nothing of it lies in a directory that others write to', async () => {
    const world = await createWorld();
    const state = join(world.directory, 'deep'.repeat(30));
    await world.out(`mkdir "$TOP/tmp" && mv "$TOP/state" '${state}' 2>/dev/null || mkdir '${state}'`);
    Object.assign(world.env, { SYNCMOUNT_STATE_DIR: state, TMPDIR: join(world.directory, 'tmp') });
    await world.mount();
    expect(await world.cli(['status', world.mnt])).toMatchObject({ code: 0, stderr: '' });
    expect(await readdir(join(world.directory, 'tmp'))).toEqual([]);
    expect((await readdir(join(state, 'mounts'))).filter((name) => name.endsWith('.sock'))).toHaveLength(1);
    expect(await world.cli(['umount', world.mnt])).toMatchObject({ code: 0, stderr: '' });
    expect(await readdir(join(state, 'mounts'))).toEqual([]);
  });
});

describe('output that nobody takes', () => {
  cleanUpWorlds();

  it(
    'ends every command: without a word where the reader has gone, with one line where the disk is full',
    long,
    async () => {
      const world = await createWorld();
      await world.mount();
      const commands = [
        'status',
        'status --json',
        'status --watch',
        'uploads',
        'accounts',
        'doctor',
        '--help',
        'mount --help',
      ];
      for (const command of commands) {
        // The reader leaves before the first line.
        const gone = await world.sh(
          `(while [ ! -e "$TOP/go" ]; do sleep 0.02; done; $SYNCMOUNT ${command}) | (exec <&-; touch "$TOP/go")`,
        );
        expect([command, gone.code, gone.stderr]).toEqual([command, 0, '']);
        const full = await world.sh(`$SYNCMOUNT ${command} > /dev/full`);
        expect([command, full.code, full.stderr]).toEqual([
          command,
          1,
          expect.stringMatching(/^syncmount: cannot write to standard output: ENOSPC[^\n]*\n$/),
        ]);
      }
      expect((await world.sh('$SYNCMOUNT status --watch | head -1')).stderr).toBe('');
      expect((await world.sh('$SYNCMOUNT status "$TOP/nowhere" 2> /dev/full')).code).toBe(1);
    },
  );

  it('is no reason to end a mount in the foreground', async () => {
    const world = await createWorld();
    const mounted = world.start('cd /; $SYNCMOUNT mount -f work: "$MNT" > /dev/full');
    await expect.poll(() => world.registry.find(world.mnt)).toBeDefined();
    await world.out('echo x > file && cat file');
    await world.umount();
    expect((await mounted.ended).code).toBe(0);
  });
});

/** What a terminal would obey; line breaks and tabs are told apart by what is on the lines. */
const obeyed = /[^\P{Cc}\n\t]|\p{Bidi_Control}/u;

describe('names, labels and messages of others', () => {
  cleanUpWorlds();
  const nasty = 'a\x1b[2J\x9b31m\u202e\nsyncmount: all is well';

  it('reach the terminal as text, in every command that prints them', async () => {
    const world = await createWorld();
    await world.mount('--write-back', '--deadline', '2s');
    const refusal = { kind: 'status', status: 403, code: `403.0302${nasty}`, message: nasty } as const;
    world.sandbox.faults.add({ host: 'upload', action: refusal });
    const name = "$(printf 'n\\x1b[2J\\nx')";
    await world.out(`printf x > "${name}"; until $SYNCMOUNT uploads | grep -q ^failed; do sleep 0.1; done`);
    const commands = [
      ['status'],
      ['status', '--json'],
      ['uploads'],
      ['uploads', '--json'],
      ['uploads', 'discard'],
      ['uploads', 'discard', 'no\x1b[2Jne'],
      ['status', '/no\x1b[2J\nne'],
      ['mount', 'no\x1b[2J\nne:', '/nowhere'],
      ['umount', world.mnt],
    ];
    for (const command of commands) {
      const { stdout, stderr } = await world.cli(command);
      expect(stdout + stderr).not.toMatch(obeyed);
      expect(stdout + stderr).not.toMatch(/^syncmount: all is well/m);
      if (command[0] === 'umount') expect(stderr).toContain('n\\x1b[2J\\nx');
    }
    expect(await world.log()).toContain('\\u001b[2J');
    expect(await world.log()).not.toMatch(obeyed);
  });

  it('nor does the name of an account at its service, at the login and later', async () => {
    const known = { username: nasty, password: 'correct horse', clientId: 'client', clientSecret: 'client-secret' };
    const world = await createServiceWorld({ provider: 'acronis', credentials: known } as AnySandboxOptions, true);
    const commands = [
      () => world.login(),
      () => world.cli(['accounts']),
      () => world.cli(['accounts', '--json']),
      () => world.cli(['doctor']),
    ];
    for (const command of commands) {
      const { code, stdout } = await command();
      expect(code).toBe(0);
      expect(stdout).not.toMatch(obeyed);
      expect(stdout).not.toMatch(/^syncmount: all is well/m);
      expect(stdout).toMatch(/a\\(x1b|u001b)\[2J/);
    }
  });
});
