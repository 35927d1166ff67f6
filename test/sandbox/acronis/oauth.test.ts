import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AcronisSandbox, startSandbox } from '../../../src/sandbox/index.js';
import { Client } from './client.js';

let sandbox: AcronisSandbox;
let client: Client;
let now = 0;
beforeEach(async () => {
  now = Date.now();
  sandbox = await startSandbox({ provider: 'acronis', now: () => now });
  client = new Client(sandbox);
});
afterEach(() => sandbox.close());

interface TokenJson {
  access_token: string;
  token_type: string;
  expires_in?: number;
  refresh_token?: string;
}
const password = () => {
  const { username, password } = sandbox.credentials;
  return { grant_type: 'password', username, password };
};
const own = () => ({ client_id: sandbox.credentials.clientId, client_secret: sandbox.credentials.clientSecret });
const tokens = async (form: Record<string, string>, headers?: Record<string, string>): Promise<TokenJson> => {
  const answer = await client.grant(form, headers);
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as TokenJson;
};
const refusal = async (form: Record<string, string>, headers?: Record<string, string>) => {
  const answer = await client.grant(form, headers);
  return `${answer.status} ${((await answer.json()) as { error: string }).error}`;
};
const works = async (token: string) => {
  client.token = token;
  return (await client.contents()).status === 200;
};

describe('the bearer token', () => {
  it('is needed for every request of the API', async () => {
    expect(sandbox.endpoints.api).toMatch(/\/fc\/api\/v1$/);
    for (const token of ['', 'x', 'AAAA='])
      for (const path of ['/sync_and_share_nodes/0/contents', '/nothing']) {
        client.token = token;
        const answer = await client.send('GET', path);
        expect([answer.status, await answer.text()]).toEqual([401, '']);
      }
    sandbox.readings.unauthorizedBody = 'error';
    expect(await (await client.contents()).json()).toHaveProperty('error.message');
  });

  it('expires, is revoked, and is renewed', async () => {
    const granted = sandbox.tokens.grant();
    expect(granted.accessToken).toMatch(/^[0-9a-zA-Z\-._~+/]*=$/);
    expect(await works(granted.accessToken)).toBe(true);
    now += 3_600_000;
    expect(await works(granted.accessToken)).toBe(false);
    const renewed = await tokens({ grant_type: 'refresh_token', refresh_token: granted.refreshToken ?? '' });
    expect(await works(renewed.access_token)).toBe(true);
    sandbox.tokens.expire();
    expect(await works(renewed.access_token)).toBe(false);
    sandbox.tokens.revoke();
    expect(await refusal({ grant_type: 'refresh_token', refresh_token: renewed.refresh_token ?? '' })).toBe(
      '400 invalid_grant',
    );
  });
});

