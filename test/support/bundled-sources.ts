/**
 * Bundles the sources of the program once a run, for test files that each have a process. Loading two hundred modules one by one takes
 * a second of CPU, for each of a hundred files. Every import of `src` resolves to the bundle, so no module is loaded twice.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'rolldown';
import type { Plugin } from 'vitest/config';

/** Below `node_modules`: there vitest lets Node.js load the files, and Node.js finds packages. */
const caches = resolve('node_modules/.cache');
const sources = resolve('src');

/** The files of `src` that tests import. */
function imported(): string[] {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const found = files.flatMap((path) => {
    const text = readFileSync(join('test', path), 'utf8');
    return [...text.matchAll(/'((?:\.\.\/)+src\/[^']+)\.js'/g)].map(([, to = '']) =>
      resolve('test', dirname(path), to),
    );
  });
  return [...new Set(found)];
}

/** Bundles them. Returns the bundled file of each, by its source path without extension. */
async function bundle(): Promise<Map<string, string>> {
  mkdirSync(caches, { recursive: true });
  const dir = mkdtempSync(join(caches, 'syncmount-tests-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  const entries = new Map(imported().map((path) => [path, relative(sources, path)]));
  await build({
    input: Object.fromEntries([...entries].map(([path, name]) => [name, `${path}.ts`])),
    platform: 'node',
    // Not bundled, because it finds its compiled addon beside its own files.
    external: ['better-sqlite3'],
    output: { dir, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: 'chunks/[name].mjs' },
  });
  return new Map([...entries].map(([path, name]) => [path, join(dir, `${name}.mjs`)]));
}

export function bundledSources(): Plugin {
  let bundled: Promise<Map<string, string>> | undefined;
  return {
    name: 'bundled-sources',
    enforce: 'pre',
    async resolveId(id, importer) {
      if (importer === undefined || !id.startsWith('.')) return null;
      const path = resolve(dirname(importer), id.replace(/\.[jt]s$/, ''));
      if (!path.startsWith(`${sources}/`)) return null;
      bundled ??= bundle();
      const file = (await bundled).get(path);
      if (file === undefined) throw new Error(`${id} is not in the bundle of the tests`);
      return file;
    },
  };
}
