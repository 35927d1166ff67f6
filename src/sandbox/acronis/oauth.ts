/** OAuth 2.0 (RFC 6749): "Supported grant types: password, authorization_code". */
import { createHash, randomBytes } from 'node:crypto';
import { type Answer, type Exchange, formType, jsonAnswer } from '../http/exchange.js';
import { escapeHtml, page } from '../http/page.js';
import type { Method, Resource } from './dialect.js';
import { OAuthError } from './errors.js';
import type { AcronisCredentials, AcronisReadings, AcronisSettings } from './options.js';
import type { AcronisTokens, Granted } from './tokens.js';

interface Code {
  client: string;
  redirect: string;
  /** The challenge of PKCE (RFC 7636), if the application uses it. */
  challenge: string | null;
  expires: number;
}

const outOfBand = 'urn:ietf:wg:oauth:2.0:oob';
const mostForm = 64 * 1024;
/** The query parameters that the page's buttons send on. */
const asked = [
  'response_type',
  'client_id',
  'redirect_uri',
  'state',
  'scope',
  'code_challenge',
  'code_challenge_method',
];

export interface OAuthParts {
  tokens: AcronisTokens;
  credentials: AcronisCredentials;
  readings: AcronisReadings;
  settings: AcronisSettings;
  now: () => number;
}

