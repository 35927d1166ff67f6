/** The installed program, the same in every package: the folder packageRoot of src/base/installation.ts. */
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../bundle.mjs';
import { compileAddon } from './addon.mjs';
import { asText, licenceOf, licencesOfBundle } from './licences.mjs';
import { root, unpackPart, versionOf } from './parts.mjs';

/**
 * The Node.js versions that a package runs on. better-sqlite3 13 is built for Node-API 10, which came with these; an older one would
 * crash. A checkout uses better-sqlite3 12, which npm compiles for the installed Node.js, also for version 20.
 */
const nodeRange = '^22.14.0 || >=23.6.0';

const fromCheckout = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Fills `folder`. Returns the licences of everything in it except ours. */
export async function stageProgram(folder, archs, work) {
  for (const part of ['bin', 'LICENSE']) cpSync(join(root, part), join(folder, part), { recursive: true });
  chmodSync(join(folder, 'bin/syncmount.js'), 0o755);
  const bundled = await bundle(join(folder, 'dist'), true);

  const sqlite = join(folder, 'node_modules/better-sqlite3');
  unpackPart('better-sqlite3', sqlite, [
    ...['package.json', 'LICENSE', 'lib'],
    ...archs.map((arch) => `prebuilds/linux-${arch}.node`),
  ]);
  const licences = [...licencesOfBundle(bundled), licenceOf(sqlite)];
  trimManifest(sqlite);

  mkdirSync(join(folder, 'native/prebuilds'), { recursive: true });
  for (const arch of archs) {
    const node = join(work, `node-${arch}`);
    unpackPart(`node-linux-${arch}`, node, ['include/node']);
    const output = join(folder, `native/prebuilds/linux-${arch}.node`);
    compileAddon({ headers: join(node, 'include/node'), arch, output });
    chmodSync(output, 0o644);
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(archs), null, 2)}\n`);
  writeFileSync(join(folder, 'LICENSES.txt'), asText(licences));
  return licences;
}

/** The manifest of a package, without anything that npm would run, fetch or compile. */
function manifest(archs) {
  const { name, version, description, license, type, bin, man } = fromCheckout;
  return {
    ...{ name, version, description, license, type, bin, man },
    engines: { node: nodeRange },
    os: ['linux'],
    cpu: archs,
    libc: ['glibc'],
    files: ['bin', 'completions', 'dist', 'docs', 'man', 'native', 'LICENSES.txt'],
    dependencies: { 'better-sqlite3': versionOf('better-sqlite3') },
    bundleDependencies: ['better-sqlite3'],
  };
}

/** Removes the build dependencies from the manifest, because npm would fetch them. */
function trimManifest(sqlite) {
  const path = join(sqlite, 'package.json');
  const { name, version, license, main, exports } = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, `${JSON.stringify({ name, version, license, main, exports }, null, 2)}\n`);
}
