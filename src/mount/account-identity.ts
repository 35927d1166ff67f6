/** Whose account it is: as the provider says, or, where it cannot be reached, as it said last. */
import { codeOf, messageOf, SyncmountError } from '../base/errors.js';
import type { Sql } from '../base/sqlite.js';
import type { StoredAccount } from '../config/accounts.js';
import type { Account, Provider } from '../providers/provider.js';

/** How long a mount that could do without waits for the provider, ms: at boot the network may be a moment away. */
const PATIENCE = 10_000;

/** Failures that tell nothing of the account. */
const away: ReadonlySet<string> = new Set(['network', 'timeout', 'server', 'protocol', 'rate-limited', 'aborted']);

export interface Identity {
  readonly account: Account;
  /** Why it is from memory; null where the provider has said it just now. */
  readonly unreachable: string | null;
}

/** Throws what the provider throws where nothing is remembered, and `other-user`. */
export async function identifyAccount(provider: Provider, { userId }: StoredAccount, sql: Sql): Promise<Identity> {
  const remembered = recall(sql);
  try {
    const account = await provider.account(remembered === null ? {} : { signal: AbortSignal.timeout(PATIENCE) });
    // Of the others, `login` has found out who they are.
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
    return { account: remembered, unreachable: isLate ? `no answer within ${PATIENCE / 1000} s` : messageOf(error) };
  }
}

function recall(sql: Sql): Account | null {
  const value = sql.prepare('SELECT value FROM memory WHERE name = ?').pluck().get('account') as string | undefined;
  return value === undefined ? null : (JSON.parse(value) as Account);
}
