/** Checks the documents against the tree: each file or folder that a document names, and the target of each link, must exist. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

/** The paths, from the top, of all files and folders that a document may name. */
const paths = ['src', 'test', 'scripts', 'native', 'docs'].flatMap((top) => [
  top,
  ...readdirSync(join(root, top), { recursive: true, encoding: 'utf8' }).map((path) => `${top}/${path}`),
]);

/** A path may be named from the top, from its layer (`filesystem/core/errno.ts`), or by its last part alone. */
function isThere(named) {
  const path = named.replace(/\/$/, '');
  return paths.some((known) => known === path || known.endsWith(`/${path}`));
}

/** The texts in code marks that look like a path of this repository. */
function pathsIn(text) {
  const codes = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
  return codes.filter(
    (code) => /^[\w@.-]+(\/[\w@.-]+)*\.(ts|mjs|c)$/.test(code) || /^(src|test|scripts)(\/[\w@.-]+)+\/?$/.test(code),
  );
}

/** Targets of links as `[file, heading]`, without links to the web. */
function linksIn(text) {
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return targets.filter((target) => !/^\w+:/.test(target)).map((target) => target.split('#'));
}

/** The names of headings, in the form that links use. */
function headingsOf(text) {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

const broken = [];
for (const document of documents) {
  const text = readFileSync(join(root, document), 'utf8');
  for (const path of new Set(pathsIn(text))) if (!isThere(path)) broken.push(`${document} names ${path}`);
  for (const [file, heading] of linksIn(text)) {
    const target = file === '' ? join(root, document) : resolve(root, dirname(document), file);
    if (!existsSync(target)) broken.push(`${document} links to ${file}`);
    else if (
      heading !== undefined &&
      statSync(target).isFile() &&
      !headingsOf(readFileSync(target, 'utf8')).includes(heading)
    )
      broken.push(`${document} links to ${file}#${heading}`);
  }
}
for (const line of broken) console.error(`${line}, which is not there`);
if (broken.length > 0) process.exit(1);
console.log(`documents: everything that ${documents.length} documents name is there`);
