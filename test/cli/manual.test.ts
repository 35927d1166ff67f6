import { execFileSync, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { helpCommand } from '../../src/cli/manual/help.js';
import { topics } from '../../src/cli/manual/help-topics.js';
import { manualPages } from '../../src/cli/manual/manual.js';
import { type Page, renderRoff, renderText } from '../../src/cli/manual/manual-format.js';
import { createProgram } from '../../src/cli/program.js';
import { optionSpecs } from '../../src/config/options.js';

const hasMan = spawnSync('sh', ['-c', 'command -v man && command -v groff']).status === 0;

/** As `man` shows it, without bold and underlined letters. */
function shown(path: string): string {
  const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '200', MAN_KEEP_FORMATTING: '' };
  return execFileSync('sh', ['-c', 'man -l "$1" | col -bx', 'sh', path], { env, encoding: 'utf8' });
}

describe('the manual', () => {
  it('has every command and every option in the page where it belongs', () => {
    const { manual, fstab, config } = manualPages(createProgram());
    const root = createProgram();
    for (const command of root.createHelp().visibleCommands(root)) {
      expect(renderText(manual)).toContain(`syncmount ${command.name()}`);
      if (command.name() === 'mount') continue;
      for (const { flags } of command.options) expect(renderText(manual)).toContain(flags);
    }
    for (const { name, help } of optionSpecs) {
      expect(renderText(fstab).replaceAll(/\s+/g, ' ')).toContain(help);
      expect(renderText(fstab)).toContain(`--${name}`);
      expect(renderText(config)).toMatch(new RegExp(`^    ${name} = `, 'm'));
    }
  });

  it.skipIf(!hasMan)(`is shown by man without a warning${hasMan ? '' : ' (skipped: there is no man)'}`, () => {
    for (const { name, section } of Object.values(manualPages(createProgram()))) {
      const path = resolve('man', `${name}.${section}`);
      const { stderr } = spawnSync('man', ['--warnings=w', '-l', path], { encoding: 'utf8' });
      expect(stderr).toBe('');
      expect(shown(path)).toMatch(new RegExp(`^${name.toUpperCase()}\\(${section}\\)`));
    }
    expect(shown(resolve('man/syncmount-mount.8'))).toMatch(/--cache-size SIZE\s+the most that downloaded blocks/);
    expect(shown(resolve('man/syncmount.toml.5'))).toMatch(/^ +cache-size = "5G"$/m);
  });

  it('prints what roff would take for its own', () => {
    const text = '.x \\n -~^"\'`bold`';
    const page: Page = {
      ...{ name: 'x', section: 1, version: '1', purpose: 'p' },
      sections: [{ title: 'T', blocks: [text, { code: '.y' }] }],
    };
    expect(renderRoff(page).split('\n').slice(-6)).toEqual([
      '\\&.x \\en \\-\\(ti\\(ha\\(dq\\(aq\\fBbold\\fR',
      ...['.PP', '.nf', '\\&.y', '.fi', ''],
    ]);
  });

  it('is printed by help, each command and topic; anything else is told', () => {
    const root = createProgram();
    const printed: string[] = [];
    const write = process.stdout.write;
    process.stdout.write = (text: string | Uint8Array) => printed.push(`${text}`) > 0;
    try {
      for (const topic of [undefined, 'mount', ...topics, 'umount']) helpCommand(root, topic);
    } finally {
      process.stdout.write = write;
    }
    expect(printed.map((text) => text.trim().split('\n').slice(0, 2).join(''))).toEqual([
      'Usage: syncmount [options] [command]',
      'Usage: syncmount mount [options] [account:path] [mountpoint]',
      ...Object.values(manualPages(createProgram())).map(({ name, purpose }) => `NAME    ${name} - ${purpose}`),
      expect.stringMatching(/^LIMITS {4}--bwlimit limits/),
      expect.stringMatching(/^MONITORING {4}syncmount status shows/),
      'Usage: syncmount umount [options] [mountpoint]',
      // As `umount --help` does.
      'A mount is named by its account (NAME:), its mountpoint, or anything below that.',
    ]);
    expect(() => helpCommand(root, 'all')).toThrow(/no help about 'all'; there is about login, .*, monitoring$/);
  });
});
