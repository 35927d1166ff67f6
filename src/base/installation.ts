/** The paths of the installed program. This is the only module that uses the path of its own code. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of our package.json. The bundle lies one folder below it; in tests, the source files lie two or three below. */
export const packageRoot = rootAbove(dirname(fileURLToPath(import.meta.url)));

export const version = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { readonly version: string }
).version;

/** True if a package of `scripts/package` is installed: it contains compiled parts, and nothing to compile them with. */
export const isPackage = existsSync(join(packageRoot, 'native/prebuilds'));

/** Loads packages and addons that are not part of the bundle. */
export const requireInstalled = createRequire(import.meta.url);

/** The program file that the user runs. */
export const programFile = join(packageRoot, 'bin/syncmount.js');

function rootAbove(folder: string): string {
  const parent = dirname(folder);
  return existsSync(join(folder, 'package.json')) || parent === folder ? folder : rootAbove(parent);
}
