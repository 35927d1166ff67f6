/**
 * Checks the structure of docs/architecture.md. An import under src/ goes to its own layer or to one below. In a folder with rooms it goes
 * to its own room or to one below. No files import each other in a circle, not even for types.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const src = resolve(dirname(fileURLToPath(import.meta.url)), '..', 'src');

/** Top to bottom: an import may go to the same layer or to a later one. */
const layers = [
  'cli',
  'mount',
  'fuse',
  'filesystem',
  'tree',
  'cache',
  'spool',
  'metadata',
  'threads',
  'providers',
  'config',
  'base',
];
/** Outside of the layers: it imports nothing of ours, and only `cli` may import it. */
const apart = 'sandbox';
/**
 * Folders with rooms, each top to bottom by the same rule. Files that lie directly in such a folder are listed here too. The first
 * and the last entry are its interface, which others import.
 */
const rooms = {
  cli: ['main.ts', 'program.ts', 'commands', 'manual', 'terminal', 'context.ts'],
  mount: ['session', 'metrics', 'state', 'control', 'logging'],
  filesystem: [
    'resolve-path.ts',
    'cloud-filesystem.ts',
    'parts.ts',
    'handles.ts',
    'trash',
    'inspect',
    'pins',
    'names',
    'recovery',
    'uploads',
    'content',
    'attributes',
    'core',
    'metadata',
    'api.ts',
  ],
  'fuse/kernel': ['kernel-binding.ts', 'session', 'operations', 'connection', 'addon.ts', 'protocol'],
  'providers/http': ['ranges', 'client', 'auth', 'answers', 'transport'],
};

const importPattern = /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)/g;

/** The imports of each file, as paths under src/. */
const imports = new Map();
for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' }).sort()) {
  if (!file.endsWith('.ts')) continue;
  const text = readFileSync(join(src, file), 'utf8');
  const targets = [...text.matchAll(importPattern)].map((match) =>
    relative(src, resolve(src, dirname(file), match[1] ?? match[2])).replace(/\.js$/, '.ts'),
  );
  imports.set(file, [...new Set(targets)]);
}

/** The reason why `file` may not import `target`, or null if it may. */
function fault(file, target) {
  const [from] = file.split('/');
  const [to] = target.split('/');
  if (to === '..') return 'outside src/';
  if (from === to) return faultOfRooms(file, target);
  if (to === apart) return from === 'cli' ? null : `only cli/ may import ${apart}/`;
  return from === apart || layers.indexOf(to) < layers.indexOf(from) ? `${from}/ may not import ${to}/` : null;
}

function faultOfRooms(file, target) {
  for (const [folder, order] of Object.entries(rooms)) {
    if (!file.startsWith(`${folder}/`) || !target.startsWith(`${folder}/`)) continue;
    const [from, to] = [file, target].map((path) => path.slice(folder.length + 1).split('/')[0]);
    const unknown = [from, to].find((room) => !order.includes(room));
    if (unknown !== undefined) return `${folder}/${unknown} is no room of ${folder}/`;
    if (order.indexOf(to) < order.indexOf(from)) return `${folder}/${from} may not import ${folder}/${to}`;
  }
  return null;
}

/** Each circle once, as a list of files. */
function circles() {
  const found = [];
  const done = new Set();
  const visit = (file, path) => {
    const at = path.indexOf(file);
    if (at >= 0) {
      found.push([...path.slice(at), file]);
      return;
    }
    if (done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

const broken = [];
for (const [file, targets] of imports) {
  const [layer] = file.split('/');
  if (layer !== apart && !layers.includes(layer)) broken.push(`src/${file}: is in no layer`);
  for (const target of targets) {
    const why = fault(file, target);
    if (why !== null) broken.push(`src/${file}: imports ${target}: ${why}`);
  }
}
for (const circle of circles()) broken.push(`a circle: ${circle.join(' > ')}`);

for (const line of broken) console.error(line);
if (broken.length > 0) process.exit(1);
console.log(`layers: every import points down (${layers.join(' > ')}; ${apart} apart), and none in a circle`);
