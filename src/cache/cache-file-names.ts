/** The files of cached revisions lie in 256 directories. A directory's name is the first two letters of its files' names. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

export function nameOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 40);
}

/** The names of all files, a directory at a time: there may be a hundred thousand, and a stat of each would take seconds. */
export function fileNamesInParts(directory: string): (() => string[])[] {
  const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.map(
    ({ name }) =>
      () =>
        readdirSync(join(directory, name)),
  );
}
