/** The meaning of a status that the provider's documents do not list: HTTP's own (RFC 9110, 6585, 4918). */
import type { ProviderErrorCode } from '../../errors.js';
import type { Repeat } from './http-error.js';

export interface StatusMeaning {
  readonly code: ProviderErrorCode;
  readonly repeat: Repeat;
}

function meaning(code: ProviderErrorCode, repeat: Repeat = 'never'): StatusMeaning {
  return { code, repeat };
}

const known: Readonly<Record<number, StatusMeaning>> = {
  401: meaning('auth'),
  403: meaning('permission'),
  404: meaning('not-found'),
  405: meaning('unsupported'),
  408: meaning('timeout', 'uncertain'),
  409: meaning('exists'),
  410: meaning('not-found'),
  413: meaning('too-large'),
  414: meaning('invalid-name'),
  423: meaning('permission'),
  425: meaning('server', 'safely'),
  429: meaning('rate-limited', 'safely'),
  501: meaning('unsupported'),
  505: meaning('unsupported'),
  507: meaning('quota'),
};

export function statusMeaning(status: number): StatusMeaning {
  const found = known[status];
  if (found !== undefined) return found;
  if (status >= 500) return meaning('server', 'uncertain');
  // A redirect or another answer out of place: a captive portal, a maintenance page.
  return meaning('protocol', status < 400 ? 'uncertain' : 'never');
}

/** The body of an error answer if it is a JSON object. Undefined for any other body, such as a proxy's HTML or none. */
export function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
