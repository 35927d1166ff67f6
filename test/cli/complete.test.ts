import { describe, expect, it } from 'vitest';
import { type Completion, completionsOf } from '../../src/cli/commands/complete.js';
import { createProgram } from '../../src/cli/program.js';
import { optionSpecs } from '../../src/config/options.js';

const mounts = [
  { mountpoint: '/mnt/a', account: 'home' },
  { mountpoint: '/mnt/b c', account: 'work' },
  { mountpoint: '/mnt/\x1b[2J', account: 'third' },
];
const known = { accounts: () => ['home', 'old', 'work'], mounts: () => mounts };
const complete = (...words: string[]): Completion => completionsOf(createProgram(), words, known);
const values = (...words: string[]): string[] => complete(...words).words.map(({ value }) => value);

describe('completion offers', () => {
  it('the commands that help shows', () => {
    expect(values('')).toEqual(
      'login logout accounts mount umount status metrics log uploads pause resume set trash pin unpin cache service link share search info api sandbox doctor completion help'.split(
        ' ',
      ),
    );
    expect(values('up')).toEqual(['uploads']);
    expect(values('-')).toEqual(['--version', '--help']);
    expect(values('nothing', '')).toEqual([]);
  });

  it.each<[words: string[], values: string[], and?: Completion['and']]>([
    [
      ['mount', ''],
      ['home:', 'old:', 'work:'],
    ],
    [['mount', '--read-only', 'w'], ['work:']],
    [['mount', 'work:', ''], [], 'directories'],
    [['mount', 'work:', '/mnt', ''], []],
    [
      ['logout', ''],
      ['home', 'old', 'work'],
    ],
    // The third has a name that a terminal would obey.
    [
      ['umount', ''],
      ['/mnt/a', '/mnt/b c'],
    ],
    [['umount', 'h'], ['home:']],
    [['umount', 'o'], []],
    [['uploads', 'list', 'h'], ['home:']],
    // Of a mount that does not run too.
    [['log', 'o'], ['old:']],
    [['link', ''], ['/mnt/a', '/mnt/b c'], 'files'],
    [['status', '--json', '/mnt/a'], ['/mnt/a']],
    [
      ['status', '--', ''],
      ['/mnt/a', '/mnt/b c'],
    ],
    [
      ['uploads', ''],
      ['list', 'retry', 'export', 'discard'],
    ],
    [['uploads', 'export', ''], [], 'directories'],
    [
      ['uploads', 'export', '/out', ''],
      ['/mnt/a', '/mnt/b c'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [
      ['help', 'c'],
      ['cache', 'completion', 'config'],
    ],
    [
      ['login', 'new', '--provider', '4'],
      ['4shared', '4sync'],
    ],
    [['login', 'new', '--credentials', ''], [], 'files'],
    [['sandbox', '--dir', ''], [], 'directories'],
    [
      ['mount', '--delete', ''],
      ['trash', 'permanent'],
    ],
    [['mount', '--delete=p'], ['--delete=permanent']],
    [['mount', '--cache-size', ''], []],
    [['mount', '--log-file', ''], [], 'files'],
    [['mount', '-o', 'read'], ['read-only']],
    [['mount', '-o', 'read-only,cache'], ['read-only,cache-size=']],
    [['mount', '-o', 'ro,delete=p'], ['ro,delete=permanent']],
    [['mount', '-o', 'cache-size='], []],
    // Given once already; `-o` may be repeated.
    [
      ['status', '--json', '--'],
      ['--watch', '--help'],
    ],
    [['mount', '-o', 'ro', '-'], expect.arrayContaining(['-o', '--read-only'])],
  ])('%j: %j', (words, offered, and = 'nothing') => {
    expect(complete(...words)).toMatchObject({ and });
    expect(values(...words)).toEqual(offered);
  });

  it('every option of a mount, with its help', () => {
    const { words } = complete('mount', '--');
    for (const { name, help } of optionSpecs)
      expect(words).toContainEqual({ value: `--${name}`, help: expect.stringContaining(help) });
  });
});
