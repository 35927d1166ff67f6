/** Signs requests with OAuth 1.0a (RFC 5849), by the package oauth-1.0a. */
import { createHmac, randomUUID } from 'node:crypto';
import OAuth from 'oauth-1.0a';
import type { Clock } from '../../../base/clock.js';
import type { SignedParts, Signer } from './signer.js';

export interface OAuth1Keys {
  readonly consumerKey: string;
  readonly consumerSecret: string;
  /** Absent in the request for a request token. */
  readonly token?: string;
  readonly tokenSecret?: string;
}

/** RFC 5849, section 3.6. Throws URIError on a lone surrogate. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `a=1&b=2`, percent-encoded as the signature needs it. A space is `%20`: every server reads that, but not every one `+`. */
export function encodeForm(fields: Readonly<Record<string, string>>): string {
  let text = '';
  for (const key in fields)
    text += `${text === '' ? '' : '&'}${percentEncode(key)}=${percentEncode(fields[key] ?? '')}`;
  return text;
}

/** 122 random bits. Node.js draws the bits of many UUIDs at once; one `randomBytes` takes as long as the rest of a signature. */
const uniqueNonce = (): string => randomUUID().replaceAll('-', '');

/**
 * Signs with OAuth 1.0a (RFC 5849), HMAC-SHA1, parameters in the Authorization header. `extra` are further `oauth_`
 * parameters of the login's steps (`oauth_callback`, `oauth_verifier`).
 */
export function oauth1Signer(
  keys: OAuth1Keys,
  clock: Pick<Clock, 'now'>,
  extra: Readonly<Record<string, string>> = {},
  nonce: () => string = uniqueNonce,
): Signer {
  const oauth = new OAuth({
    consumer: { key: keys.consumerKey, secret: keys.consumerSecret },
    signature_method: 'HMAC-SHA1',
    hash_function: (base, key) => createHmac('sha1', key).update(base).digest('base64'),
  });
  let offsetMs = 0;
  // The package's own nonce comes from Math.random, and its timestamp knows no correction by the server's clock.
  oauth.getNonce = nonce;
  oauth.getTimeStamp = () => Math.floor((clock.now() + offsetMs) / 1000);
  const token = keys.token === undefined ? undefined : { key: keys.token, secret: keys.tokenSecret ?? '' };
  return {
    authorization({ method, url, form }: SignedParts): string {
      // A new object for each call, because the package merges the query into `data`.
      const signed = oauth.authorize({ method, url, data: { ...form, ...extra } }, token);
      return oauth.toHeader({ ...signed, ...extra }).Authorization;
    },
    adjustTime(serverNow) {
      offsetMs = serverNow - clock.now();
    },
  };
}
