// Holds the layers of docs/architecture.md: a file under src/ imports only from its own folder's layer or one below it.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const src = resolve(dirname(fileURLToPath(import.meta.url)), '..', 'src');

/** Top to bottom: an import may go to the same layer or to a later one. */
const layers = ['cli', 'mount', 'fuse', 'filesystem', 'tree', 'cache', 'spool', 'providers', 'config', 'base'];
/** Stands beside them all: imports nothing of ours, and only `cli` may import it. */
const apart = 'sandbox';

const importPattern = /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)/g;
const broken = [];

for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.ts')) continue;
  const from = file.split('/')[0];
  if (from !== apart && !layers.includes(from)) broken.push(`src/${file}: is in no layer`);
  const text = readFileSync(join(src, file), 'utf8');
  for (const match of text.matchAll(importPattern)) {
    const target = relative(src, resolve(src, dirname(file), match[1] ?? match[2]));
    const to = target.split('/')[0];
    if (to === from) continue;
    if (to === '..') broken.push(`src/${file}: imports ${target}, outside src/`);
    else if (to === apart ? from !== 'cli' : from === apart || layers.indexOf(to) < layers.indexOf(from))
      broken.push(`src/${file}: ${from}/ may not import ${to}/ (${target})`);
  }
}

for (const line of broken) console.error(line);
if (broken.length > 0) process.exit(1);
console.log(`layers: every import points down (${layers.join(' > ')}; ${apart} apart)`);
