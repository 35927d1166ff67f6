import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { AccountStore } from '../config/accounts.js';
import { type Directories, directoriesOf } from '../config/directories.js';
import { Registry } from '../mount/registry.js';

/** What every command needs. */
export interface Context {
  readonly places: Directories;
  readonly accounts: AccountStore;
  readonly registry: Registry;
}

const places = directoriesOf(process.env);

export const context: Context = {
  places,
  accounts: new AccountStore(places),
  registry: new Registry(places),
};

/** The directory that is meant, without links: as the kernel's mount table and our registry name it. */
export function mountpointOf(target: string): string {
  const path = resolve(target);
  try {
    return realpathSync(path);
  } catch {
    // Missing, or a dead mount that cannot be looked at: its parent can.
  }
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
