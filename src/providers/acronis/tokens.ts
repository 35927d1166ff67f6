/**
 * OAuth 2 as in the Acronis document: grants `password` and `authorization_code`, and `refresh_token` if the server issues
 * refresh tokens. There is one keeper per account; concurrent requests share one renewal.
 */
import { z } from 'zod';
import { type Clock, SteadyTime, systemClock } from '../../base/clock.js';
import { messageOf } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import { decodeJson } from '../http/answers/answer.js';
import { asProviderErrors } from '../http/answers/error-boundary.js';
import type { ErrorMeaning } from '../http/answers/http-error.js';
import { parseJsonObject, statusMeaning } from '../http/answers/status-meaning.js';
import type { Signer } from '../http/auth/signer.js';
import { HttpClient } from '../http/client/client.js';
import { orAborted } from '../or-aborted.js';

export interface AcronisCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly accessToken?: string;
  readonly refreshToken?: string;
  /** When the access token expires, ISO 8601; absent if the server did not say. */
  readonly expiresAt?: string;
}

/** We renew a token that expires within this time, ms. A token with a shorter life is renewed in the second half of it. */
const renewBeforeMs = 60_000;
/** After the server has refused our credentials, we wait this long, ms: more attempts could lock the account. */
const refusalTtlMs = 5 * 60_000;
/**
 * How long to wait for the answer to a refresh request, ms, whatever the callers' deadline. The old refresh token may be
 * spent by then, and only this answer contains the new one.
 */
const refreshTimeoutMs = 60_000;
/** How long `close` waits for that answer, ms. */
const closeTimeoutMs = 5000;

const tokenSchema = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().nullish(),
  expires_in: z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]).nullish(),
});

type Form = Readonly<Record<string, string>>;

/** Errors of the token endpoint (RFC 6749, 5.2): 400 and 401 with `{error, error_description}`. */
export function readTokenError(status: number, text: string): ErrorMeaning {
  const body = parseJsonObject(text);
  const providerCode = typeof body?.error === 'string' ? body.error : undefined;
  const described = body?.error_description ?? body?.message;
  const message = typeof described === 'string' ? described : providerCode;
  if (status === 400 || status === 401 || status === 403)
    return { code: 'auth', repeat: 'never', providerCode, message };
  return { ...statusMeaning(status), providerCode, message };
}

export interface TokenClientOptions {
  /** `https://…/api/2/idp/token` */
  readonly token: string;
  readonly deadlineMs?: number;
  readonly stallMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** Calls the token endpoint. The client authenticates with Basic authentication, or in the form if that is refused. */
export class TokenClient {
  readonly #url: string;
  readonly #options: TokenClientOptions;
  readonly #clock: Clock;
  #clientIn: 'header' | 'form' = 'header';

  constructor(options: TokenClientOptions) {
    this.#url = options.token;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Resolves with `known` and the new tokens. Rejects with `auth` if the server refuses the grant. */
  async grant(form: Form, known: AcronisCredentials, signal?: AbortSignal): Promise<AcronisCredentials> {
    const { clientId, clientSecret } = known;
    if (clientId === undefined) return await this.#request(form, {}, known, signal);
    const inForm = { client_id: clientId, ...(clientSecret === undefined ? {} : { client_secret: clientSecret }) };
    // RFC 6749, 2.3.1: a client without a secret names itself in the form.
    if (clientSecret === undefined || this.#clientIn === 'form')
      return await this.#request({ ...form, ...inForm }, {}, known, signal);
    const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64');
    try {
      return await this.#request(form, { authorization: `Basic ${basic}` }, known, signal);
    } catch (error) {
      const code = error instanceof ProviderError && error.code === 'auth' ? error.data.providerCode : null;
      // `invalid_grant` is about the password or token, and one more try would count against the account.
      if (code === null || code === 'invalid_grant') throw error;
      const granted = await this.#request({ ...form, ...inForm }, {}, known, signal).catch(() => {
        throw error;
      });
      this.#clientIn = 'form';
      return granted;
    }
  }

