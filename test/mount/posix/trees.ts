/** What an ordinary directory has, as it is compared with what a service has. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a service's mounts cannot do, or cannot promise. */
export interface Limits {
  /** Errnos that say so. */
  readonly lenient: readonly string[];
  /** Empty directories are local: they do not come back from the service. */
  readonly forgetsEmptyDirectories: boolean;
}

/** The MD5 of each file, `directory` for each directory, by relative path. */
export async function treeOf(top: string, limits: Limits): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(top, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const relative = path.slice(top.length + 1);
    if (entry.isFile())
      found.set(
        relative,
        createHash('md5')
          .update(await readFile(path))
          .digest('hex'),
      );
    else if (!limits.forgetsEmptyDirectories) found.set(relative, 'directory');
  }
  return found;
}
