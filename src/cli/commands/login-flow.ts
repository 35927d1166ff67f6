/** The interactive logins, one for each provider. Each resolves with complete credentials. */
import { randomBytes } from 'node:crypto';
import { SyncmountError } from '../../base/errors.js';
import { storable } from '../../config/accounts.js';
import { beginAuthorization, finishAuthorization, passwordLogin } from '../../providers/acronis/login.js';
import { beginLogin, finishLogin } from '../../providers/fourshared/oauth-flow.js';
import type { ProviderName } from '../../providers/provider.js';
import { consent, openCallback } from '../terminal/browser.js';
import { print } from '../terminal/output.js';
import { ask, askHidden, requireTerminal } from '../terminal/prompts.js';

type Given = Readonly<Record<string, unknown>>;
type Endpoints = Readonly<Record<string, string>>;
type Complete = Promise<Record<string, string>>;

/** Asks for the credentials that `given` lacks. Throws `UsageError` without a terminal. */
export function interactiveLogin(provider: ProviderName, endpoints: Endpoints, given: Given): Complete {
  switch (provider) {
    case '4shared':
    case '4sync':
      return oauth1Login(provider, endpoints, given);
    case '5sync':
      return apiKeyLogin();
    case 'acronis':
      return acronisLogin(endpoints, given);
  }
}

/** OAuth 1.0a: request token, consent in the browser, access token. */
async function oauth1Login(provider: string, endpoints: Endpoints, given: Given): Complete {
  const { consumerKey, consumerSecret } = await consumerOf(provider, given);
  const callback = await openCallback();
  try {
    const login = { endpoints: { api: endpoints.api ?? '' }, consumerKey, consumerSecret };
    // The documents do not promise that the token comes back. The query of our own callback URL certainly does.
    const mark = randomBytes(16).toString('hex');
    const { authorizeUrl, ...request } = await beginLogin({ ...login, callback: `${callback.url}?login=${mark}` });
    callback.expect((query) => {
      const token = query.get('oauth_token') ?? query.get('denied');
      return token === null ? query.get('login') === mark : token === request.requestToken;
    });
    const answer = await consent(authorizeUrl, callback);
    const verifier = typeof answer === 'string' ? answer : (answer.get('oauth_verifier') ?? '');
    const tokens = await finishLogin({ ...login, ...request, ...(verifier === '' ? {} : { verifier }) });
    return { consumerKey, consumerSecret, ...tokens };
  } finally {
    callback.close();
  }
}

async function consumerOf(
  provider: string,
  { consumerKey, consumerSecret }: Given,
): Promise<{ consumerKey: string; consumerSecret: string }> {
  if (typeof consumerKey === 'string' && typeof consumerSecret === 'string') return { consumerKey, consumerSecret };
  requireTerminal('the credentials need consumerKey and consumerSecret');
  print(`An application's consumer key is needed; ${provider} gives one out on its developers' page.`);
  return {
    consumerKey: await ask('Consumer key: '),
    consumerSecret: await askHidden('Consumer secret (not shown): '),
  };
}

async function apiKeyLogin(): Complete {
  requireTerminal('the credentials need apiKey');
  print('5sync shows API keys under Settings, Developer, API Keys.');
  return { apiKey: await askHidden('API key (not shown): ') };
}

/** OAuth 2: in the browser if the user has a client of their own, otherwise with name and password. */
async function acronisLogin(endpoints: Endpoints, given: Given): Complete {
  const { clientId, clientSecret } = given;
  const client = {
    ...(typeof clientId === 'string' ? { clientId } : {}),
    ...(typeof clientSecret === 'string' ? { clientSecret } : {}),
  };
  if (client.clientId !== undefined && given.username === undefined) {
    return storable(await acronisBrowserLogin(endpoints, { ...client, clientId: client.clientId }));
  }
  requireTerminal('the credentials need username and password, or clientId');
  const username = typeof given.username === 'string' ? given.username : await ask('Acronis login: ');
  const password = await askHidden('Password (not shown): ');
  return storable(await passwordLogin({ endpoints, username, password, ...client }));
}

async function acronisBrowserLogin(
  endpoints: Endpoints,
  client: { readonly clientId: string; readonly clientSecret?: string },
): Promise<object> {
  const callback = await openCallback();
  try {
    const begun = beginAuthorization({ endpoints, clientId: client.clientId, redirectUri: callback.url });
    callback.expect((query) => query.get('state') === begun.state);
    const answer = await consent(begun.authorizeUrl, callback);
    if (answer === '') throw new SyncmountError('login', 'no code was given');
    const { code, state, error } =
      typeof answer === 'string'
        ? { code: answer, state: begun.state, error: null }
        : { code: answer.get('code'), state: answer.get('state'), error: answer.get('error') };
    return await finishAuthorization({
      endpoints,
      ...client,
      redirectUri: callback.url,
      begun,
      answer: { code: code ?? undefined, state: state ?? undefined, error: error ?? undefined },
    });
  } finally {
    callback.close();
  }
}
