import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { codeOf, messageOf, SyncmountError, UsageError } from '../../base/errors.js';
import { requireAccountName, type StoredAccount, storable } from '../../config/accounts.js';
import { isServed } from '../../mount/control/registry.js';
import { purge, unstoredOf } from '../../mount/state/purge.js';
import { isSameAccount } from '../../mount/state/same-account.js';
import type { Renewal } from '../../providers/acronis/tokens.js';
import type { Account, Provider, ProviderName } from '../../providers/provider.js';
import {
  createProvider,
  parseCredentials,
  parseProviderName,
  resolveEndpoints,
  withoutNulls,
  wrongCredentialKeys,
} from '../../providers/registry.js';
import type { Context } from '../context.js';
import { complain, print, printJson } from '../terminal/output.js';
import { interactiveLogin } from './login-flow.js';

/** Deadline of a request during a login, ms. It is short, because a user is waiting. */
const LOGIN_DEADLINE = 10_000;

interface LoginOptions {
  readonly provider: string;
  readonly credentials?: string;
  readonly endpoint: readonly string[];
}

export async function loginCommand(context: Context, name: string, options: LoginOptions): Promise<void> {
  requireAccountName(name);
  const provider = parseProviderName(options.provider);
  const given = parseEndpoints(options.endpoint);
  const endpoints = resolveEndpoints(provider, given);
  const read = options.credentials === undefined ? {} : readCredentials(options.credentials);
  const credentials = isComplete(provider, read) ? read : await interactiveLogin(provider, endpoints, read);
  const known = knownAccount(context, name, provider, given);
  const complete = storable(parseCredentials(provider, credentials));
  // A stored token that this login spends is replaced in the file at once, because the login may fail afterwards.
  const { refreshToken } = complete;
  const isStored = known !== null && refreshToken !== undefined && known.credentials.refreshToken === refreshToken;
  const { account, isKnown, verified } = await verify(
    provider,
    given,
    complete,
    async (client, who) => known !== null && (await isSameAccount(name, known, context.places, who, client)),
    (renew, signal) =>
      context.accounts.exclusively(
        name,
        async () => {
          const renewed = await renew();
          if (isStored) context.accounts.save(name, { ...known, credentials: storable(renewed) });
          return renewed;
        },
        signal,
      ),
  );
  const stored: StoredAccount = {
    provider,
    endpoints: given,
    credentials: verified,
    // If the new credentials are for the same account, the state on this machine stays where it is.
    userId: isKnown && known !== null ? known.userId : account.userId,
    label: account.label,
  };
  // Under the lock: a mount that is renewing the old tokens would else store them over the new ones.
  await context.accounts.exclusively(name, async () => context.accounts.save(name, stored));
  if (known !== null && !isKnown)
    print(
      `This is another account than '${name}' was before; what this machine keeps of that one stays in ${context.places.state}.`,
    );
  print(`Logged in to ${provider} as ${account.label}. To mount it: syncmount mount ${name}: MOUNTPOINT`);
}

interface LogoutOptions {
  readonly purge?: boolean;
  readonly force?: boolean;
}

export async function logoutCommand(context: Context, name: string, options: LogoutOptions): Promise<void> {
  if (options.force && !options.purge) throw new UsageError('--force is for --purge');
  const first = context.registry.all().find((entry) => entry.account === name && isServed(entry));
  // Checked first: for an unknown name nothing must be created.
  const stored = context.accounts.load(name);
  if (options.purge) {
    requirePurgeable(context, name, stored, { mountpoint: first?.mountpoint, isForced: options.force === true });
    // The credentials go last: until then the command can be given again.
    purge(name, stored, context.places);
  }
  await context.accounts.exclusively(name, async () => context.accounts.remove(name));
  print(
    options.purge
      ? `Removed what this machine had of '${name}', and its credentials.`
      : `Forgot the credentials of '${name}'.`,
  );
  if (first !== undefined) {
    complain(`'${name}' stays mounted on ${first.mountpoint} until it is unmounted`);
  }
}

/** Throws `busy` for a mounted account, and `unstored` if contents would be lost that the service does not have. */
function requirePurgeable(
  { places }: Context,
  name: string,
  stored: StoredAccount,
  { mountpoint, isForced }: { readonly mountpoint: string | undefined; readonly isForced: boolean },
): void {
  if (mountpoint !== undefined)
    throw new SyncmountError('busy', `'${name}' is mounted on ${mountpoint}: unmount it first`);
  const { isInUse, isUnreadable, contents, metadata } = unstoredOf(name, stored, places);
  if (isInUse) throw new SyncmountError('busy', `a process has '${name}' mounted: unmount it first`);
  if (isForced) return;
  const what = [
    ...(isUnreadable ? ['its journal cannot be read'] : []),
    ...(contents === 0 ? [] : [`${contents} ${contents === 1 ? 'content is' : 'contents are'} stored nowhere else`]),
    ...(metadata === 0 ? [] : ['changes of modes, times or links are not in the account yet']),
  ];
  if (what.length === 0) return;
  throw new SyncmountError(
    'unstored',
    `nothing was removed, because ${what.join(' and ')}: mount and unmount '${name}' to store them, 'syncmount uploads export DIR ${name}:' copies them out, and --force gives them up`,
  );
}

