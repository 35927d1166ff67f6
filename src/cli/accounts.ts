import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { codeOf, messageOf, SyncmountError, UsageError } from '../base/errors.js';
import { requireAccountName, type StoredAccount, storable } from '../config/accounts.js';
import { isServed } from '../mount/registry.js';
import { isSameAccount } from '../mount/same-account.js';
import type { Renewal } from '../providers/acronis/tokens.js';
import type { Account, Provider, ProviderName } from '../providers/provider.js';
import {
  createProvider,
  parseCredentials,
  parseProviderName,
  resolveEndpoints,
  withoutNulls,
  wrongCredentialKeys,
} from '../providers/registry.js';
import type { Context } from './context.js';
import { interactiveLogin } from './login-flow.js';
import { complain, print, printJson } from './output.js';

/** A login that does not get through says so soon, ms: a person is waiting. */
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
  // Of the credentials that are stored already, a spent token must not stay behind where the login fails afterwards.
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
    // Of the same account under other credentials, what this machine keeps stays where it is.
    userId: isKnown && known !== null ? known.userId : account.userId,
    label: account.label,
  };
  // Not between the steps of a mount that renews the tokens of before, and would store those after ours.
  await context.accounts.exclusively(name, async () => context.accounts.save(name, stored));
  if (known !== null && !isKnown)
    print(
      `This is another account than '${name}' was before; what this machine keeps of that one stays in ${context.places.state}.`,
    );
  print(`Logged in to ${provider} as ${account.label}. To mount it: syncmount mount ${name}: MOUNTPOINT`);
}

export async function logoutCommand(context: Context, name: string): Promise<void> {
  const first = context.registry.all().find((entry) => entry.account === name && isServed(entry));
  // An unknown name is told before anything is made for it.
  context.accounts.load(name);
  await context.accounts.exclusively(name, async () => context.accounts.remove(name));
  print(`Forgot the credentials of '${name}'.`);
  if (first !== undefined) {
    complain(`'${name}' stays mounted on ${first.mountpoint} until it is unmounted`);
  }
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

/** `KEY=URL`, …; whether the keys exist is the provider's to say. */
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
    // Editors on Windows begin a file with a mark of its encoding.
    const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return withoutNulls(value) as Record<string, unknown>;
  } catch {
    // The parser's message quotes the text, and the text holds secrets.
  }
  throw new SyncmountError('credentials', `the credentials in ${name} are not a JSON object`);
}

/** Do the credentials suffice without a person? */
function isComplete(provider: ProviderName, credentials: Record<string, unknown>): boolean {
  try {
    parseCredentials(provider, credentials);
    return true;
  } catch (error) {
    // Nobody is there to be asked for the rest, and a file that names some of it was meant to be complete. What it names
    // wrongly is not asked for anew: whoever wrote it wants to know.
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

/** The account of this name, where it is of the same service: the login may be a renewal. */
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
    // None, or one whose file is damaged: it is written anew.
    return null;
  }
}

/** One real request, and what `recognise` asks. The credentials may come back with tokens. Throws `SyncmountError` with what the provider says. */
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