  async #request(
    form: Form,
    headers: Readonly<Record<string, string>>,
    known: AcronisCredentials,
    signal: AbortSignal | undefined,
  ): Promise<AcronisCredentials> {
    const { deadlineMs = refreshTimeoutMs, stallMs, log } = this.#options;
    const isRefresh = form.grant_type === 'refresh_token';
    const http = new HttpClient({
      readError: readTokenError,
      clock: this.#clock,
      deadlineMs: isRefresh ? Math.max(deadlineMs, refreshTimeoutMs) : deadlineMs,
      stallMs: isRefresh ? undefined : stallMs,
      log,
      maxConnections: 1,
      // The client's id is no secret, but its `Basic` header contains one.
      secrets: [
        ...secretsOf(known),
        ...Object.values(form).filter((value) => value.length >= 8),
        ...Object.values(headers).map((value) => value.replace('Basic ', '')),
      ],
    });
    const route = 'POST token';
    // A code or a rotating refresh token is spent by its first use.
    const idempotent = form.grant_type === 'password';
    try {
      const answer = await asProviderErrors(() =>
        http.request(
          { method: 'POST', route, url: this.#url, form, headers, idempotent },
          { decode: (given) => decodeJson(tokenSchema, given, route) },
          { signal },
        ),
      );
      const { expiresAt: _, ...rest } = known;
      const seconds = answer.expires_in;
      return {
        ...rest,
        accessToken: answer.access_token,
        // A server that does not rotate refresh tokens does not send the old one again.
        ...(answer.refresh_token ? { refreshToken: answer.refresh_token } : {}),
        ...(typeof seconds === 'number' && seconds > 0
          ? { expiresAt: new Date(this.#clock.now() + seconds * 1000).toISOString() }
          : {}),
      };
    } finally {
      await http.close();
    }
  }
}

/**
 * Renews credentials that other processes use too. Runs `renew` under a lock, stores the result, and resolves with it.
 * `stored` are the credentials that another process has stored meanwhile, if any.
 */
export type Renewal = (
  renew: (stored?: AcronisCredentials) => Promise<AcronisCredentials>,
  signal: AbortSignal,
) => Promise<AcronisCredentials>;

export interface TokenKeeperOptions extends TokenClientOptions {
  readonly credentials: AcronisCredentials;
  /** Without it, new credentials stay in memory only. */
  readonly renewal?: Renewal;
}

export class TokenKeeper implements Signer {
  readonly #client: TokenClient;
  readonly #clock: Clock;
  readonly #time: SteadyTime;
  readonly #renewal: Renewal;
  /** Ms; how long a caller waits for a new token. */
  readonly #renewalTimeoutMs: number;
  #credentials: AcronisCredentials;
  #renewing: Promise<void> | undefined;
  /** A request that spends the refresh token is in flight. */
  #isRefreshing = false;
  #renewBeforeMs = renewBeforeMs;
  #refused: { readonly error: ProviderError; readonly at: number } | undefined;
  /** Aborted by `close`. After that no new token comes. */
  readonly #closing = new AbortController();

  constructor(options: TokenKeeperOptions) {
    this.#client = new TokenClient(options);
    this.#clock = options.clock ?? systemClock;
    this.#time = new SteadyTime(this.#clock);
    this.#renewal = options.renewal ?? ((renew) => renew());
    this.#renewalTimeoutMs = options.deadlineMs ?? refreshTimeoutMs;
    this.#credentials = options.credentials;
  }

  get credentials(): AcronisCredentials {
    return this.#credentials;
  }

  secrets(): string[] {
    return secretsOf(this.#credentials);
  }

  authorization(): string {
    return `Bearer ${this.#credentials.accessToken ?? ''}`;
  }

  /** Renews the token if it is about to expire. */
  async prepare(signal?: AbortSignal): Promise<void> {
    const { accessToken, expiresAt } = this.#credentials;
    if (accessToken === undefined) return await this.#renewOnce(signal);
    const left = Date.parse(expiresAt ?? '') - this.#clock.now();
    if (Number.isNaN(left) || left > this.#renewBeforeMs || !this.#canRenew()) return;
    try {
      await this.#renewOnce(signal);
    } catch (error) {
      // While the old token is valid, a failing token endpoint is no error.
      if (left <= 0 || (error instanceof ProviderError && error.code === 'aborted')) throw error;
    }
  }

  /** Called after a 401. Resolves with true if there is another token now. Rejects if the renewal fails. */
  async renew(refused: string, signal?: AbortSignal): Promise<boolean> {
    if (refused !== this.authorization()) return true;
    if (!this.#canRenew()) return false;
    await this.#renewOnce(signal);
    return refused !== this.authorization();
  }

  /** Resolves when no renewal is in flight. */
  async close(): Promise<void> {
    const renewing = this.#renewing?.catch(() => undefined);
    if (this.#isRefreshing) await Promise.race([renewing, this.#clock.sleep(closeTimeoutMs, this.#closing.signal)]);
    this.#closing.abort();
    await renewing;
  }

  #canRenew(): boolean {
    const { refreshToken, username, password } = this.#credentials;
    return refreshToken !== undefined || (username !== undefined && password !== undefined);
  }

  async #renewOnce(signal: AbortSignal | undefined): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    const timer = new AbortController();
    const timeout = this.#clock.sleep(this.#renewalTimeoutMs, timer.signal).then(() => {
      throw new ProviderError('timeout', 'POST token: no answer in time', { data: {} });
    });
    timeout.catch(() => undefined);
    try {
      await orAborted(Promise.race([this.#renewing, timeout]), signal);
    } finally {
      timer.abort();
    }
  }

  async #renew(): Promise<void> {
    const refused = this.#refused;
    if (refused !== undefined && this.#time.now() - refused.at < refusalTtlMs) throw refused.error;
    const before = this.#credentials;
    try {
      this.#credentials = await this.#renewal(async (stored = before) => {
        const { accessToken } = stored;
        // Another process has renewed the credentials: use its tokens, because ours are spent.
        if (accessToken !== undefined && accessToken !== before.accessToken && !this.#isExpired(stored)) return stored;
        return await this.#requestTokens(stored);
      }, this.#closing.signal);
    } catch (error) {
      const failure = error instanceof ProviderError ? error : this.#renewalFailure(error);
      if (failure.code === 'auth') this.#refused = { error: failure, at: this.#time.now() };
      throw failure;
    }
    const lifetime = Date.parse(this.#credentials.expiresAt ?? '') - this.#clock.now();
    if (lifetime > 0) this.#renewBeforeMs = Math.min(renewBeforeMs, lifetime / 2);
    this.#refused = undefined;
  }

  #isExpired({ expiresAt }: AcronisCredentials): boolean {
    return Date.parse(expiresAt ?? '') <= this.#clock.now();
  }

  /** The error for a renewal that failed before its request: the refresh token is not spent. */
  #renewalFailure(cause: unknown): ProviderError {
    if (this.#closing.signal.aborted) return new ProviderError('aborted', 'cancelled', { cause, data: {} });
    return new ProviderError('timeout', `the login cannot be renewed: ${messageOf(cause)}`, { cause, data: {} });
  }

  async #requestTokens(known: AcronisCredentials): Promise<AcronisCredentials> {
    const { refreshToken, username, password } = known;
    const { signal } = this.#closing;
    const byPassword = (): Promise<AcronisCredentials> => {
      if (username === undefined || password === undefined)
        throw new ProviderError('auth', 'the login has expired, and nothing is there to renew it with', { data: {} });
      const { refreshToken: _, ...rest } = known;
      return this.#client.grant({ grant_type: 'password', username, password }, rest, signal);
    };
    if (refreshToken === undefined) return await byPassword();
    try {
      this.#isRefreshing = true;
      return await this.#client.grant({ grant_type: 'refresh_token', refresh_token: refreshToken }, known, signal);
    } catch (error) {
      const isRefused = error instanceof ProviderError && error.code === 'auth';
      if (!isRefused || password === undefined) throw error;
    } finally {
      this.#isRefreshing = false;
    }
    return await byPassword();
  }
}

/** The strings that no message may contain. */
export function secretsOf({ password, clientSecret, accessToken, refreshToken }: AcronisCredentials): string[] {
  return [password, clientSecret, accessToken, refreshToken].filter(
    (secret) => secret !== undefined && secret !== '',
  ) as string[];
}
