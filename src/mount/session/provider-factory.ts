/** Makes the provider of a stored account, and a new one when the account's file has changed. */
import { systemClock } from '../../base/clock.js';
import { codeOf, messageOf } from '../../base/errors.js';
// `AccountStore.exclusively` loads it when it is needed, which may be after an upgrade has replaced the files of the program.
import '../../base/file-lock.js';
import type { Log } from '../../base/log.js';
import { type AccountStore, type StoredAccount, storable } from '../../config/accounts.js';
import type { MountOptions } from '../../config/options.js';
import type { AcronisCredentials, Renewal } from '../../providers/acronis/tokens.js';
import { ProviderError } from '../../providers/errors.js';
import type { MakeExchanger } from '../../providers/http/transport/exchanger.js';
import type { Bandwidth } from '../../providers/http/transport/token-bucket.js';
import { createProvider } from '../../providers/registry.js';
import type { MadeProvider } from './renewing-provider.js';

export interface ProviderOptions {
  readonly account: string;
  readonly accounts: AccountStore;
  readonly options: Pick<MountOptions, 'deadline' | 'delete'>;
  readonly log: Log;
  /** The process ends soon (a command), so a token that it cannot store would be lost. */
  readonly isBrief?: boolean;
  /** Transfers large bodies outside of the event loop. */
  readonly bulk?: MakeExchanger;
  /** The limits that transfers keep to. */
  readonly bandwidth?: Bandwidth;
}

/** Makes the provider of a stored account, for mounts and for commands. Invariant: renewed tokens are stored. */
export function makeProvider(stored: StoredAccount, options: ProviderOptions): MadeProvider {
  // The account's file as this provider last read or wrote it.
  let known = stored;
  const provider = createProvider(stored.provider, {
    endpoints: stored.endpoints,
    credentials: stored.credentials,
    deadlineMs: options.options.deadline,
    disposal: options.options.delete,
    clock: systemClock,
    bulk: options.bulk,
    bandwidth: options.bandwidth,
    log: options.log,
    renewal: renewalOf(
      options,
      () => known,
      (now) => {
        known = now;
      },
    ),
  });
  return {
    provider,
    /**
     * The fingerprint covers tokens that this provider renewed itself. If they counted as a new login, a refused request would be repeated
     * for ever.
     */
    get fingerprint() {
      return fingerprintOf(known);
    },
  };
}

/** Renews under the account's lock, with the tokens that the file has by then, because a refresh token works only once. */
function renewalOf(options: ProviderOptions, known: () => StoredAccount, learn: (now: StoredAccount) => void): Renewal {
  const { account, accounts, log } = options;
  return async (renew, signal) => {
    let begun = false;
    const act = async (): Promise<AcronisCredentials> => {
      const stored = storedNow(accounts, account);
      // The account was logged out. The mount goes on until it ends, and no other process has its tokens.
      if (stored === null) return await renew();
      const isOurs = fingerprintOf(stored) === fingerprintOf(known());
      // Another user has logged in. The owner of this provider switches to that login, or ends.
      if (!isOurs && !isOfSameUser(stored, known()))
        throw new ProviderError('auth', `'${account}' was logged in to as another user meanwhile`, { data: {} });
      // A test write: a file that cannot be written must be noticed before a token is spent, not after.
      if (stored.credentials.refreshToken !== undefined) accounts.save(account, stored);
      begun = true;
      const renewed = await renew(isOurs ? undefined : stored.credentials);
      learn({ ...stored, credentials: storable(renewed) });
      if (fingerprintOf(known()) !== fingerprintOf(stored)) store(options, known());
      return renewed;
    };
    try {
      return await accounts.exclusively(account, act, signal);
    } catch (error) {
      if (begun || !unwritable.has(codeOf(error) ?? '')) throw error;
      // A mount lives on with tokens that it cannot store. A command would end, and lose them.
      if (options.isBrief && known().credentials.refreshToken !== undefined) throw error;
      log.warn({ reason: messageOf(error) }, 'new tokens cannot be stored: they live as long as this process');
      return await renew();
    }
  };
}

/** The error codes of an account file that cannot be written. */
const unwritable: ReadonlySet<string> = new Set(['lock', 'directory', 'account-write']);

function store({ account, accounts, log }: ProviderOptions, now: StoredAccount): void {
  try {
    accounts.save(account, now);
  } catch (error) {
    log.error({ reason: messageOf(error) }, 'the new token could not be stored: it lives as long as this process');
  }
}

function storedNow(accounts: AccountStore, account: string): StoredAccount | null {
  try {
    return accounts.load(account);
  } catch (error) {
    if (codeOf(error) === 'unknown-account') return null;
    throw error;
  }
}

function isOfSameUser(a: StoredAccount, b: StoredAccount): boolean {
  return a.userId === b.userId && JSON.stringify(a.endpoints) === JSON.stringify(b.endpoints);
}

/** A provider of the account's file as it is now; null if the file has not changed, or cannot be read. */
export function renewedProvider(current: string, options: ProviderOptions): MadeProvider | null {
  try {
    const stored = options.accounts.load(options.account);
    return fingerprintOf(stored) === current ? null : makeProvider(stored, options);
  } catch (error) {
    options.log.warn({ code: codeOf(error) }, `the account cannot be read: ${messageOf(error)}`);
    return null;
  }
}

function fingerprintOf({ endpoints, credentials }: StoredAccount): string {
  return JSON.stringify([endpoints, credentials]);
}