describe('the password grant', () => {
  it('takes the right ones, with or without an application', async () => {
    const plain = await tokens(password());
    expect(plain).toMatchObject({ token_type: 'bearer', expires_in: 3600, refresh_token: expect.any(String) });
    expect(await works(plain.access_token)).toBe(true);
    await tokens({ ...password(), ...own() });
    expect(await refusal({ ...password(), password: 'wrong' })).toBe('400 invalid_grant');
    expect(await refusal({ ...password(), ...own(), client_secret: 'wrong' })).toBe('401 invalid_client');
    expect(await refusal({ grant_type: 'password' })).toBe('400 invalid_request');
    expect(await refusal({ grant_type: 'client_credentials' })).toBe('400 unsupported_grant_type');
    const json = await fetch(sandbox.endpoints.token, { method: 'POST', body: '{}' });
    expect(json.status).toBe(400);
  });

  it('follows the readings of the application and of the answer', async () => {
    const { clientId, clientSecret } = sandbox.credentials;
    const basic = { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` };
    await tokens(password(), basic);
    sandbox.readings.clientAuth = 'body';
    expect(await refusal(password(), basic)).toBe('401 invalid_client');
    sandbox.readings.clientAuth = 'basic';
    expect(await refusal({ ...password(), ...own() })).toBe('401 invalid_client');
    await tokens(password(), basic);
    sandbox.readings.passwordClient = 'required';
    expect(await refusal(password())).toBe('401 invalid_client');
    sandbox.readings.expiresIn = false;
    sandbox.readings.refreshTokens = 'none';
    expect(Object.keys(await tokens(password(), basic))).toEqual(['access_token', 'token_type']);
  });
});

describe('refresh tokens', () => {
  const refresh = (token = '') => ({ grant_type: 'refresh_token', refresh_token: token });

  it('rotate or stay', async () => {
    const first = await tokens(password());
    const second = await tokens(refresh(first.refresh_token));
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await refusal(refresh(first.refresh_token))).toBe('400 invalid_grant');
    sandbox.readings.refreshTokens = 'fixed';
    expect(await tokens(refresh(second.refresh_token))).not.toHaveProperty('refresh_token');
    expect(await works((await tokens(refresh(second.refresh_token))).access_token)).toBe(true);
    expect(await refusal(refresh(second.access_token))).toBe('400 invalid_grant');
  });

  it('belong to their application', async () => {
    const granted = await tokens({ ...password(), ...own() });
    expect(await refusal(refresh(granted.refresh_token))).toBe('400 invalid_grant');
    await tokens({ ...refresh(granted.refresh_token), ...own() });
  });
});

describe('the authorization code', () => {
  const redirect = 'http://127.0.0.1:9/callback';
  const ask = (more: Record<string, string> = {}) => ({
    response_type: 'code',
    client_id: sandbox.credentials.clientId,
    redirect_uri: redirect,
    state: 's"1',
    ...more,
  });
  const visit = (query: Record<string, string>) =>
    fetch(`${sandbox.endpoints.authorize}?${new URLSearchParams(query)}`, { redirect: 'manual' });
  const click = (form: Record<string, string>) =>
    fetch(sandbox.endpoints.authorize, { method: 'POST', body: new URLSearchParams(form), redirect: 'manual' });
  const sentTo = (answer: Response) => new URL(answer.headers.get('location') ?? '');
  const exchange = (code: string, more: Record<string, string> = {}) => ({
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirect,
    ...own(),
    ...more,
  });

  it('comes by a click on Allow, and works once', async () => {
    const html = await (await visit(ask())).text();
    expect(html).toContain('>Allow</button>');
    const fields = [...html.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name,
      value.replace('&#34;', '"'),
    ]);
    const back = sentTo(await click({ ...Object.fromEntries(fields), decision: 'allow' }));
    expect([back.origin, back.searchParams.get('state')]).toEqual(['http://127.0.0.1:9', 's"1']);
    const code = back.searchParams.get('code') ?? '';
    expect(await works((await tokens(exchange(code))).access_token)).toBe(true);
    expect(await refusal(exchange(code))).toBe('400 invalid_grant');
  });

  it('can be denied, granted at once, shown, and kept to its maker', async () => {
    expect(sentTo(await click({ ...ask(), decision: 'deny' })).searchParams.get('error')).toBe('access_denied');
    expect((await visit(ask({ client_id: 'other' }))).status).toBe(400);
    expect((await visit(ask({ redirect_uri: '' }))).status).toBe(400);
    expect(sentTo(await visit(ask({ response_type: 'token' }))).searchParams.get('error')).toMatch(/unsupported/);
    sandbox.readings.autoApprove = true;
    const code = async (more?: Record<string, string>) => sentTo(await visit(ask(more))).searchParams.get('code') ?? '';
    expect(await refusal(exchange(await code(), { redirect_uri: 'http://127.0.0.1:9/other' }))).toBe(
      '400 invalid_grant',
    );
    expect(await refusal({ ...exchange(await code()), client_secret: 'x' })).toBe('401 invalid_client');
    const late = await code();
    now += 600_000;
    expect(await refusal(exchange(late))).toBe('400 invalid_grant');
    const oob = 'urn:ietf:wg:oauth:2.0:oob';
    const shown = (await (await visit(ask({ redirect_uri: oob }))).text()).match(/id="code">(\w+)</)?.[1] ?? '';
    await tokens(exchange(shown, { redirect_uri: oob }));
  });

  it('is bound to a PKCE verifier where one was announced', async () => {
    sandbox.readings.autoApprove = true;
    const challenge = createHash('sha256').update('verifier').digest('base64url');
    const code = async () => {
      const answer = await visit(ask({ code_challenge: challenge, code_challenge_method: 'S256' }));
      return sentTo(answer).searchParams.get('code') ?? '';
    };
    expect(await refusal(exchange(await code()))).toBe('400 invalid_grant');
    await tokens(exchange(await code(), { code_verifier: 'verifier' }));
  });
});
