/**
 * The three-legged login of the documents ("Authorization"): request token, the person's consent in a browser, access
 * token. The documents mention `oauth_callback_confirmed` but no verifier. So both flows work here: OAuth 1.0a with a
 * verifier, and OAuth 1.0 without.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { ProviderError } from '../errors.js';
import { TryFailure } from '../http/answers/http-error.js';
import { encodeForm, type OAuth1Keys, oauth1Signer } from '../http/auth/oauth1.js';
import { HttpClient } from '../http/client/client.js';
import { readError } from './error-table.js';

interface LoginOptions {
  /** Only `api` is used. */
  readonly endpoints: { readonly api: string };
  readonly consumerKey: string;
  readonly consumerSecret: string;
  readonly signal?: AbortSignal;
  /** Ms; default 60,000. */
  readonly deadlineMs?: number;
  readonly clock?: Clock;
}

export interface BegunLogin {
  /** The page where the person grants access. */
  readonly authorizeUrl: string;
  readonly requestToken: string;
  readonly requestTokenSecret: string;
}

/**
 * Step one. `callback` is the URL that the server sends the browser to after consent. With `oob` the person copies a code
 * instead, or only says "done".
 */
export async function beginLogin(options: LoginOptions & { readonly callback: string | 'oob' }): Promise<BegunLogin> {
  const { callback } = options;
  const answer = await postForm(options, {}, '/oauth/initiate', { oauth_callback: callback });
  const { token, tokenSecret } = tokensOf(answer, '/oauth/initiate');
  // A server that did not confirm the callback expects it in the authorize URL, as in OAuth 1.0.
  const confirmed = answer.get('oauth_callback_confirmed') === 'true';
  const query = { oauth_token: token, ...(confirmed || callback === 'oob' ? {} : { oauth_callback: callback }) };
  return {
    authorizeUrl: `${base(options)}/oauth/authorize?${encodeForm(query)}`,
    requestToken: token,
    requestTokenSecret: tokenSecret,
  };
}

/** Step three, after the consent. `verifier` is the callback's `oauth_verifier`, or the code that the page showed, if any. */
export async function finishLogin(
  options: LoginOptions & {
    readonly requestToken: string;
    readonly requestTokenSecret: string;
    readonly verifier?: string;
  },
): Promise<{ readonly token: string; readonly tokenSecret: string }> {
  const keys = { token: options.requestToken, tokenSecret: options.requestTokenSecret };
  const verifier = options.verifier?.trim() ?? '';
  const answer = await postForm(options, keys, '/oauth/token', verifier === '' ? {} : { oauth_verifier: verifier });
  return tokensOf(answer, '/oauth/token');
}

function base(options: LoginOptions): string {
  return options.endpoints.api.replace(/\/+$/, '');
}

async function postForm(
  options: LoginOptions,
  token: Pick<OAuth1Keys, 'token' | 'tokenSecret'>,
  path: '/oauth/initiate' | '/oauth/token',
  extra: Readonly<Record<string, string>>,
): Promise<URLSearchParams> {
  const { consumerKey, consumerSecret, clock = systemClock, deadlineMs } = options;
  const http = new HttpClient({
    signer: oauth1Signer({ consumerKey, consumerSecret, ...token }, clock, extra),
    readError,
    clock,
    deadlineMs,
    maxConnections: 1,
    secrets: [consumerKey, consumerSecret, token.token ?? '', token.tokenSecret ?? '', extra.oauth_verifier ?? ''],
  });
  // A second request token does no harm. But a request token can be exchanged only once.
  const idempotent = path === '/oauth/initiate';
  const call = { method: 'POST', route: `POST ${path}`, url: base(options) + path, idempotent } as const;
  const headers = { accept: 'application/x-www-form-urlencoded, */*' };
  try {
    return await http.request(
      { ...call, headers },
      { decode: ({ text }) => new URLSearchParams(text.trim()) },
      { signal: options.signal },
    );
  } catch (error) {
    throw error instanceof TryFailure ? error.error : error;
  } finally {
    await http.close();
  }
}

function tokensOf(answer: URLSearchParams, path: string): { token: string; tokenSecret: string } {
  const token = answer.get('oauth_token') ?? '';
  const tokenSecret = answer.get('oauth_token_secret') ?? '';
  if (token !== '' && tokenSecret !== '') return { token, tokenSecret };
  throw new ProviderError('protocol', `POST ${path}: an answer without a token`, { data: { route: `POST ${path}` } });
}
