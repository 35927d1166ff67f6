/** The licences of everything that a package contains, as one text. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './parts.mjs';

/** A person must check a package under another licence before it is shipped. */
const known = new Set(['MIT', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0']);

/** The folders of the packages that contain these files. */
function foldersOf(files) {
  const folders = files.map(
    (file) => /^.*node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+/.exec(file.replace(/\0/g, ''))?.[0],
  );
  return [...new Set(folders.filter((folder) => folder !== undefined))];
}

/** `{ title, text }` of a package's licence. Throws if it has none, or one that is not known here. */
export function licenceOf(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { name, version, license } = manifest;
  if (!known.has(license)) throw new Error(`${name} ${version} is under ${license}: may it be shipped?`);
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  const text = file === undefined ? declared(manifest) : readFileSync(join(folder, file), 'utf8');
  return { title: `${name} ${version} (${license})`, text };
}

/** For a package that names its licence but has no text of it: the usual text, with its author. */
function declared({ name, version, license, author }) {
  const holder = typeof author === 'string' ? author : author?.name;
  if (license !== 'MIT' || holder === undefined) throw new Error(`${name} ${version} has no text of its licence`);
  const usual = readFileSync(join(root, 'LICENSE'), 'utf8');
  return usual.replace(/^Copyright .*$/m, `Copyright (c) ${holder}`);
}

/** `bundled`: the files that the bundle was made of. */
export function licencesOfBundle(bundled) {
  return foldersOf(bundled)
    .map(licenceOf)
    .sort((a, b) => (a.title < b.title ? -1 : 1));
}

export function asText(licences) {
  const own = readFileSync(join(root, 'LICENSE'), 'utf8');
  const rule = '-'.repeat(79);
  return [
    `syncmount\n\n${own.trim()}\n`,
    ...licences.map(({ title, text }) => `${rule}\n${title}\n\n${text.trim()}\n`),
  ].join('\n');
}
