/** `syncmount api`: any request of a service's documents, with the account's login, in the manner of `gh api`. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { systemClock } from '../../base/clock.js';
import { codeOf, messageOf, SyncmountError, UsageError } from '../../base/errors.js';
import { silentLog } from '../../base/log.js';
import { PATIENCE_MS, withPatience } from '../../mount/session/patience.js';
import { makeProvider } from '../../mount/session/provider-factory.js';
import type { ApiAnswer, ApiRequest, Provider, ProviderName } from '../../providers/provider.js';
import type { Context } from '../context.js';
import { complain, print, printAnswer } from '../terminal/output.js';

/** How long a request is retried, ms: as a mount does by default. */
const DEADLINE = 60_000;
/** The largest page of each service ("max 100"; Acronis names none). */
const PAGE = 100;
/** A list of more pages is given up: it does not end. */
const MOST_PAGES = 100_000;

const methods = ['GET', 'POST', 'PUT', 'DELETE'] as const;

export interface ApiOptions {
  readonly field: readonly string[];
  readonly header: readonly string[];
  readonly data?: string;
  readonly endpoint?: string;
  readonly paginate?: boolean;
  readonly include?: boolean;
}

export async function apiCommand(
  { accounts }: Pick<Context, 'accounts'>,
  account: string,
  method: string,
  path: string,
  options: ApiOptions,
): Promise<void> {
  const name = account.replace(/:$/, '');
  const request = requestOf(method, path, options);
  const stored = accounts.load(name);
  const made = makeProvider(stored, {
    account: name,
    accounts,
    options: { deadline: DEADLINE, delete: 'trash' },
    log: silentLog,
    isBrief: true,
  });
  try {
    if (options.paginate) await printPages(made.provider, request, options.include === true);
    else await printWhole(await send(made.provider, request), options.include === true);
  } finally {
    await made.provider.close();
  }
}

async function send(provider: Provider, request: ApiRequest): Promise<ApiAnswer> {
  const { send: act } = provider;
  if (act === undefined) throw new SyncmountError('unsupported', `${provider.name} takes no such requests`);
  const patient = { provider, clock: systemClock };
  return await withPatience(patient, PATIENCE_MS, new AbortController().signal, (signal) =>
    act.call(provider, request, { signal }),
  );
}

/** Throws `UsageError`. */
export function requestOf(method: string, path: string, options: ApiOptions): ApiRequest {
  const known = methods.find((one) => one === method.toUpperCase());
  if (known === undefined) throw new UsageError(`'${method}' is none of ${methods.join(', ')}`);
  if (!path.startsWith('/')) throw new UsageError(`'${path}' does not begin with '/', as the documents' routes do`);
  const { data, endpoint } = options;
  return {
    method: known,
    path,
    fields: pairsOf(options.field, '='),
    headers: pairsOf(options.header, ':'),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(data === undefined ? {} : { data: dataOf(data) }),
  };
}

function pairsOf(given: readonly string[], between: string): Record<string, string> {
  return Object.fromEntries(
    given.map((pair) => {
      const at = pair.indexOf(between);
      if (at < 1) throw new UsageError(`'${pair}' is not NAME${between}VALUE`);
      const value = pair.slice(at + 1);
      return between === ':' ? [pair.slice(0, at).toLowerCase(), value.trim()] : [pair.slice(0, at), value];
    }),
  );
}

function dataOf(file: string): { readonly name: string; readonly bytes: Uint8Array } {
  try {
    return file === '-'
      ? { name: 'stdin', bytes: readFileSync(0) }
      : { name: basename(file), bytes: readFileSync(file) };
  } catch (error) {
    throw new SyncmountError(codeOf(error) ?? 'data', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Exit status 1 for an error. */
async function printWhole({ status, headers, body }: ApiAnswer, withHead: boolean): Promise<void> {
  if (withHead) {
    print(`HTTP ${status}`);
    for (const [name, value] of Object.entries(headers))
      for (const one of [value ?? []].flat()) print(`${name}: ${one}`);
    print('');
  }
  const isText = /json|text|xml|urlencoded/.test(`${headers['content-type'] ?? ''}`);
  for await (const chunk of body) await printAnswer(chunk, isText);
  if (process.stdout.isTTY && isText) print('');
  if (status < 400) return;
  complain(`the service answered with status ${status}`);
  process.exitCode = 1;
}

/** The parameters of a page, from 0. */
const pageFields: Readonly<Record<ProviderName, (page: number) => Record<string, string>>> = {
  '4shared': (page) => ({ limit: `${PAGE}`, offset: `${page * PAGE}` }),
  '4sync': (page) => ({ limit: `${PAGE}`, offset: `${page * PAGE}` }),
  '5sync': (page) => ({ limit: `${PAGE}`, page: `${page + 1}` }),
  acronis: (page) => ({ per_page: `${PAGE}`, page: `${page + 1}` }),
};

/** Each page as one document, one after the other. Ends with a page that is not full, or is the one before again. */
async function printPages(provider: Provider, request: ApiRequest, withHead: boolean): Promise<void> {
  if (request.method !== 'GET') throw new UsageError('only GET has pages');
  let before = '';
  for (let page = 0; page < MOST_PAGES; page++) {
    const fields = { ...pageFields[provider.name](page), ...request.fields };
    const answer = await send(provider, { ...request, fields });
    const parts: Uint8Array[] = [];
    for await (const chunk of answer.body) parts.push(chunk);
    const text = Buffer.concat(parts).toString();
    const entries = entriesIn(text);
    if (text === before || (page > 0 && entries === 0)) return;
    await printWhole({ ...answer, body: once(`${text}\n`) }, withHead);
    if (answer.status >= 400 || entries < PAGE) return;
    before = text;
  }
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** The number of entries of the longest list in an answer; 0 without a list. */
export function entriesIn(text: string): number {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // No JSON: there are no pages.
    return 0;
  }
  const values = Array.isArray(answer) ? [answer] : Object.values((answer as object | null) ?? {});
  return Math.max(0, ...values.map((value: unknown) => (Array.isArray(value) ? value.length : 0)));
}
