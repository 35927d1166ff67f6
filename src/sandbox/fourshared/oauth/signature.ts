/** RFC 5849 (OAuth 1.0) signatures. They are written from the RFC, so that independent code checks the client's library. */
import { createHmac, timingSafeEqual } from 'node:crypto';

export type Parameter = readonly [name: string, value: string];

/** Section 3.6: everything but unreserved characters, in upper-case hexadecimal. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Section 3.4.1: the text that is signed. `url` is scheme, authority and path, already normalized. */
export function signatureBaseString(method: string, url: string, parameters: readonly Parameter[]): string {
  const encoded = parameters
    .filter(([name]) => name !== 'oauth_signature' && name !== 'realm')
    .map(([name, value]): Parameter => [percentEncode(name), percentEncode(value)])
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB));
  const normalized = encoded.map(([name, value]) => `${name}=${value}`).join('&');
  return `${method.toUpperCase()}&${percentEncode(url)}&${percentEncode(normalized)}`;
}

/** Section 3.4.1.2: lower case, without the scheme's default port. */
export function baseUrl(scheme: string, authority: string, path: string): string {
  const defaultPort = scheme === 'https' ? ':443' : ':80';
  const lower = authority.toLowerCase();
  return `${scheme}://${lower.endsWith(defaultPort) ? lower.slice(0, -defaultPort.length) : lower}${path}`;
}

/** Section 3.4.2. */
export function hmacSha1(baseString: string, consumerSecret: string, tokenSecret: string): string {
  const key = `${percentEncode(consumerSecret)}&${percentEncode(tokenSecret)}`;
  return createHmac('sha1', key).update(baseString).digest('base64');
}

export function sameSignature(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Section 3.5.1: the parameters of an Authorization header. Undefined if it has another scheme or is malformed. */
export function parseAuthorization(header: string | undefined): Parameter[] | undefined {
  const match = header?.match(/^OAuth\s+(.*)$/is);
  if (!match?.[1]) return undefined;
  const parameters: Parameter[] = [];
  for (const part of match[1].split(',')) {
    const pair = part.match(/^\s*([^=\s]+)\s*=\s*"([^"]*)"\s*$/);
    if (!pair?.[1] || pair[2] === undefined) return undefined;
    try {
      parameters.push([decodeURIComponent(pair[1]), decodeURIComponent(pair[2])]);
    } catch {
      return undefined;
    }
  }
  return parameters;
}

/** Encoded text is ASCII, so this is the byte order that the RFC requires. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
