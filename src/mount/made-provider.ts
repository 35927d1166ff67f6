/** The provider of an account's file, and whether that file is still what it was made of. */
import { systemClock } from '../base/clock.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { AccountStore, StoredAccount } from '../config/accounts.js';
import type { MountOptions } from '../config/options.js';
import { createProvider } from '../providers/registry.js';
import type { MadeProvider } from './live-provider.js';

export interface ProviderOptions {
  readonly account: string;
  readonly accounts: AccountStore;
  readonly options: Pick<MountOptions, 'deadline' | 'delete'>;
  readonly log: Log;
}

export function makeProvider(
  stored: StoredAccount,
  { options, log, accounts, account }: ProviderOptions,
): MadeProvider {
  // As this provider has read the file, or written it last.
  let known = stored;
  const provider = createProvider(stored.provider, {
    endpoints: stored.endpoints,
    credentials: stored.credentials,
    deadlineMs: options.deadline,
    disposal: options.delete,
    clock: systemClock,
    log,
    // Tokens that the provider renews outlive the process.
    onTokens: (renewed) => {
      // A login that came meanwhile stays: it is taken up with the next refusal.
      if (fingerprintOf(accounts.load(account)) !== fingerprintOf(known)) return;
      const credentials = Object.fromEntries(Object.entries(renewed).filter(([, value]) => typeof value === 'string'));
      known = { ...stored, credentials };
      accounts.save(account, known);
    },
  });
  return {
    provider,
    /** Tokens of its own are nothing new: taking them up for a login would ask for ever what is refused for good. */
    get fingerprint() {
      return fingerprintOf(known);
    },
  };
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