export function oauthResources({ tokens, credentials, readings, settings, now }: OAuthParts): Resource[] {
  const codes = new Map<string, Code>();

  async function token(exchange: Exchange): Promise<Answer> {
    const form = await formOf(exchange);
    const client = clientOf(exchange, form);
    switch (form.get('grant_type')) {
      case 'password':
        return granted(password(form, client));
      case 'authorization_code':
        return granted(codeGrant(form, client));
      case 'refresh_token':
        return granted(tokens.refresh(required(form, 'refresh_token'), client));
      default:
        throw new OAuthError('unsupported_grant_type', 'password, authorization_code or refresh_token');
    }
  }

  function password(form: URLSearchParams, client: string): Granted {
    if (client === '' && readings.passwordClient === 'required') throw unknownClient();
    const right =
      required(form, 'username') === credentials.username && required(form, 'password') === credentials.password;
    if (!right) throw new OAuthError('invalid_grant', 'The user name or the password is wrong.');
    return tokens.grant(client);
  }

  /** A code works once, only for its application and redirect address. */
  function codeGrant(form: URLSearchParams, client: string): Granted {
    if (client === '') throw unknownClient();
    const given = required(form, 'code');
    const code = codes.get(given);
    codes.delete(given);
    if (!code || code.client !== client || now() >= code.expires)
      throw new OAuthError('invalid_grant', 'The code is invalid.');
    if (form.get('redirect_uri') !== code.redirect) throw new OAuthError('invalid_grant', 'redirect_uri differs.');
    const verifier = form.get('code_verifier');
    if (code.challenge !== null) {
      const made = createHash('sha256')
        .update(verifier ?? '')
        .digest('base64url');
      if (made !== code.challenge) throw new OAuthError('invalid_grant', 'code_verifier is wrong.');
    }
    return tokens.grant(client);
  }

  /** The application's id, or an empty string without one. A wrong secret is always refused. */
  function clientOf({ request }: Exchange, form: URLSearchParams): string {
    const basic = basicOf(request.headers.authorization);
    const inBody = form.get('client_id');
    if (basic && readings.clientAuth === 'body') throw unknownClient();
    if (inBody !== null && !basic && readings.clientAuth === 'basic') throw unknownClient();
    const [id, secret] = basic ?? [inBody, form.get('client_secret')];
    if (id === null || id === undefined) return '';
    if (id !== credentials.clientId || secret !== credentials.clientSecret) throw unknownClient();
    return id;
  }

  function granted({ accessToken, refreshToken, expiresIn }: Granted): Answer {
    const body = {
      access_token: accessToken,
      token_type: 'bearer',
      ...(readings.expiresIn ? { expires_in: expiresIn } : {}),
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    };
    return jsonAnswer(body, 200, { 'cache-control': 'no-store', pragma: 'no-cache' });
  }

  /** A page with two buttons, which POST to the same address. */
  async function authorize(exchange: Exchange): Promise<Answer> {
    const form = exchange.method === 'POST' ? await formOf(exchange) : exchange.query;
    // An error without a trusted redirect address is shown here, on a page.
    if (form.get('client_id') !== credentials.clientId) return page('<p>The application is unknown.</p>', 400);
    const redirect = form.get('redirect_uri') ?? '';
    if (redirect !== outOfBand && !URL.canParse(redirect)) return page('<p>redirect_uri is missing.</p>', 400);
    if (form.get('response_type') !== 'code') return sentBack(form, { error: 'unsupported_response_type' });
    if (form.has('code_challenge') && form.get('code_challenge_method') !== 'S256')
      return sentBack(form, { error: 'invalid_request' });
    const decision = readings.autoApprove ? 'allow' : exchange.method === 'POST' ? form.get('decision') : null;
    if (decision === 'allow') return sentBack(form, { code: issue(form) });
    if (decision === 'deny') return sentBack(form, { error: 'access_denied' });
    const hidden = asked.flatMap((name) => {
      const value = form.get(name);
      return value === null ? [] : [`<input type="hidden" name="${name}" value="${escapeHtml(value)}">`];
    });
    return page(
      `<p>An application asks for access to the files of this sandbox account.</p>
      <form method="post" action="authorize">${hidden.join('')}
      <button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`,
    );
  }

  function issue(form: URLSearchParams): string {
    const code = randomBytes(16).toString('hex');
    codes.set(code, {
      client: credentials.clientId,
      redirect: form.get('redirect_uri') ?? '',
      challenge: form.get('code_challenge'),
      expires: now() + settings.codeLifetimeSeconds * 1000,
    });
    return code;
  }

  function sentBack(form: URLSearchParams, outcome: Record<string, string>): Answer {
    const redirect = form.get('redirect_uri') ?? '';
    if (redirect === outOfBand) {
      const code = outcome.code;
      return page(
        code === undefined ? '<p>Access was denied.</p>' : `<p>Your code: <code id="code">${code}</code></p>`,
      );
    }
    const location = new URL(redirect);
    const state = form.get('state');
    for (const [name, value] of Object.entries(outcome)) location.searchParams.set(name, value);
    if (state !== null) location.searchParams.set('state', state);
    return { status: 302, headers: { location: location.href } };
  }

  const open = (handle: Method['handle']): Method => ({ auth: 'none', query: 'any', handle });
  return [
    { path: '/api/2/idp/token', label: '/api/2/idp/token', methods: { POST: open(token) } },
    {
      path: '/api/2/idp/authorize',
      label: '/api/2/idp/authorize',
      methods: { GET: open(authorize), POST: open(authorize) },
    },
  ];
}

async function formOf(exchange: Exchange): Promise<URLSearchParams> {
  if (exchange.mediaType !== formType) throw new OAuthError('invalid_request', `The body must be ${formType}.`);
  const text = await exchange.text(mostForm, () => new OAuthError('invalid_request', 'The body is too long.'));
  const form = new URLSearchParams(text);
  for (const name of form.keys())
    if (form.getAll(name).length > 1) throw new OAuthError('invalid_request', `${name} is given twice.`);
  return form;
}

function required(form: URLSearchParams, name: string): string {
  const value = form.get(name);
  if (!value) throw new OAuthError('invalid_request', `${name} is missing.`);
  return value;
}

/** RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined. */
function basicOf(authorization: string | undefined): [id: string, secret: string] | undefined {
  const encoded = authorization?.match(/^Basic ([0-9A-Za-z+/=]+)$/)?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const plain = (part: string) => decodeURIComponent(part.replaceAll('+', ' '));
  return [plain(text.slice(0, colon)), plain(text.slice(colon + 1))];
}

function unknownClient(): OAuthError {
  const headers = { 'www-authenticate': 'Basic realm="idp"' };
  return new OAuthError('invalid_client', 'The application is unknown or its secret is wrong.', 401, headers);
}
