/** Sends a request of the service's documents as the user wrote it, with the login and the limits of the account. */

import { type BodyChunk, isStored } from '../../content.js';
import { ProviderError } from '../../errors.js';
import type { ApiAnswer } from '../../provider.js';
import { TryFailure } from '../answers/http-error.js';
import type { Call, CallOptions } from '../client/call.js';
import type { HttpClient } from '../client/client.js';
import type { Content } from '../transport/wire.js';
import { openDownload } from './download.js';

/** The client handles these itself: it renews refused credentials, and waits after too many requests. Only later answers count. */
const ownBusiness = new Set([401, 429]);
/** Redirects that a GET follows. 308 is not among them: 4shared answers it for an upload that is not complete. */
const followed = new Set([301, 302, 303, 307]);

/**
 * Resolves with the service's answer, also if that is an error. A redirect of a GET is followed, without the credentials. A request that is
 * not safe to repeat is sent once. Rejects with `ProviderError` if there is no answer, and for 401 and 429.
 */
export async function sendDocumented(http: HttpClient, call: Call, options: CallOptions): Promise<ApiAnswer> {
  const accept = Array.from({ length: 500 }, (_, at) => at + 100).filter(
    (status) => !ownBusiness.has(status) && !(call.method === 'GET' && followed.has(status)),
  );
  const opened = await http.repeat(call, (begin) => openDownload(http, { ...call, accept }, begin, options), options);
  return { status: opened.status, headers: opened.headers, body: withoutTries(opened.chunks()) };
}

/**
 * Fields as a JSON object: `link[ttl]` is the field `ttl` of the object `link`; `link[recipients][][email]` is a field of an object in a
 * list. `true`, `false`, `null` and integers become such values; everything else is text.
 */
export function nested(fields: Readonly<Record<string, string>>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    const [first = '', ...rest] = key.split(/\]?\[/).map((part) => part.replace(/\]$/, ''));
    place(root, [first, ...rest], typed(value));
  }
  return root;
}

function place(into: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) into[name] = value;
  else if (rest[0] === '') {
    const list = Array.isArray(into[name]) ? (into[name] as unknown[]) : [];
    into[name] = list;
    if (rest.length === 1) list.push(value);
    else {
      const item: Record<string, unknown> = {};
      list.push(item);
      place(item, rest.slice(1), value);
    }
  } else {
    const inner = into[name];
    const object = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? inner : {};
    into[name] = object;
    place(object as Record<string, unknown>, rest, value);
  }
}

function typed(value: string): unknown {
  if (value === 'true' || value === 'false') return value === 'true';
  if (value === 'null') return null;
  return /^-?(?:0|[1-9]\d{0,15})$/.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Content that is in memory. */
export function contentOf(bytes: Uint8Array): Content {
  return {
    size: bytes.length,
    async *open() {
      if (bytes.length > 0) yield bytes;
    },
  };
}

async function* withoutTries(chunks: AsyncIterable<BodyChunk>): AsyncGenerator<Uint8Array> {
  try {
    // No piece is stored here, because the request asks for no pieces.
    for await (const chunk of chunks) if (!isStored(chunk)) yield chunk;
  } catch (error) {
    throw error instanceof TryFailure ? error.error : error;
  }
}

/**
 * The URL of a path below a base URL, without its query, and the query. Throws `invalid-name` for a path that leads elsewhere, because
 * the credentials would go there.
 */
export function urlBelow(
  base: string,
  path: string,
): { readonly url: string; readonly query: Readonly<Record<string, string>> } {
  const home = new URL(`${base}/`);
  let target: URL;
  try {
    target = new URL(base + path);
  } catch {
    throw leadsElsewhere(path);
  }
  const isBelow = path.startsWith('/') && target.origin === home.origin && target.pathname.startsWith(home.pathname);
  if (!isBelow) throw leadsElsewhere(path);
  return { url: target.origin + target.pathname, query: Object.fromEntries(target.searchParams) };
}

function leadsElsewhere(path: string): ProviderError {
  return new ProviderError(
    'invalid-name',
    `'${path}' is no path of the service: it begins with '/', as in its documents`,
    {
      data: {},
    },
  );
}
