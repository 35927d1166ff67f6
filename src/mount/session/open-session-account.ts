/** Opens the account of a session. If that fails, the error says what the user can do. */
import { messageOf, SyncmountError } from '../../base/errors.js';
import type { StoredAccount } from '../../config/accounts.js';
import { loadHoles } from '../../fuse/holes.js';
import { ProviderError } from '../../providers/errors.js';
import { type OpenAccount, type OpenAccountOptions, openAccount } from './open-account.js';

/** The login command that replaces refused credentials. */
export function loginCommand(name: string, stored: StoredAccount): string {
  return `syncmount login ${name} --provider ${stored.provider}`;
}

/** As `openAccount`. Errors name the provider and the account; for refused credentials also the login command. The provider is closed then. */
export async function openSessionAccount(options: OpenAccountOptions): Promise<OpenAccount> {
  const { name, stored, provider } = options;
  try {
    return await openAccount({ ...options, ...loadHoles() });
  } catch (error) {
    await provider.close();
    if (!(error instanceof ProviderError)) throw error;
    const { code } = error;
    const text =
      code === 'auth'
        ? `${stored.provider} refuses the credentials of '${name}' (${messageOf(error)}); run '${loginCommand(name, stored)}'`
        : `${stored.provider} cannot be asked for the account '${name}' (${messageOf(error)})`;
    throw new SyncmountError(code, text, { cause: error });
  }
}
