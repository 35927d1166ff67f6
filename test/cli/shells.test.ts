/** The completion scripts in real shells, on a terminal: what a line becomes when somebody presses Tab. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { baseDirectoriesOf } from '../../src/config/base-directories.js';
import { Registry } from '../../src/mount/registry.js';

/** How each shell is started, and the lines that make Ctrl-T print the line being typed. */
const shells = {
  bash: [
    ['bash', '--norc', '--noprofile', '-i'],
    `bind 'set bell-style none'; bind -x '"\\C-t": printf "[[%s]]\\n" "$READLINE_LINE"'`,
  ],
  zsh: [
    ['zsh', '-f', '-i'],
    `autoload -U compinit; compinit -u -D; dump() { print -r -- "[[$BUFFER]]" }; zle -N dump; bindkey '^T' dump`,
  ],
} as const;

/** Types each line, then Tab, then Ctrl-T, and prints what the line was then. */
const driver = `
import os, pty, re, sys, json
shell, setup, lines = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0: os.execvp(shell[0], shell)
def until(pattern):
    seen = b''
    while not (found := re.search(pattern, seen)): seen += os.read(fd, 65536)
    return found
os.write(fd, (setup + "; echo re''ady\\n").encode()); until(b'ready')
result = []
for line in lines:
    os.write(fd, (line + '\\t\\x14').encode())
    result.append(until(rb'\\[\\[(.*?)\\]\\]').group(1).decode())
    os.write(fd, b'\\x15')
print(json.dumps(result)); os.kill(pid, 9)
`;

const isThere = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

describe('Tab', () => {
  let directory: string;
  let env: NodeJS.ProcessEnv;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    env = {
      ...process.env,
      PATH: `${directory}:${process.env.PATH}`,
      HOME: directory,
      TERM: 'dumb',
      SYNCMOUNT_CONFIG_DIR: join(directory, 'config'),
      SYNCMOUNT_STATE_DIR: join(directory, 'state'),
    };
    mkdirSync(join(directory, 'config/accounts'), { recursive: true });
    writeFileSync(join(directory, 'config/accounts/work.json'), '{}');
    mkdirSync(join(directory, 'target'));
    const entry = { mountpoint: '/media/my cloud', account: 'work', provider: '4shared', socket: '/none', log: null };
    new Registry(baseDirectoriesOf(env)).put(entry);
    const program = `#!/bin/sh\nexec '${process.execPath}' '${resolve('bin/syncmount.js')}' "$@"\n`;
    writeFileSync(join(directory, 'syncmount'), program, { mode: 0o755 });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const typed: [line: string, becomes: string][] = [
    ['syncmount umo', 'syncmount umount '],
    ['syncmount mount wo', 'syncmount mount work:'],
    ['syncmount mount work: ./tar', 'syncmount mount work: ./target/'],
    ['syncmount umount /m', 'syncmount umount /media/my\\ cloud '],
    ['syncmount mount work: x --cache', 'syncmount mount work: x --cache-size '],
    ['syncmount mount --delete p', 'syncmount mount --delete permanent '],
    ['syncmount mount --delete=p', 'syncmount mount --delete=permanent '],
    ['syncmount mount -o ro,cache', 'syncmount mount -o ro,cache-size='],
  ];

  for (const name of ['bash', 'zsh'] as const)
    it.skipIf(!isThere(name))(`in ${name}${isThere(name) ? '' : ' (skipped: it is not installed)'}`, () => {
      const [command, setup] = shells[name];
      const script = `${setup}; source <(syncmount completion ${name}); cd '${directory}'`;
      const input = JSON.stringify([command, script, typed.map(([line]) => line)]);
      const output = execFileSync('python3', ['-c', driver, input], { env, encoding: 'utf8' });
      expect(JSON.parse(output)).toEqual(typed.map(([, becomes]) => becomes));
    });

  it.skipIf(!isThere('fish'))(`in fish${isThere('fish') ? '' : ' (skipped: it is not installed)'}`, () => {
    const complete = (line: string): string[] => {
      const script = `syncmount completion fish | source; cd '${directory}'; complete -C '${line}'`;
      return execFileSync('fish', ['-N', '-c', script], { env, encoding: 'utf8' }).trimEnd().split('\n');
    };
    expect(complete('syncmount umo')).toEqual(['umount\tupload what is pending, then unmount']);
    expect(complete('syncmount mount wo')).toEqual(['work:\taccount']);
    expect(complete('syncmount mount work: ./tar')).toEqual([expect.stringMatching(/^\.\/target\//)]);
    expect(complete('syncmount umount ')).toEqual(['/media/my cloud\tmounted']);
    expect(complete('syncmount mount --delete p')).toEqual(['permanent']);
  });
});
