/** Which state on this machine belongs to an account, also where its service does not say who the user is. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { codeOf } from '../base/errors.js';
import { readFrom, type Sql } from '../base/sqlite.js';
import type { StoredAccount } from '../config/accounts.js';
import type { Directories } from '../config/directories.js';
import type { Account, Provider, RemoteRef } from '../providers/provider.js';

/** Files of the state that are looked for at the provider; each costs a request of a plan that may have 60 an hour. */
const LOOKED_FOR = 5;

/** One directory for each user of each service: another login under the same name must not meet this one's files. */
export function identityOf(name: string, { provider, userId }: Pick<StoredAccount, 'provider' | 'userId'>): string {
  return `${name}@${createHash('sha256').update(`${provider}\n${userId}`).digest('hex').slice(0, 12)}`;
}

/**
 * Are new credentials for the account that `stored` describes? A new API key looks like another user; if it were taken
 * for one, contents that wait for their upload would stay behind unseen. So files that are known of the account are
 * looked for through the new credentials. Where none are known, the name that the person has chosen again decides; and a
 * running mount takes up whatever is logged in under its name.
 */
export async function isSameAccount(
  name: string,
  stored: StoredAccount,
  places: Pick<Directories, 'state'>,
  account: Account,
  provider: Pick<Provider, 'stat'>,
): Promise<boolean> {
  if (account.userId === stored.userId) return true;
  if (account.identifiedBy === 'service') return false;
  const found = readFrom(join(places.state, 'accounts', identityOf(name, stored), 'state.db'), knownFiles);
  if (found === 'locked') return true;
  const known = found === 'none' ? [] : found;
  for (const ref of known) {
    try {
      await provider.stat(ref);
      return true;
    } catch (error) {
      if (codeOf(error) !== 'not-found') throw error;
    }
  }
  return known.length === 0 && account.identifiedBy === 'credentials';
}

/** The files that were learned last: the likeliest to be there still. */
function knownFiles(sql: Sql): RemoteRef[] {
  const rows = sql
    .prepare(
      `SELECT remote_id AS id, remote_parent AS parentId FROM inode
       WHERE kind = 0 AND remote_id IS NOT NULL AND parent IS NOT NULL ORDER BY ino DESC LIMIT ?`,
    )
    .all(LOOKED_FOR) as { id: string; parentId: string | null }[];
  return rows.map((row) => ({ kind: 'file', ...row }));
}
