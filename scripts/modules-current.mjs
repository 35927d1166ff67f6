// Exits with 0 where node_modules holds what package-lock.json names and its compiled part runs in this Node.
// Contents are compared, not times: a checkout, a worktree and a copied node_modules have times that say nothing.
// npm writes node_modules/.package-lock.json at the end of an installation, so a broken one has none.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;

/** What is wrong with node_modules; null: nothing. */
function findFault() {
  if (!existsSync('node_modules/.package-lock.json')) return 'nothing is installed';
  let wanted;
  let installed;
  try {
    wanted = packagesOf('package-lock.json');
    // The project itself.
    delete wanted[''];
    installed = packagesOf('node_modules/.package-lock.json');
  } catch (error) {
    return error.message;
  }
  for (const [path, { version, integrity, optional, devOptional }] of Object.entries(wanted)) {
    const there = installed[path];
    // An optional package is left out where it is for another system, or could not be compiled.
    if (there === undefined && (optional || devOptional)) continue;
    if (there?.version !== version || there?.integrity !== integrity) return `${path} is not version ${version}`;
  }
  const extra = Object.keys(installed).find((path) => wanted[path] === undefined);
  if (extra !== undefined) return `${extra} is not in package-lock.json`;
  try {
    const Database = createRequire(`${process.cwd()}/`)('better-sqlite3');
    new Database(':memory:').close();
  } catch (error) {
    return error.message.split('\n')[0];
  }
  return null;
}

const fault = findFault();
if (fault !== null) {
  console.error(`node_modules: ${fault}`);
  process.exitCode = 1;
}
