/** `scripts/package`: reads its arguments, and builds each package in turn. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDebianPackage } from './debian-package.mjs';
import { buildNpmPackage } from './npm-package.mjs';
import { root } from './parts.mjs';
import { stageProgram } from './program.mjs';

const kinds = ['npm', 'deb'];
const architectures = ['x64', 'arm64'];

function fail(message) {
  console.error(`scripts/package: ${message}`);
  process.exit(2);
}

function argumentsOf() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { arch: { type: 'string', multiple: true }, out: { type: 'string' } },
    });
    const wanted = positionals.length === 0 ? kinds : positionals;
    const archs = values.arch ?? [process.arch];
    const odd = wanted.find((kind) => !kinds.includes(kind)) ?? archs.find((arch) => !architectures.includes(arch));
    if (odd !== undefined) fail(`'${odd}' is none of ${[...kinds, ...architectures].join(', ')}`);
    const from = process.env.SYNCMOUNT_INVOKED_FROM ?? process.cwd();
    return { wanted, archs, out: resolve(from, values.out ?? join(root, 'packages')) };
  } catch (error) {
    return fail(error.message);
  }
}

/** The time of every file in a package, s: the commit's. https://reproducible-builds.org/specs/source-date-epoch/ */
function epochOf() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return Number(given);
  try {
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }));
  } catch {
    return fail('this is no git checkout: set SOURCE_DATE_EPOCH to the time that the files shall have');
  }
}

const { wanted, archs, out } = argumentsOf();
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
mkdirSync(out, { recursive: true });
const work = mkdtempSync(join(tmpdir(), 'syncmount-package.'));
try {
  const epoch = epochOf();
  const program = join(work, 'program');
  const licences = await stageProgram(program, archs, work);
  const built = [];
  const given = { work, program, licences, version, epoch, out };
  if (wanted.includes('npm')) built.push(buildNpmPackage({ ...given, archs }));
  if (wanted.includes('deb')) for (const arch of archs) built.push(buildDebianPackage({ ...given, arch }));
  for (const path of built) console.log(`${path} (${(statSync(path).size / 1e6).toFixed(1)} MB)`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
