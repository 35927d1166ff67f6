import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { long } from '../../support/extent.js';
import { cleanUpWorlds, createWorld, type Outcome, type World } from '../world.js';

describe('bad input gives one clear line and leaves nothing behind', () => {
  cleanUpWorlds();
  let world: World;
  beforeEach(async () => {
    world = await createWorld({ loggedOut: true });
  });

  const oneLine = (outcome: Outcome, message: RegExp, code = 1): void => {
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).toMatch(/^syncmount: [^\n]+\n$/);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).not.toContain(world.sandbox.credentials.consumerSecret);
  };
  const login = (credentials: unknown): Promise<Outcome> => world.login('work', credentials);
  const endpoints = (api: string): string[] => ['--endpoint', `api=${api}`, '--endpoint', `upload=${api}`];

  it('a login that does not get through stores nothing', async () => {
    const { credentials } = world.sandbox;
    oneLine(await login({ ...credentials, tokenSecret: 'wrong' }), /refuses these credentials/);
    oneLine(await login({ ...credentials, consumerSecret: undefined }), /consumerSecret/, 2);
    oneLine(await login('{"consumerKey": '), /not a JSON object/);
    oneLine(await login('[1, 2]'), /not a JSON object/);
    oneLine(
      await world.cli(['login', 'work', '--provider', '4shared', '--credentials', '/nowhere']),
      /cannot read .*ENOENT/,
    );
    oneLine(
      await world.cli(['login', 'work', '--provider', 'dropbox', '--credentials', '-']),
      /no provider "dropbox"/,
      2,
    );
    oneLine(await world.cli(['login', 'a/b', '--provider', '4shared', '--credentials', '-']), /no account name/, 2);
    oneLine(await world.cli(['login', 'work']), /--provider/, 2);
    expect((await world.cli(['accounts'])).stdout).toMatch(/No accounts yet/);
  });

  it('an endpoint must be reachable, known, and encrypted unless it is on this machine', long, async () => {
    const credentials = JSON.stringify(world.sandbox.credentials);
    const at = (...flags: string[]): Promise<Outcome> =>
      world.cli(['login', 'work', '--provider', '4shared', '--credentials', '-', ...flags], credentials);
    oneLine(await at(...endpoints('http://127.0.0.1:1/v1_2')), /cannot be asked/);
    oneLine(await at(...endpoints('http://example.com/v1_2')), /http/, 2);
    oneLine(await at(...endpoints('http://127.0.0.1:1/v2')), /v1_2/, 2);
    oneLine(await at('--endpoint', 'nothing'), /KEY=URL/, 2);
    oneLine(await at('--endpoint', 'download=http://127.0.0.1:1/v1_2'), /no endpoint "download"/, 2);
    expect((await world.cli(['accounts', '--json'])).stdout).toBe('[]\n');
  });

  it('an account that is not there is named, with those that are', async () => {
    oneLine(await world.cli(['mount', 'nobody:', world.mnt]), /unknown account 'nobody'.*no account is known/);
    await world.login();
    oneLine(await world.cli(['mount', 'nobody:', world.mnt]), /unknown account 'nobody'.*known accounts: work/);
    oneLine(await world.cli(['logout', 'nobody']), /unknown account/);
    oneLine(await world.cli(['mount', 'work', world.mnt]), /colon/, 2);
  });

  it('a mountpoint must be an empty directory that nothing is mounted on', long, async () => {
    await world.login();
    const mountAt = (path: string): Promise<Outcome> => world.cli(['mount', 'work:', path]);
    const file = join(world.directory, 'file');
    const full = join(world.directory, 'full');
    await writeFile(file, '');
    await mkdir(full);
    await writeFile(join(full, 'something'), '');
    oneLine(await mountAt(join(world.directory, 'missing')), /does not exist.*mkdir -p/);
    oneLine(await mountAt(file), /not a directory/);
    oneLine(await mountAt(full), /not empty/);
    await world.mount();
    oneLine(await mountAt(world.mnt), /in use/);
    await world.umount();
  });

  it('a wrong secret found at mount time names the login command', async () => {
    await world.login();
    world.sandbox.tokens.revoke();
    oneLine(await world.cli(['mount', 'work:', world.mnt]), /run 'syncmount login work --provider 4shared'/);
    expect(await world.out('grep -c "$TOP" /proc/mounts || true')).toBe('0');
  });

  it('a server that is gone is reported within the deadline, and nothing stays mounted', async () => {
    await world.login();
    await world.sandbox.close();
    oneLine(await world.cli(['mount', 'work:', world.mnt, '--deadline', '2s']), /\S/);
    expect(await world.out('grep -c "$TOP" /proc/mounts || true')).toBe('0');
    expect((await world.cli(['status', '--json'])).stdout).toBe('[]\n');
  });

  it('options that are unknown or make no sense are refused', long, async () => {
    await world.login();
    const mountWith = (...flags: string[]): Promise<Outcome> => world.cli(['mount', 'work:', world.mnt, ...flags]);
    oneLine(await mountWith('--nonsense'), /unknown option '--nonsense'/, 2);
    oneLine(await mountWith('-o', 'nonsense=1'), /unknown option 'nonsense'/, 2);
    oneLine(await mountWith('-o', 'rw,remount'), /option 'remount' is not taken: unmount, and mount again/, 2);
    oneLine(await mountWith('--cache-size', 'big'), /--cache-size: 'big' is not a size/, 2);
    oneLine(await mountWith('--dir-ttl', '-5'), /--dir-ttl/, 2);
    oneLine(await mountWith('--umask', '999'), /--umask: '999'/, 2);
    oneLine(await mountWith('--delete', 'maybe'), /none of trash, permanent/, 2);
    oneLine(await world.cli(['frobnicate']), /unknown command/, 2);
    oneLine(await world.cli(['umount', world.mnt]), /is not mounted/);
    oneLine(await world.cli(['status', world.mnt]), /is not mounted/);
  });

  it('a damaged account file or config file is named', async () => {
    await world.login();
    await writeFile(join(world.directory, 'config/config.toml'), '[mount]\ncache-size = [1]\n');
    oneLine(await world.cli(['mount', 'work:', world.mnt]), /config\.toml: cache-size has no plain value/, 2);
    await writeFile(join(world.directory, 'config/config.toml'), '[mount\n');
    oneLine(await world.cli(['mount', 'work:', world.mnt]), /config\.toml/, 2);
    await writeFile(join(world.directory, 'config/config.toml'), '[mounts]\nread-only = true\n');
    oneLine(await world.cli(['mount', 'work:', world.mnt]), /config\.toml: there is no section \[mounts\]/, 2);
    await writeFile(join(world.directory, 'config/config.toml'), '');
    await writeFile(join(world.directory, 'config/accounts/work.json'), '{"provider": "4shared", "secret');
    oneLine(await world.cli(['mount', 'work:', world.mnt]), /work\.json is damaged/);
  });

  it('every command explains itself', long, async () => {
    for (const command of [
      'login',
      'logout',
      'accounts',
      'mount',
      'umount',
      'status',
      'uploads',
      'sandbox',
      'doctor',
      'completion',
      'help',
    ]) {
      const { code, stdout, stderr } = await world.cli([command, '--help']);
      expect([code, stderr, stdout]).toEqual([
        0,
        '',
        expect.stringMatching(new RegExp(`^Usage: syncmount ${command}`)),
      ]);
    }
    expect((await world.cli([])).stdout).toMatch(/^Usage: syncmount/);
  });

  it('doctor tells what is in order and what is not', long, async () => {
    await world.login();
    expect(await world.cli(['doctor'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ok {4}account work: 4shared/),
    });
    await world.sandbox.close();
    expect(await world.cli(['doctor'])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/FAIL {2}account work/),
    });
  });
});
