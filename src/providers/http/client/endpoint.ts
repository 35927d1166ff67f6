/** Checks base URLs before credentials are sent to them. */

import { isLoopback } from '../../../base/loopback.js';

/**
 * The base URL without a trailing slash; or a `problem`, for the person who typed it. The URL's path must end in `suffix`,
 * such as `/v1_2`.
 */
export function checkEndpoint(value: string, suffix: string): { readonly url: string } | { readonly problem: string } {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return { problem: 'is not a URL' };
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { problem: 'must begin with https://' };
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return { problem: 'must use https: plain http is only allowed to this machine (localhost)' };
  if (url.username !== '' || url.password !== '') return { problem: 'must not contain a user name or password' };
  if (url.search !== '' || url.hash !== '') return { problem: 'must not contain a query or fragment' };
  const path = url.pathname.replace(/\/+$/, '');
  if (!path.endsWith(suffix)) return { problem: `must end in ${suffix}` };
  return { url: url.origin + path };
}
