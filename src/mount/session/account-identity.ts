/** Finds out whose account it is. The provider tells; if it cannot be reached, its last answer counts. */
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import type { Sql } from '../../base/sqlite.js';
import type { StoredAccount } from '../../config/accounts.js';
import type { Account, Provider } from '../../providers/provider.js';

/** How long a mount with a remembered account waits for the provider, ms: at boot the network may come a moment later. */
const ACCOUNT_TIMEOUT_MS = 10_000;

/** Error codes that say nothing about the account. */
const away: ReadonlySet<string> = new Set(['network', 'timeout', 'server', 'protocol', 'rate-limited', 'aborted']);

export interface Identity {
  readonly account: Account;
  /** Why the account is the remembered one; null if the provider has just answered. */
  readonly unreachable: string | null;
}

/** Throws the provider's error if no account is remembered, and `other-user`. */
export async function identifyAccount(provider: Provider, { userId }: StoredAccount, sql: Sql): Promise<Identity> {
  const remembered = recall(sql);
  try {
    const account = await provider.account(
      remembered === null ? {} : { signal: AbortSignal.timeout(ACCOUNT_TIMEOUT_MS) },
    );
    // If the service does not tell the user, `login` has already compared the accounts.
    if (account.identifiedBy === 'service' && account.userId !== userId) {
      throw new SyncmountError(
        'other-user',
        `these credentials belong to another user (${account.label}); log in anew`,
      );
    }
    sql.prepare('INSERT OR REPLACE INTO memory (name, value) VALUES (?, ?)').run('account', JSON.stringify(account));
    return { account, unreachable: null };
  } catch (error) {
    if (remembered === null || !away.has(codeOf(error) ?? '')) throw error;
    const isLate = codeOf(error) === 'aborted';
    return {
      account: remembered,
      unreachable: isLate ? `no answer within ${ACCOUNT_TIMEOUT_MS / 1000} s` : messageOf(error),
    };
  }
}

function recall(sql: Sql): Account | null {
  const value = sql.prepare('SELECT value FROM memory WHERE name = ?').pluck().get('account') as string | undefined;
  return value === undefined ? null : (JSON.parse(value) as Account);
}
