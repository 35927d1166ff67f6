/** Compiles native/fuse_device.c for a package. The flags are those of native/binding.gyp. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './parts.mjs';

const triplets = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** A list in the one target of binding.gyp. It is a Python literal, and its strings are like JSON's except for the quotes. */
function listOf(gyp, name) {
  const [, list] = new RegExp(`'${name}': (\\[[^\\]]*\\])`).exec(gyp);
  return JSON.parse(list.replaceAll("'", '"'));
}

/** `headers`: the folder include/node of a Node.js. With Node-API, the addon also works on all later versions. */
export function compileAddon({ headers, arch, output }) {
  const gyp = readFileSync(join(root, 'native/binding.gyp'), 'utf8');
  const compiler = arch === process.arch ? (process.env.CC ?? 'cc') : `${triplets[arch]}-gcc`;
  const flags = [
    ...listOf(gyp, 'defines').map((define) => `-D${define}`),
    ...listOf(gyp, 'cflags'),
    ...['-fPIC', '-fvisibility=hidden', `-ffile-prefix-map=${root}=.`, `-I${headers}`],
    ...['-shared', '-s', '-Wl,--build-id=none', ...listOf(gyp, 'ldflags')],
  ];
  try {
    execFileSync(compiler, [...flags, 'native/fuse_device.c', '-o', output], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    throw new Error(`${compiler} is not installed: the addon cannot be built for ${arch}`);
  }
}
