/** Commands and options that the documents and the manual show are those of the tables. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { manualPages } from '../../src/cli/manual/manual.js';
import { renderText } from '../../src/cli/manual/manual-format.js';
import { createProgram } from '../../src/cli/program.js';
import { parseDashO } from '../../src/config/option-texts.js';

const program = createProgram();
const pages = Object.values(manualPages(program)).map((page): [string, string] => [page.name, renderText(page)]);
const documents = ['.', 'docs'].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name): [string, string] => [`${folder}/${name}`, readFileSync(`${folder}/${name}`, 'utf8')]),
);

/** What is typed: between marks, and in lines of their own. */
function codesIn(text: string): string[] {
  const marked = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  const lines = [...text.matchAll(/^ {4,}(.*)$/gm)].map(([, code = '']) => code);
  const fenced = [...text.matchAll(/^```.*\n([\s\S]*?)^```/gm)].flatMap(([, code = '']) => code.split('\n'));
  return [...marked, ...lines, ...fenced];
}

/** Command lines of syncmount, each without what a shell or a comment has behind it. */
const commandsIn = (code: string): string[] =>
  [...code.matchAll(/(?:^|\$ |sudo |&& |\| |"\$\()syncmount +((?:--)?[a-z][^|<>&;#)]*)/g)].map(([, line = '']) =>
    line.trim(),
  );

/** What is wrong with `COMMAND word…`; null where nothing is. */
function faultOf(line: string): string | null {
  const [name, ...words] = line.split(/\s+/);
  if (name?.startsWith('-')) return ['--help', '--version'].includes(name) ? null : `no option ${name}`;
  const command = program.commands.find((one) => one.name() === name);
  if (command === undefined) return `no command ${name}`;
  for (const [at, word] of words.entries()) {
    const flag = /^\[?(-[a-zA-Z]|--[a-z][a-z-]*)/.exec(word)?.[1];
    if (flag === '-o' && /^[a-z]/.test(words[at + 1] ?? '')) parseDashO([words[at + 1] ?? '']);
    if (flag === undefined || flag === '--help') continue;
    if (!command.options.some(({ long, short }) => long === flag || short === flag)) return `${name} has no ${flag}`;
  }
  return null;
}

/** Options of other programs that documents name by themselves. */
const foreign: readonly string[] = [
  // rsync, and the scripts of this repository.
  ...['--inplace', '--long', '--arch', '--quick', '--only', '--tls', '--no-validators', '--shots'],
  ...['--entries', '--folders', '--one-answer'],
  // restic and borg.
  ...['--no-lock', '--bypass-lock'],
  // Node.js and V8.
  ...['--max-semi-space-size', '--always-sparkplug', '--interrupt-budget'],
  // Any option.
  '--name',
];

describe('documents and manual', () => {
  it('show commands that there are, with options that they have', () => {
    const found = [...documents, ...pages].flatMap(([name, text]) =>
      codesIn(text).flatMap((code) => commandsIn(code).map((line) => ({ name, line, fault: faultOf(line) }))),
    );
    // A pattern that finds nothing would find no fault either.
    expect(found.length).toBeGreaterThan(120);
    expect(found.filter(({ fault }) => fault !== null)).toEqual([]);
  });

  it('have every command in the table of README.md, with options that it has', () => {
    const [, table = ''] = /^\| Command \|.*\n\|[-|]+\|\n((?:\|.*\n)+)/m.exec(readFileSync('README.md', 'utf8')) ?? [];
    const lines = [...table.matchAll(/^\| (`.*?`) \| /gm)].flatMap(([, cell = '']) => codesIn(cell));
    expect(lines.map((line) => ({ line, fault: faultOf(line) })).filter(({ fault }) => fault !== null)).toEqual([]);
    const named = new Set(lines.map((line) => line.split(' ')[0]));
    const visible = program.createHelp().visibleCommands(program);
    expect(visible.map((command) => command.name()).filter((name) => !named.has(name))).toEqual([]);
  });

  it('name options that there are', () => {
    const known = new Set(program.commands.flatMap(({ options }) => options.map(({ long }) => long)));
    const named = documents.flatMap(([name, text]) =>
      codesIn(text).flatMap((code) => {
        const option = /^--[a-z][a-z-]*/.exec(code)?.[0];
        return option === undefined ? [] : [{ name, option }];
      }),
    );
    expect(named.length).toBeGreaterThan(60);
    expect(named.filter(({ option }) => !known.has(option) && !foreign.includes(option))).toEqual([]);
    for (const option of foreign) expect(named.map((one) => one.option)).toContain(option);
  });

  it('have lines for fstab that are understood', () => {
    const line = /^ *\S+: *\S* +\/\S+ +(?:fuse\.)?syncmount +(\S+) +0 0/gm;
    const options = [...documents, ...pages].flatMap(([, text]) => [...text.matchAll(line)].map(([, o = '']) => o));
    expect(options.length).toBeGreaterThan(5);
    for (const text of options) expect(() => parseDashO([text])).not.toThrow();
  });
});
