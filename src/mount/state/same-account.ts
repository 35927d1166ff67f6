/** Decides which state on this machine belongs to an account, even if its service does not tell the user. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { codeOf } from '../../base/errors.js';
import { readFrom, type Sql } from '../../base/sqlite.js';
import type { StoredAccount } from '../../config/accounts.js';
import type { BaseDirectories } from '../../config/base-directories.js';
import type { Account, Provider, RemoteRef } from '../../providers/provider.js';

/** Known files that are looked up at the provider; each costs a request, and a plan may allow only 60 an hour. */
const LOOKED_FOR = 5;

/** The name of the state directory of a user of a service: another user's login under the same name must not get these files. */
export function identityOf(name: string, { provider, userId }: Pick<StoredAccount, 'provider' | 'userId'>): string {
  return `${name}@${createHash('sha256').update(`${provider}\n${userId}`).digest('hex').slice(0, 12)}`;
}

/**
 * Whether new credentials are for the account that `stored` describes. A new API key looks like another user. If it were taken for one,
 * pending uploads would be left behind unnoticed. So known files of the account are looked up through the new credentials. If none are
 * known, the user's choice of the same name decides. A running mount accepts any login under its name.
 */
export async function isSameAccount(
  name: string,
  stored: StoredAccount,
  places: Pick<BaseDirectories, 'state'>,
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

/** The newest known files: they are the most likely to exist still. */
function knownFiles(sql: Sql): RemoteRef[] {
  const rows = sql
    .prepare(
      `SELECT remote_id AS id, remote_parent AS parentId FROM inode
       WHERE kind = 0 AND remote_id IS NOT NULL AND parent IS NOT NULL ORDER BY ino DESC LIMIT ?`,
    )
    .all(LOOKED_FOR) as { id: string; parentId: string | null }[];
  return rows.map((row) => ({ kind: 'file', ...row }));
}
