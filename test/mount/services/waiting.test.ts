/** A first mount while the service is down: the mount knows nothing yet that it could show. */
import { spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eachService, openWorld } from '../subjects.js';
import { cleanUpWorlds, createWorld } from '../world.js';

/** script(1) of util-linux gives a program a terminal. */
const hasTerminal = spawnSync('script', ['--version']).status === 0;

describe.each(eachService(1))('a first mount of $provider that is down', (subject) => {
  cleanUpWorlds();

  it('fails with one line that names the provider and the account', async () => {
    const world = await openWorld(subject);
    await world.sandbox.close();
    const { code, stderr } = await world.cli(['mount', 'work:', world.mnt, '--deadline', '2s']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^syncmount: ${subject.provider} cannot be asked for the account 'work' \\([^\\n]+\\)\\n$`),
    );
  });
});

describe.skipIf(!hasTerminal)('at a terminal (needs script of util-linux)', () => {
  cleanUpWorlds();

  it('a mount that takes longer than two seconds says what it waits for', async () => {
    const world = await createWorld();
    const mount = (): Promise<string> => {
      const command = [
        process.execPath,
        resolve('bin/syncmount.js'),
        'mount',
        'work:',
        world.mnt,
        '--deadline',
        '5s',
      ].join(' ');
      const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env: world.env });
      let said = '';
      child.stdout.on('data', (data) => {
        said += data;
      });
      return new Promise((end) => child.on('close', () => end(said)));
    };
    world.sandbox.faults.add({ route: '^GET /user$', action: { kind: 'stall', ms: 60_000 } });
    // On a slow machine the program itself takes longer than two seconds to start: then that is told before.
    expect(await mount()).toMatch(
      /^(syncmount: waiting for the mount to start; Ctrl-C ends it\s+)?syncmount: waiting for 4shared to answer for the account 'work'; Ctrl-C ends it\s+syncmount: 4shared cannot be asked/,
    );
  });
});
