// Builds native/fuse_device.c with node-gyp into native/build/Release/, for Linux.
// With --optional (npm install) it never fails: without the addon, mounts go through fuse-native instead.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = resolve(dirname(fileURLToPath(import.meta.url)), '..', 'native');
const addon = join(native, 'build', 'Release', 'fuse_device.node');
const optional = process.argv.includes('--optional');
const force = process.argv.includes('--force');

function giveUp(reason) {
  console.error(`syncmount: the kernel binding is not built: ${reason}`);
  console.error(
    'syncmount: mounts go through fuse-native; to build it: apt install build-essential; npm run build:addon',
  );
  process.exit(optional ? 0 : 1);
}

/** npm contains a node-gyp, and passes its path to the scripts that it runs. */
function findNodeGyp() {
  const candidates = [process.env.npm_config_node_gyp];
  try {
    candidates.push(createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js'));
  } catch {
    // Not among our own packages.
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const npm = join(folder, 'npm');
    if (!existsSync(npm)) continue;
    // …/node_modules/npm/bin/npm-cli.js
    candidates.push(join(dirname(realpathSync(npm)), '..', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'));
  }
  return candidates.find((path) => path !== undefined && existsSync(path));
}

/** The headers that were installed with this Node, if any. Otherwise node-gyp downloads them. */
function installedHeaders() {
  const prefix = resolve(dirname(realpathSync(process.execPath)), '..');
  const header = join(prefix, 'include', 'node', 'node_version.h');
  if (!existsSync(header)) return undefined;
  const major = /#define NODE_MAJOR_VERSION (\d+)/.exec(readFileSync(header, 'utf8'))?.[1];
  return major === process.versions.node.split('.')[0] ? prefix : undefined;
}

const isNewer = (file) => statSync(addon).mtimeMs > statSync(join(native, file)).mtimeMs;

if (process.platform !== 'linux') giveUp('it needs Linux');
if (!force && existsSync(addon) && ['fuse_device.c', 'binding.gyp'].every(isNewer)) process.exit(0);
const nodeGyp = findNodeGyp();
if (nodeGyp === undefined) giveUp('node-gyp (a part of npm) is not there');
const headers = installedHeaders();
const args = [nodeGyp, 'rebuild', ...(headers === undefined ? [] : [`--nodedir=${headers}`])];
const { status, stdout, stderr, error } = spawnSync(process.execPath, args, { cwd: native, encoding: 'utf8' });
if (status !== 0) {
  if (!optional) process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  const reason = /gyp ERR! stack (?:Error: )?(.*)/.exec(stderr ?? '')?.[1];
  giveUp(error?.message ?? reason ?? `node-gyp ended with ${status}`);
}
const warnings = /^.*warning:.*$/gm.exec(stderr ?? '');
if (warnings !== null) console.error(warnings.join('\n'));
console.log(`built ${addon}`);
