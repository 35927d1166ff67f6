// Writes the manual pages in man/ from the tables of commands and options. With --check it only fails if one is out of date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { manualPages, renderRoff } from '../dist/manual.cjs';
import { createProgram } from '../dist/program.cjs';

const folder = new URL('../man/', import.meta.url);
const isCheck = process.argv.includes('--check');
const present = (url) => {
  try {
    return readFileSync(url, 'utf8');
  } catch {
    // A missing page is out of date.
    return undefined;
  }
};

mkdirSync(folder, { recursive: true });
for (const page of Object.values(manualPages(createProgram()))) {
  const name = `${page.name}.${page.section}`;
  const url = new URL(name, folder);
  const text = renderRoff(page);
  if (!isCheck) writeFileSync(url, text);
  else if (present(url) !== text) {
    console.error(`${fileURLToPath(url)} is out of date: run \`npm run build && node scripts/man-pages.mjs\``);
    process.exitCode = 1;
  }
}
if (isCheck && process.exitCode === undefined) console.log('manual pages: man/ is what the program says');
