/** Third-party parts of our packages that are not in our node_modules: packages of the npm registry, pinned by parts.json. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const parts = JSON.parse(readFileSync(join(root, 'scripts/packaging/parts.json'), 'utf8'));
/** The folder of archives that were fetched before. */
const kept = join(root, 'packages', '.parts');

/** The version of a part. */
export const versionOf = (name) => parts[name].version;

function hasIntegrity(file, integrity) {
  return existsSync(file) && `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}` === integrity;
}

/** Fetches a part from the registry of npm's configuration. The archive appears atomically, for other builds of this checkout. */
function fetchPart({ name, version, integrity, archive }) {
  console.error(`Fetching ${name} ${version} from the npm registry …`);
  mkdirSync(kept, { recursive: true });
  const arriving = mkdtempSync(join(kept, 'arriving-'));
  try {
    execFileSync('npm', ['pack', '--loglevel=error', '--pack-destination', arriving, `${name}@${version}`], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const arrived = join(arriving, basename(archive));
    if (!hasIntegrity(arrived, integrity))
      throw new Error(`${name} ${version} is not what scripts/packaging/parts.json has the checksum of`);
    renameSync(arrived, archive);
  } finally {
    rmSync(arriving, { recursive: true, force: true });
  }
}

/** Unpacks the members of a part into `into`, fetching it if it is not here yet. */
export function unpackPart(name, into, members = []) {
  const { version, integrity } = parts[name];
  const archive = join(kept, `${name}-${version}.tgz`);
  if (!hasIntegrity(archive, integrity)) fetchPart({ name, version, integrity, archive });
  mkdirSync(into, { recursive: true });
  const wanted = members.map((member) => `package/${member}`);
  execFileSync('tar', ['-xzf', archive, '-C', into, '--strip-components=1', '--no-same-owner', ...wanted]);
}
