/** Counts the contents in an account's journal while the account is not mounted. */
import { join } from 'node:path';
import { codeOf } from '../../base/errors.js';
import { readFrom } from '../../base/sqlite.js';
import type { AccountStore } from '../../config/accounts.js';
import type { BaseDirectories } from '../../config/base-directories.js';
import { identityOf } from './same-account.js';

/**
 * How many contents wait to be stored. Null if that is unknown: the account was logged out meanwhile, or a process has the journal open.
 */
export function waitingContents(
  name: string,
  accounts: AccountStore,
  places: Pick<BaseDirectories, 'state'>,
): number | null {
  try {
    const identity = identityOf(name, accounts.load(name));
    const found = readFrom(join(places.state, 'accounts', identity, 'state.db'), (sql) =>
      sql.prepare('SELECT count(*) FROM upload').pluck().get(),
    );
    return typeof found === 'number' ? found : null;
  } catch (error) {
    if (codeOf(error) === 'unknown-account') return null;
    throw error;
  }
}
