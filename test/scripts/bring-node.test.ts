/** What scripts do on a machine without a Node.js that the program runs on: scripts/lib.sh, with a registry of this test. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const processor = process.arch;
let top: string;

function program(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** A package of the registry; answers its integrity. */
function publish(name: string, file: string, text: string): string {
  const folder = join(top, 'made', name);
  program(join(folder, 'package', file), text);
  const archive = join(top, 'registry', `${name}-1.2.3.tgz`);
  mkdirSync(join(top, 'registry'), { recursive: true });
  execFileSync('tar', ['-czf', archive, '-C', folder, 'package']);
  return `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
}

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'syncmount-node-'));
  mkdirSync(join(top, 'scripts'), { recursive: true });
  cpSync('scripts/lib.sh', join(top, 'scripts/lib.sh'));
  const parts = {
    [`node-linux-${processor}`]: {
      version: '1.2.3',
      integrity: publish(`node-linux-${processor}`, 'bin/node', 'if [ $# = 0 ]; then echo brought; fi'),
    },
    npm: { version: '1.2.3', integrity: publish('npm', 'bin/npm-cli.js', 'echo npm') },
  };
  writeFileSync(join(top, 'scripts/checkout-node.json'), JSON.stringify(parts, null, 2));
  // An older Node.js, which says that it is too old, and its npm.
  program(join(top, 'machine/node'), 'exit 1');
  program(
    join(top, 'machine/npm'),
    // As npm, which with --silent does not say why it failed.
    `[ "$1" = --version ] && exit 0
[ -e '${top}/offline' ] && { [ "$2" = --silent ] || echo 'npm error code ENOTFOUND' >&2; exit 1; }
echo "$5" >> '${top}/asked'; cp '${top}'/registry/"$(echo "$5" | tr @ -)".tgz "$4"`,
  );
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function run(script: string) {
  const env = { ...process.env, PATH: `${join(top, 'machine')}:/usr/bin:/bin` };
  const { status, stdout, stderr } = spawnSync('bash', ['-euc', `. scripts/lib.sh; ${script}`], {
    cwd: top,
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}
const asked = (): string => readFileSync(join(top, 'asked'), 'utf8');

describe.skipIf(process.platform !== 'linux')('a machine without a suitable Node.js', () => {
  it('gets one into the checkout, once', () => {
    const first = run('check_node; node; npm; echo "$npm_config_nodedir"');
    expect(first).toMatchObject({ status: 0, stdout: `brought\nnpm\n${top}/.node\n` });
    expect(first.stderr).toBe(`Fetching node-linux-${processor} 1.2.3 …\nFetching npm 1.2.3 …\n`);
    expect(run('check_node; node')).toEqual({ status: 0, stdout: 'brought\n', stderr: '' });
    expect(asked()).toBe(`node-linux-${processor}@1.2.3\nnpm@1.2.3\n`);
  });

  it('is told where what comes is not what was expected', () => {
    publish('npm', 'bin/npm-cli.js', 'echo another');
    const { status, stderr } = run('check_node');
    expect([status, stderr]).toEqual([1, expect.stringContaining('npm-1.2.3.tgz is not the file')]);
    expect(existsSync(join(top, '.node/complete'))).toBe(false);
  });

  it('is told why nothing comes', () => {
    writeFileSync(join(top, 'offline'), '');
    const { status, stderr } = run('check_node');
    expect([status, stderr]).toEqual([1, expect.stringContaining('npm error code ENOTFOUND')]);
  });
});

describe('a command that takes long', () => {
  // No turn comes at a whole ten seconds; each real second adds another one.
  const clock = 'sleep() { SECONDS=$((SECONDS + 7)); command sleep 0.05; }; ';

  it('passes its end on, and says what it is at', () => {
    const script = `${clock} at() { echo work; }; with_signs_of_life at bash -c 'command sleep 0.5; exit 7'`;
    const { status, stdout, stderr } = run(script);
    expect([status, stdout]).toEqual([7, '']);
    expect(stderr).toMatch(/^ {2}… 1[4-9] s: work\n/);
  });

  it.skipIf(process.platform !== 'linux')('says something of npm and of apt whatever they are at', () => {
    const { status, stdout } = run('npm_occupation; apt_occupation');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^(fetching|compiling) .*\n(fetching|dpkg), .*\n$/)]);
  });

  it('has nobody tell of it any more where the script was killed', () => {
    // This returns when the last process has closed its stderr.
    const { status } = run(`at() { echo work; }; with_signs_of_life at sh -c 'kill -9 $PPID'`);
    expect(status).toBeNull();
  });
});

describe('a Node.js', () => {
  it('is not fetched into a folder where nothing could be compiled', () => {
    const here = 'mkdir -p "a b"; cd "a b"; ';
    const { status, stderr } = run(`${here} check_node`);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^Cannot compile in '.*a b'.*move the checkout\.$/m)]);
    // Where everything is installed, nothing is.
    expect(run(`${here} mkdir node_modules; is_node_suitable() { true; }; check_node`).status).toBe(0);
  });
});
