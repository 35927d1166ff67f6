/** The paths of the installed program. The only module that looks at the path of its own code. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of our package.json: the bundle lies one folder below it, a source file of a test two or three. */
export const packageRoot = rootAbove(dirname(fileURLToPath(import.meta.url)));

export const version = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { readonly version: string }
).version;

/** True where a package of `scripts/package` was installed: it has compiled parts of its own, and nothing to compile them with. */
export const isPackage = existsSync(join(packageRoot, 'native/prebuilds'));

/** Loads packages and addons that are not part of the bundle. */
export const requireInstalled = createRequire(import.meta.url);

/** The program file that a person runs. */
export const programFile = join(packageRoot, 'bin/syncmount.js');

function rootAbove(folder: string): string {
  const parent = dirname(folder);
  return existsSync(join(folder, 'package.json')) || parent === folder ? folder : rootAbove(parent);
}
