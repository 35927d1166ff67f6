/** Access tokens, refresh tokens and authorization codes. */
import { randomBytes } from 'node:crypto';
import { OAuthError, Unauthorized } from './errors.js';
import type { AcronisReadings, AcronisSettings } from './options.js';

interface Token {
  kind: 'access' | 'refresh';
  /** 0: it never expires. */
  expires: number;
  /** The application that received it. Empty: none. */
  client: string;
}

export interface Granted {
  accessToken: string;
  refreshToken?: string;
  expiresIn: number;
}

/** 32 bytes in base64 end in one `=`: the document's pattern `^Bearer [0-9a-zA-Z\-\._~+/]*=$` taken literally. */
const bearer = /^Bearer ([0-9a-zA-Z\-._~+/]*=)$/;
const newToken = () => randomBytes(32).toString('base64');

export class AcronisTokens {
  #tokens = new Map<string, Token>();

  /** `changed` is called after each change, to store it. */
  constructor(
    saved: ReadonlyMap<string, string>,
    readonly readings: AcronisReadings,
    readonly settings: AcronisSettings,
    readonly now: () => number,
    readonly changed: (token: string, value: string | null) => void,
  ) {
    for (const [token, value] of saved) this.#tokens.set(token, JSON.parse(value) as Token);
  }

  /** Issues tokens as after a login. Tests call it too. A given `refresh` token stays valid, and no new one is issued. */
  grant(client = '', refresh?: string): Granted {
    const { tokenLifetimeSeconds, refreshLifetimeSeconds } = this.settings;
    const granted: Granted = { accessToken: newToken(), expiresIn: tokenLifetimeSeconds };
    this.#put(granted.accessToken, 'access', tokenLifetimeSeconds, client);
    if (refresh === undefined && this.readings.refreshTokens !== 'none') {
      granted.refreshToken = newToken();
      this.#put(granted.refreshToken, 'refresh', refreshLifetimeSeconds, client);
    }
    return granted;
  }

  /** Uses a refresh token. If refresh tokens rotate, this works once. */
  refresh(token: string, client: string): Granted {
    const known = this.#tokens.get(token);
    if (known?.kind !== 'refresh' || this.#isOver(known))
      throw new OAuthError('invalid_grant', 'The token is invalid.');
    if (known.client !== client) throw new OAuthError('invalid_grant', 'The token is of another client.');
    if (this.readings.refreshTokens === 'none')
      throw new OAuthError('unsupported_grant_type', 'No refresh tokens here.');
    if (this.readings.refreshTokens === 'fixed') return this.grant(client, token);
    this.#drop(token);
    return this.grant(client);
  }

  /** Expires one access token or all. Refresh tokens stay valid. */
  expire(token?: string): void {
    for (const [known, { kind }] of [...this.#tokens])
      if (kind === 'access' && (token === undefined || token === known)) this.#drop(known);
  }

  /** Revokes one token or all of them. Then only a new login helps. */
  revoke(token?: string): void {
    for (const known of [...this.#tokens.keys()]) if (token === undefined || token === known) this.#drop(known);
  }

  authenticate(authorization: string | undefined): void {
    const token = this.#tokens.get(authorization?.match(bearer)?.[1] ?? '');
    if (token?.kind !== 'access' || this.#isOver(token))
      throw new Unauthorized(this.readings.unauthorizedBody === 'error');
  }

  #put(token: string, kind: Token['kind'], seconds: number, client: string): void {
    const made: Token = { kind, client, expires: seconds > 0 ? this.now() + seconds * 1000 : 0 };
    this.#tokens.set(token, made);
    this.changed(token, JSON.stringify(made));
  }

  #drop(token: string): void {
    this.#tokens.delete(token);
    this.changed(token, null);
  }

  #isOver({ expires }: Token): boolean {
    return expires > 0 && this.now() >= expires;
  }
}
