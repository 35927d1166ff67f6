// Writes docs/options.md from the table of options. With --check it only fails if that file is out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { callerOptionSpecs, optionSpecs } from '../dist/options.cjs';

const path = fileURLToPath(new URL('../docs/options.md', import.meta.url));
const rows = optionSpecs.map(({ name, value, help, default: standard, defaultText }) => {
  const flag = value === undefined ? `--${name}` : `--${name} ${value.replaceAll('|', '\\|')}`;
  const shown = value === undefined ? 'off' : (defaultText ?? standard);
  return `| \`${flag}\` | ${shown} | ${help} |`;
});
const callerRows = callerOptionSpecs.map(
  ({ name, value, help, defaultText }) => `| \`--${name} ${value}\` | ${defaultText} | ${help} |`,
);
const text = `# Options of a mount

Written by \`scripts/options-doc.mjs\` from the one table that flags, \`-o\`, the config file and the help text come from.

Each can be given in three places; a later one wins:

1. \`config.toml\` in the config directory: \`[mount]\` for every mount, \`[account.NAME]\` for one account,
   as \`name = value\` (such as \`cache-size = "5G"\`, \`write-back = true\`);
2. \`-o name=value,name,…\`, as in fstab;
3. \`--name value\` on the command line.

| Option | Default | Meaning |
|---|---|---|
${rows.join('\n')}

On the command line and in fstab only:

| Option | Default | Meaning |
|---|---|---|
${callerRows.join('\n')}

Sizes take K, M, G and T (powers of 1024); times take ms, s, m, h and d. \`-o ro\` is \`--read-only\` and \`-o allow_other\`
is \`--allow-other\`. A comma within a value has a backslash before it.

Options that mount(8) and libfuse understand, and syncmount does not have:

| Option | In a line of fstab, or with \`-o\` |
|---|---|
| \`noauto\`, \`_netdev\`, \`x-systemd.automount\`, \`fsname=\`, \`max_read=\`, … | ignored if it changes nothing that a program sees; otherwise a line says what it would need |
| \`nosuid\`, \`nodev\` | always in force, even if the line has \`suid\` or \`dev\` (which mount(8) adds to a line with \`user=\`) |
| \`noatime\`, \`nodiratime\`, \`relatime\` | always in force: no read changes a time |
| \`dirsync\` | always in force: names change at the service before the call ends |
| \`lazytime\`, \`silent\` | ignored: they concern disks |
| \`sync\`, \`strictatime\`, \`iversion\`, \`mand\` | mounted without it: no mount of an account can have it. One line says so, and what holds instead |
`;

if (process.argv.includes('--check')) {
  let present = '';
  try {
    present = readFileSync(path, 'utf8');
  } catch {
    // A missing file is out of date.
  }
  if (present !== text) {
    console.error('docs/options.md is out of date: run `npm run build && node scripts/options-doc.mjs`');
    process.exit(1);
  }
  console.log('options: docs/options.md is what the program says');
} else {
  writeFileSync(path, text);
}