export function accountsCommand(context: Context, options: { readonly json?: boolean }): void {
  const list = context.accounts.names().map((name) => {
    try {
      const { provider, label, endpoints } = context.accounts.load(name);
      return { name, provider, label, endpoints };
    } catch (error) {
      return { name, provider: '', label: '', endpoints: {}, error: messageOf(error) };
    }
  });
  if (options.json) {
    printJson(list);
    return;
  }
  if (list.length === 0) {
    print("No accounts yet. 'syncmount login NAME --provider PROVIDER' adds one.");
    return;
  }
  for (const { name, provider, label, error } of list)
    print(name, ...(error === undefined ? [provider, label] : [error]));
}

/** `KEY=URL`, …; the provider checks whether the keys exist. */
function parseEndpoints(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals < 1) throw new UsageError(`--endpoint: '${text}' is not KEY=URL`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function readCredentials(file: string): Record<string, unknown> {
  const name = file === '-' ? 'standard input' : file;
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new SyncmountError('credentials', `cannot read the credentials from ${name}: ${codeOf(error)}`);
  }
  try {
    // Editors on Windows begin a file with a byte order mark.
    const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return withoutNulls(value) as Record<string, unknown>;
  } catch {
    // The parser's message quotes the text, and the text holds secrets.
  }
  throw new SyncmountError('credentials', `the credentials in ${name} are not a JSON object`);
}

/** Whether the credentials suffice without asking the user. */
function isComplete(provider: ProviderName, credentials: Record<string, unknown>): boolean {
  try {
    parseCredentials(provider, credentials);
    return true;
  } catch (error) {
    // There is nobody to ask for the rest, or the file was meant to be complete. A wrong value in it is reported instead of being asked for
    // again, because its author wants to know.
    const isFinal = !canBeCompleted(provider, credentials) || wrongCredentialKeys(provider, credentials).length > 0;
    if (error instanceof UsageError && isFinal) throw error;
    return false;
  }
}

function canBeCompleted(
  provider: ProviderName,
  { consumerKey, consumerSecret, clientId }: Record<string, unknown>,
): boolean {
  if (process.stdin.isTTY) return true;
  if (provider === 'acronis') return typeof clientId === 'string';
  return provider !== '5sync' && typeof consumerKey === 'string' && typeof consumerSecret === 'string';
}

/** The account of this name, if it is of the same service: the login may be a renewal. */
function knownAccount(
  { accounts }: Context,
  name: string,
  provider: ProviderName,
  endpoints: Record<string, string>,
): StoredAccount | null {
  try {
    const known = accounts.load(name);
    const isService =
      known.provider === provider &&
      isDeepStrictEqual(resolveEndpoints(provider, known.endpoints), resolveEndpoints(provider, endpoints));
    return isService ? known : null;
  } catch {
    // There is no account, or its file is damaged and will be written anew.
    return null;
  }
}

/**
 * Makes a real request with the credentials and calls `recognise` with its answer. The credentials may come back with tokens.
 * Throws `SyncmountError` with the provider's error.
 */
async function verify(
  provider: ProviderName,
  endpoints: Record<string, string>,
  credentials: Record<string, string>,
  recognise: (client: Provider, account: Account) => Promise<boolean>,
  renewal: Renewal,
): Promise<{ account: Account; isKnown: boolean; verified: Record<string, string> }> {
  let verified = credentials;
  const client = createProvider(provider, {
    endpoints,
    credentials,
    deadlineMs: LOGIN_DEADLINE,
    renewal: async (renew, signal) => {
      const renewed = await renewal(renew, signal);
      verified = storable(renewed);
      return renewed;
    },
  });
  try {
    const account = await client.account();
    const isKnown = await recognise(client, account);
    return { account, isKnown, verified };
  } catch (error) {
    const what = codeOf(error) === 'auth' ? 'refuses these credentials' : 'cannot be asked';
    throw new SyncmountError('login', `${provider} ${what}: ${messageOf(error)}`, { cause: error });
  } finally {
    await client.close();
  }
}
