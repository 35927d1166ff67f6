/** The provider of an account's file, and whether that file is still what it was made of. */
import { systemClock } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { type AccountStore, type StoredAccount, storable } from '../config/accounts.js';
import type { MountOptions } from '../config/options.js';
import type { AcronisCredentials, Renewal } from '../providers/acronis/tokens.js';
import { ProviderError } from '../providers/errors.js';
import { createProvider } from '../providers/registry.js';
import type { MadeProvider } from './renewing-provider.js';

export interface ProviderOptions {
  readonly account: string;
  readonly accounts: AccountStore;
  readonly options: Pick<MountOptions, 'deadline' | 'delete'>;
  readonly log: Log;
  /** The process ends soon: a token that it cannot store would be lost. */
  readonly isBrief?: boolean;
}

/** The one way to a provider of a stored account, for mounts and for commands: whoever renews its tokens stores them. */
export function makeProvider(stored: StoredAccount, options: ProviderOptions): MadeProvider {
  // As this provider has read the file, or written it last.
  let known = stored;
  const provider = createProvider(stored.provider, {
    endpoints: stored.endpoints,
    credentials: stored.credentials,
    deadlineMs: options.options.deadline,
    disposal: options.options.delete,
    clock: systemClock,
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
    /** Tokens of its own are nothing new: taking them up for a login would ask for ever what is refused for good. */
    get fingerprint() {
      return fingerprintOf(known);
    },
  };
}

/** Renews under the account's lock, and with what its file has by then: a refresh token that is used twice is dead. */
function renewalOf(options: ProviderOptions, known: () => StoredAccount, learn: (now: StoredAccount) => void): Renewal {
  const { account, accounts, log } = options;
  return async (renew, signal) => {
    let begun = false;
    const act = async (): Promise<AcronisCredentials> => {
      const stored = storedNow(accounts, account);
      // Logged out: the mount goes on to its end, and nobody else has its tokens.
      if (stored === null) return await renew();
      const isOurs = fingerprintOf(stored) === fingerprintOf(known());
      // A login of another user is a matter of whoever made this provider, who takes it up or ends.
      if (!isOurs && !isOfSameUser(stored, known()))
        throw new ProviderError('auth', `'${account}' was logged in to as another user meanwhile`, { data: {} });
      // Whether it can be written is better known before a token is spent than after.
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
      // A mount lives on with tokens that it cannot store; a command would take them with it.
      if (options.isBrief && known().credentials.refreshToken !== undefined) throw error;
      log.warn({ reason: messageOf(error) }, 'new tokens cannot be stored: they live as long as this process');
      return await renew();
    }
  };
}

/** What the account's file throws where nothing can be written. */
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

/** A provider of what the account's file holds now; null where that is nothing new, or cannot be read. */
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
