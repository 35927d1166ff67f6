// Exits with 0 if node_modules has the packages of package-lock.json, and their compiled part runs in this Node.
// It compares contents, not times: the times of a checkout, a worktree or a copied node_modules mean nothing.
// npm writes node_modules/.package-lock.json at the end of an installation, so an interrupted one has no such file.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;

/** A fault of node_modules in a sentence, or null. */
function findFault() {
  if (!existsSync('node_modules/.package-lock.json')) return 'nothing is installed';
  let wanted;
  let installed;
  try {
    wanted = packagesOf('package-lock.json');
    // This entry is the project itself.
    delete wanted[''];
    installed = packagesOf('node_modules/.package-lock.json');
  } catch (error) {
    return error.message;
  }
  for (const [path, { version, integrity, optional, devOptional }] of Object.entries(wanted)) {
    const there = installed[path];
    // npm leaves an optional package out if it is for another system, or cannot be compiled.
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
