/** Logs a person in to Acronis: with name and password, or in the browser (OAuth 2, `authorization_code`). */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { ProviderError } from '../errors.js';
import { encodeForm } from '../http/auth/oauth1.js';
import { type AcronisCredentials, TokenClient } from './tokens.js';

interface LoginOptions {
  /** As `resolveEndpoints('acronis', …)` gives them. */
  readonly endpoints: Readonly<Record<string, string>>;
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly signal?: AbortSignal;
  /** Ms; default 60,000. */
  readonly deadlineMs?: number;
  readonly clock?: Clock;
}

/** Resolves with the credentials to store. They keep the password, for servers without refresh tokens. Rejects with `auth`. */
export async function passwordLogin(
  options: LoginOptions & { readonly username: string; readonly password: string },
): Promise<AcronisCredentials> {
  const { username, password } = options;
  return await client(options).grant(
    { grant_type: 'password', username, password },
    { username, password, ...clientOf(options) },
    options.signal,
  );
}

export interface BegunAuthorization {
  /** The page where the person grants access. */
  readonly authorizeUrl: string;
  /** The callback must carry this `state`. A callback with another one does not belong to this login and is refused. */
  readonly state: string;
}

/** Step one, without a request. After consent the server sends the browser to `redirectUri` with `code` and `state`. */
export function beginAuthorization(
  options: Pick<LoginOptions, 'endpoints'> & { readonly clientId: string; readonly redirectUri: string },
): BegunAuthorization {
  const state = randomBytes(16).toString('hex');
  const query = encodeForm({
    response_type: 'code',
    client_id: options.clientId,
    redirect_uri: options.redirectUri,
    state,
  });
  return { authorizeUrl: `${options.endpoints.authorize}?${query}`, state };
}

/** Step two, with the callback's query. Resolves with the credentials to store. Rejects with `auth`. */
export async function finishAuthorization(
  options: LoginOptions & {
    readonly clientId: string;
    readonly redirectUri: string;
    readonly begun: BegunAuthorization;
    readonly answer: { readonly code?: string; readonly state?: string; readonly error?: string };
  },
): Promise<AcronisCredentials> {
  const { answer, begun, redirectUri } = options;
  if (answer.state !== begun.state)
    throw new ProviderError('auth', 'the answer is not to the login that was begun here', { data: {} });
  const code = answer.code ?? '';
  if (code === '') throw new ProviderError('auth', 'access was not granted', { data: { providerCode: answer.error } });
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri };
  return await client(options).grant(form, clientOf(options), options.signal);
}

function client({ endpoints, deadlineMs, clock }: LoginOptions): TokenClient {
  return new TokenClient({ token: endpoints.token ?? '', deadlineMs, clock });
}

function clientOf({ clientId, clientSecret }: LoginOptions): AcronisCredentials {
  return { ...(clientId === undefined ? {} : { clientId }), ...(clientSecret === undefined ? {} : { clientSecret }) };
}
