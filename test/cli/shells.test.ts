/**
 * The completion scripts in real shells, on a terminal: what a line becomes when somebody presses Tab, and all that a shell offers, which
 * is what the tables of commands and options have.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { topics } from '../../src/cli/manual/help-topics.js';
import { createProgram } from '../../src/cli/program.js';
import { baseDirectoriesOf } from '../../src/config/base-directories.js';
import { callerOptionSpecs, optionSpecs } from '../../src/config/options.js';
import { Registry } from '../../src/mount/control/registry.js';
import { long } from '../support/extent.js';

/**
 * How each shell is started; the lines that make Ctrl-T print the line being typed; and the key that puts all that is offered into the
 * line.
 */
const shells = {
  bash: [
    ['bash', '--norc', '--noprofile', '-i'],
    `bind 'set bell-style none'; bind -x '"\\C-t": printf "[[%s]]\\n" "$READLINE_LINE"'`,
    '\x1b*',
  ],
  zsh: [
    ['zsh', '-f', '-i'],
    `autoload -U compinit; compinit -u -D; dump() { print -r -- "[[$BUFFER]]" }; zle -N dump; bindkey '^T' dump
    zle -C all complete-word _generic; bindkey '^Y' all; zstyle ':completion:all:*' completer _all_matches _complete
    zstyle ':completion:all:*' insert yes`,
    '\x19',
  ],
} as const;
type Terminal = keyof typeof shells;

/** Types each line, then a key, then Ctrl-T, and prints what the line was then. */
const driver = `
import os, pty, re, sys, json
shell, setup, key, lines = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0: os.execvp(shell[0], shell)
def until(pattern):
    seen = b''
    while not (found := re.search(pattern, seen)): seen += os.read(fd, 65536)
    return found
os.write(fd, (setup + "; echo re''ady\\n").encode()); until(b'ready')
result = []
for line in lines:
    os.write(fd, (line + key + '\\x14').encode())
    result.append(until(rb'\\[\\[(.*?)\\]\\]').group(1).decode())
    os.write(fd, b'\\x15')
print(json.dumps(result)); os.kill(pid, 9)
`;

/** What each beginning of a line offers, by the tables. */
const offered: [line: string, words: string[]][] = [];
const root = createProgram();
const help = root.createHelp();
const commands = help.visibleCommands(root);
const names = commands.map((command) => command.name());
offered.push(['', names], ['help ', [...names, ...topics]], ['-', ['--help', '--version']]);
for (const command of commands) {
  const flags = help.visibleOptions(command).map(({ long, short }) => long ?? short ?? '');
  // `--help` alone would be taken at once, by each shell.
  if (flags.length > 1) offered.push([`${command.name()} -`, flags]);
}
const dashO = [...optionSpecs, ...callerOptionSpecs].map((option) => `${option.name}${option.value ? '=' : ''}`);
offered.push(['mount -o ', dashO], ['service install -o ', dashO]);
for (const { name, value } of optionSpecs) {
  const values = value?.split('|') ?? [];
  if (values.length > 1) offered.push([`mount --${name} `, values]);
}

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
    ['syncmount umount ', 'syncmount umount /media/my\\ cloud '],
    ['syncmount status w', 'syncmount status work:'],
    ['syncmount log -n 5 w', 'syncmount log -n 5 work:'],
    ['syncmount mount -o ro,delete=t', 'syncmount mount -o ro,delete=trash '],
    ['syncmount mount work: x --cache', 'syncmount mount work: x --cache-size '],
    ['syncmount mount --delete p', 'syncmount mount --delete permanent '],
    ['syncmount mount --delete=p', 'syncmount mount --delete=permanent '],
    ['syncmount mount -o ro,cache', 'syncmount mount -o ro,cache-size='],
  ];

  /** What the lines are after the key, in a shell on a terminal. */
  function typeInto(name: Terminal, key: string, lines: readonly string[]): string[] {
    const [command, setup] = shells[name];
    const script = `${setup}; source <(syncmount completion ${name}); cd '${directory}'`;
    const input = JSON.stringify([command, script, key, lines]);
    return JSON.parse(execFileSync('python3', ['-c', driver, input], { env, encoding: 'utf8' }));
  }
  /** What fish offers for each line. */
  function offersOfFish(...lines: string[]): string[][] {
    const ask = 'for line in $argv; complete -C $line; echo ==; end';
    const script = `syncmount completion fish | source; cd '${directory}'; ${ask}`;
    const answers = execFileSync('fish', ['-N', '-c', script, ...lines], { env, encoding: 'utf8' }).split('==\n');
    return answers.slice(0, -1).map((answer) => answer.trimEnd().split('\n'));
  }

  for (const name of ['bash', 'zsh'] as const)
    describe.skipIf(!isThere(name))(`in ${name}${isThere(name) ? '' : ' (skipped: it is not installed)'}`, () => {
      it('completes a word', () => {
        const lines = typed.map(([line]) => line);
        expect(typeInto(name, '\t', lines)).toEqual(typed.map(([, becomes]) => becomes));
      });

      it('offers every command and every option, and no other', long, () => {
        const lines = offered.map(([line]) => `syncmount ${line}`);
        const all = typeInto(name, shells[name][2], lines);
        const found = offered.map(([line], at) => {
          const before = `syncmount ${line.slice(0, line.lastIndexOf(' ') + 1)}`;
          expect(all[at]).toContain(before);
          return [line, all[at]?.slice(before.length).trim().split(/ +/).sort()];
        });
        expect(found).toEqual(offered.map(([line, words]) => [line, [...words].sort()]));
      });
    });

  describe.skipIf(!isThere('fish'))(`in fish${isThere('fish') ? '' : ' (skipped: it is not installed)'}`, () => {
    it('completes a word', () => {
      const lines = ['umo', 'mount wo', 'mount work: ./tar', 'umount ', 'mount --delete p'];
      expect(offersOfFish(...lines.map((line) => `syncmount ${line}`))).toEqual([
        ['umount\tupload what is pending, then unmount'],
        ['work:\taccount'],
        [expect.stringMatching(/^\.\/target\//)],
        ['/media/my cloud\tmounted'],
        ['permanent'],
      ]);
    });

    it('offers every command and every option, and no other', long, () => {
      const answers = offersOfFish(...offered.map(([line]) => `syncmount ${line}`));
      const found = answers.map((words) => words.map((word) => word.split('\t')[0]).sort());
      expect(found).toEqual(offered.map(([, words]) => [...words].sort()));
    });
  });
});
