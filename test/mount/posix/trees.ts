/** The content of an ordinary directory, in the form in which it is compared with the service. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The limits of a service's mounts. */
export interface Limits {
  /** Errnos that a call may answer because of such a limit. */
  readonly lenient: readonly string[];
  /** Empty directories are local: they do not come back from the service. */
  readonly forgetsEmptyDirectories: boolean;
}

/**
 * The MD5 of each file, or `directory`, by relative path. A file with several names appears under the name that `held` has, or the first.
 * Kinds of files that no service holds are left out.
 */
export async function treeOf(
  top: string,
  limits: Limits,
  held: { has(path: string): boolean } = new Set(),
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const linked = new Map<number, string[]>();
  for (const entry of await readdir(top, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const relative = path.slice(top.length + 1);
    if (entry.isFile()) {
      const { ino, nlink } = await stat(path);
      if (nlink > 1) linked.set(ino, [...(linked.get(ino) ?? []), relative]);
      else found.set(relative, await md5Of(path));
    } else if (entry.isDirectory() && !limits.forgetsEmptyDirectories) found.set(relative, 'directory');
  }
  for (const [first = '', ...others] of linked.values()) {
    const shown = [first, ...others].find((path) => held.has(path)) ?? first;
    found.set(shown, await md5Of(join(top, shown)));
  }
  return found;
}

async function md5Of(path: string): Promise<string> {
  return createHash('md5')
    .update(await readFile(path))
    .digest('hex');
}
