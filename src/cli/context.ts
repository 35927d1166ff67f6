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

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
