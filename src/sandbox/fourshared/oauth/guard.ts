/** Access control: verifies OAuth 1.0a requests against the consumer and the granted tokens. */
import { randomBytes } from 'node:crypto';
import { ApiError, badTimestamp, badToken, unauthorized, usedNonce } from '../errors.js';
import type { SandboxCredentials, Settings } from '../options.js';
import {
  baseUrl,
  hmacSha1,
  type Parameter,
  parseAuthorization,
  percentEncode,
  sameSignature,
  signatureBaseString,
} from './signature.js';

/** The credentials that a call needs: the user's access token, a request token, only the consumer, only its key, or none. */
export type AuthKind = 'user' | 'request-token' | 'consumer' | 'public' | 'none';

export interface SignedRequest {
  method: string;
  scheme: string;
  authority: string;
  path: string;
  query: URLSearchParams;
  form: URLSearchParams | undefined;
  authorization: string | undefined;
}

export interface TokenStore {
  accessTokens: Map<string, string>;
  requestTokens: Map<string, { secret: string }>;
}

const required = ['oauth_consumer_key', 'oauth_signature_method', 'oauth_signature', 'oauth_timestamp', 'oauth_nonce'];

export class OAuthGuard {
  /** Nonces by timestamp, so that all nonces before the window can be dropped together. */
  #nonces = new Map<number, Set<string>>();
  #lastSweep = 0;

  constructor(
    readonly credentials: SandboxCredentials,
    readonly tokens: TokenStore,
    readonly settings: Settings,
    readonly now: () => number,
  ) {}

  /** Returns the request's oauth parameters, or throws the documented error. */
  verify(request: SignedRequest, kind: AuthKind): Map<string, string> {
    if (kind === 'none') return new Map();
    const fromHeader = parseAuthorization(request.authorization);
    if (request.authorization !== undefined && !fromHeader)
      throw unauthorized('The Authorization header is not OAuth.');
    const all: Parameter[] = [...(fromHeader ?? []), ...request.query, ...(request.form ?? [])];
    const oauth = collect(all);
    const { consumerKey, consumerSecret } = this.credentials;
    // "To issue public calls you only need an application's consumer key."
    if (kind === 'public' && !oauth.has('oauth_signature') && oauth.get('oauth_consumer_key') === consumerKey)
      return oauth;

    for (const name of required) if (!oauth.get(name)) throw unauthorized(`${name} is missing.`);
    if (oauth.get('oauth_signature_method') !== 'HMAC-SHA1') throw unauthorized('Only HMAC-SHA1 signatures are taken.');
    if ((oauth.get('oauth_version') ?? '1.0') !== '1.0') throw unauthorized('oauth_version must be 1.0.');
    const timestamp = this.#timestamp(oauth.get('oauth_timestamp') ?? '');
    if (oauth.get('oauth_consumer_key') !== consumerKey) throw unauthorized('Unknown consumer key.');
    const token = oauth.get('oauth_token') ?? '';
    const tokenSecret = this.#tokenSecret(token, kind);

    const base = signatureBaseString(request.method, baseUrl(request.scheme, request.authority, request.path), all);
    const expected = hmacSha1(base, consumerSecret, tokenSecret);
    if (!sameSignature(expected, oauth.get('oauth_signature') ?? ''))
      throw new ApiError(
        '401.0300',
        'Unauthorized.',
        null,
        `The signature is wrong; the server's base string: ${base}`,
      );
    this.#useNonce(timestamp, `${token} ${oauth.get('oauth_nonce')}`);
    return oauth;
  }

  #timestamp(text: string): number {
    const { timestampSkewSeconds } = this.settings;
    if (!/^\d+$/.test(text)) throw badTimestamp(timestampSkewSeconds);
    const timestamp = Number(text);
    if (Math.abs(this.now() / 1000 - timestamp) > timestampSkewSeconds) throw badTimestamp(timestampSkewSeconds);
    return timestamp;
  }

  #tokenSecret(token: string, kind: AuthKind): string {
    if (kind === 'consumer') {
      if (token !== '') throw unauthorized('This call takes no token.');
      return '';
    }
    if (kind === 'public' && token === '') return '';
    const secret =
      kind === 'request-token' ? this.tokens.requestTokens.get(token)?.secret : this.tokens.accessTokens.get(token);
    if (secret === undefined) throw badToken();
    return secret;
  }

  #useNonce(timestamp: number, nonce: string): void {
    const used = this.#nonces.get(timestamp) ?? new Set();
    if (used.has(nonce)) throw usedNonce();
    this.#nonces.set(timestamp, used.add(nonce));
    const now = this.now() / 1000;
    if (now - this.#lastSweep < 60) return;
    this.#lastSweep = now;
    const oldest = now - this.settings.timestampSkewSeconds;
    for (const seen of this.#nonces.keys()) if (seen < oldest) this.#nonces.delete(seen);
  }
}

/** RFC 5849 section 3.1: each protocol parameter at most once, in one of the three places. */
function collect(parameters: readonly Parameter[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (!name.startsWith('oauth_')) continue;
    if (found.has(name)) throw unauthorized(`${name} is given twice.`);
    found.set(name, value);
  }
  return found;
}

/** A secret or token of the length in the documents' examples. */
export function randomToken(bytes = 20): string {
  return randomBytes(bytes).toString('hex');
}

export function randomCredentials(): SandboxCredentials {
  return {
    consumerKey: randomToken(16),
    consumerSecret: randomToken(),
    token: randomToken(16),
    tokenSecret: randomToken(),
  };
}

/** The `a=b&c=d` that the oauth endpoints answer. */
export function formEncode(fields: Record<string, string>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .join('&');
}
