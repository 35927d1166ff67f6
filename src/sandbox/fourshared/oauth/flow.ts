/** The three-legged flow: `/oauth/initiate`, `/oauth/authorize`, `/oauth/token`. */

import { type Answer, formType } from '../../http/exchange.js';
import { escapeHtml, page } from '../../http/page.js';
import type { Call, Method, Resource } from '../call.js';
import { badToken, missing, unauthorized, userRefused } from '../errors.js';
import type { Readings } from '../options.js';
import { formEncode, randomToken, type TokenStore } from './guard.js';

interface RequestToken {
  secret: string;
  callback: string | undefined;
  verifier: string;
  state: 'new' | 'allowed' | 'denied';
}

/** Request and access tokens. Reports each change of the access tokens, so that it can be stored. */
export class Tokens implements TokenStore {
  readonly requestTokens = new Map<string, RequestToken>();

  constructor(
    readonly accessTokens: Map<string, string>,
    readonly changed: (token: string, secret: string | null) => void,
  ) {}

  grant(): { token: string; secret: string } {
    const granted = { token: randomToken(16), secret: randomToken() };
    this.accessTokens.set(granted.token, granted.secret);
    this.changed(granted.token, granted.secret);
    return granted;
  }

  /** Makes a token, or all of them, answer 401.0301. */
  revoke(token?: string): void {
    for (const known of [...this.accessTokens.keys()]) {
      if (token !== undefined && token !== known) continue;
      this.accessTokens.delete(known);
      this.changed(known, null);
    }
  }

  /** Does what the user's click on Allow does. Returns the verifier. */
  approve(requestToken: string): string {
    const request = this.requestTokens.get(requestToken);
    if (!request) throw badToken();
    request.state = 'allowed';
    return request.verifier;
  }
}

export function oauthResources(tokens: Tokens, readings: Readings): Resource[] {
  /** "Returns Request Token with HTTP Status 200", in the form encoding of the example. */
  function initiate({ oauth, query, form }: Call): Answer {
    const callback = oauth.get('oauth_callback') ?? query.get('oauth_callback') ?? form.get('oauth_callback');
    const token = randomToken(16);
    const request: RequestToken = {
      secret: randomToken(),
      callback: undefined,
      verifier: randomToken(4),
      state: 'new',
    };
    if (callback && callback !== 'oob') request.callback = callback;
    tokens.requestTokens.set(token, request);
    return formAnswer({ oauth_token: token, oauth_token_secret: request.secret, oauth_callback_confirmed: 'true' });
  }

  function authorize(exchange: Call): Answer {
    const token = exchange.optional('oauth_token');
    if (!token) throw missing('oauth_token');
    const request = tokens.requestTokens.get(token);
    if (!request) throw badToken();
    // "a user is redirected to the URL specified in the oauth_callback parameter". The documents do not say of which call.
    const given = exchange.query.get('oauth_callback');
    if (given && given !== 'oob') request.callback ??= given;
    const decision = exchange.method === 'POST' ? exchange.form.get('decision') : null;
    if (readings.autoApprove || decision === 'allow') return decided(token, request, 'allowed');
    if (decision === 'deny') return decided(token, request, 'denied');
    return page(
      `<p>An application asks for access to the files of this sandbox account.</p>
      <form method="post" action="authorize"><input type="hidden" name="oauth_token" value="${escapeHtml(token)}">
      <button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`,
    );
  }

  function decided(token: string, request: RequestToken, state: 'allowed' | 'denied'): Answer {
    request.state = state;
    const allowed = state === 'allowed';
    const verifier = allowed && readings.verifier === 'used' ? request.verifier : undefined;
    if (!request.callback) {
      if (!allowed) return page('<p>Access was denied.</p>');
      return page(verifier ? `<p>Your code: <code id="verifier">${verifier}</code></p>` : '<p>Access was allowed.</p>');
    }
    const location = new URL(request.callback);
    location.searchParams.set(allowed ? 'oauth_token' : 'denied', token);
    if (verifier) location.searchParams.set('oauth_verifier', verifier);
    return { status: 302, headers: { location: location.href } };
  }

  /** Exchanges an allowed request token, once. */
  function exchangeToken({ oauth }: Call): Answer {
    const token = oauth.get('oauth_token') ?? '';
    const request = tokens.requestTokens.get(token);
    if (!request) throw badToken();
    if (request.state === 'denied') throw userRefused();
    if (request.state === 'new') throw unauthorized('The user has not allowed it yet.');
    if (readings.verifier === 'used' && oauth.get('oauth_verifier') !== request.verifier)
      throw unauthorized('oauth_verifier is missing or wrong.');
    tokens.requestTokens.delete(token);
    const granted = tokens.grant();
    return formAnswer({ oauth_token: granted.token, oauth_token_secret: granted.secret });
  }

  const method = (auth: Method['auth'], body: Method['body'], handle: Method['handle']): Method => ({
    auth,
    body,
    json: false,
    handle,
  });
  return [
    {
      path: '/oauth/initiate',
      label: '/oauth/initiate',
      methods: { POST: method('consumer', 'optional-form', initiate) },
    },
    {
      path: '/oauth/authorize',
      label: '/oauth/authorize',
      // The page's button sends a POST.
      methods: { GET: method('none', 'none', authorize), POST: method('none', 'form', authorize) },
    },
    {
      path: '/oauth/token',
      label: '/oauth/token',
      methods: { POST: method('request-token', 'optional-form', exchangeToken) },
    },
  ];
}

function formAnswer(fields: Record<string, string>): Answer {
  return { status: 200, headers: { 'content-type': formType }, body: formEncode(fields) };
}
