/** The files of cached revisions: in 256 directories, each named by the first two letters of its files. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

export function nameOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 40);
}

/** Of all that are there. A mount begins with it, and there may be a hundred thousand: a look at each would take seconds. */
export function fileNames(directory: string): Set<string> {
  const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return new Set(folders.flatMap(({ name }) => readdirSync(join(directory, name))));
}
