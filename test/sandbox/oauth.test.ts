import { afterEach, describe, expect, it } from 'vitest';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/index.js';
import { Client, code, type Secrets, send } from './client.js';

let sandbox: Sandbox;
const start = async (options: SandboxOptions = {}) => {
  sandbox = await startSandbox(options);
  return new Client(sandbox);
};
afterEach(() => sandbox.close());

describe('signed requests', () => {
  it('takes the oauth parameters from header, query or form', async () => {
    const client = await start();
    expect((await client.api('GET', '/user')).status).toBe(200);
    expect((await client.api('GET', '/user', { place: 'query', query: { locale: 'pt-Br' } })).status).toBe(200);
    const form = { parentId: client.root, name: "O'Neil & søn + (1)*" };
    expect((await client.api('POST', '/folders', { form, place: 'body' })).status).toBe(200);
    expect(sandbox.store.stat("/O'Neil & søn + (1)*")?.kind).toBe('folder');
  });

  it('refuses nonces, timestamps, tokens, keys and signatures as documented', async () => {
    const client = await start();
    const { secrets } = client;
    const get = (oauth: Record<string, string>, other: Partial<Secrets> = {}) =>
      code(send(sandbox.endpoints.api, { ...secrets, ...other }, 'GET', '/user', { oauth }));
    expect((await client.api('GET', '/user', { oauth: { oauth_nonce: 'once' } })).status).toBe(200);
    expect(await get({ oauth_nonce: 'once' })).toBe('401.0318');
    expect(await get({ oauth_timestamp: String(Math.floor(Date.now() / 1000) - 301) })).toBe('401.0319');
    expect(await get({ oauth_timestamp: 'now' })).toBe('401.0319');
    expect(await get({}, { token: 'unknown' })).toBe('401.0301');
    expect(await get({}, { tokenSecret: 'wrong' })).toBe('401.0300');
    expect(await get({}, { consumerKey: 'wrong' })).toBe('401.0300');
    expect(await get({ oauth_signature_method: 'PLAINTEXT' })).toBe('401.0300');
    expect(await code(fetch(`${sandbox.endpoints.api}/user`))).toBe('401.0300');
    sandbox.tokens.revoke();
    expect(await get({})).toBe('401.0301');
  });

  it('signs the query and the form', async () => {
    const client = await start();
    const url = `${sandbox.endpoints.api}/user/files?limit=1`;
    const { sign } = await import('./client.js');
    const oauth = sign('GET', new URL(url), client.secrets);
    const query = new URLSearchParams(oauth);
    expect(await code(fetch(`${url.replace('limit=1', 'limit=2')}&${query}`))).toBe('401.0300');
    expect((await fetch(`${url}&${query}`)).status).toBe(200);
  });
});

describe('three-legged flow', () => {
  async function initiate(callback?: string): Promise<Secrets> {
    const { consumerKey, consumerSecret } = sandbox.credentials;
    const oauth: Record<string, string> = callback === undefined ? {} : { oauth_callback: callback };
    const { api } = sandbox.endpoints;
    const answer = await send(api, { consumerKey, consumerSecret }, 'POST', '/oauth/initiate', { oauth });
    const fields = new URLSearchParams(await answer.text());
    expect(fields.get('oauth_callback_confirmed')).toBe('true');
    const [token, tokenSecret] = [fields.get('oauth_token') ?? '', fields.get('oauth_token_secret') ?? ''];
    return { consumerKey, consumerSecret, token, tokenSecret };
  }
  const exchange = (secrets: Secrets, oauth: Record<string, string> = {}) =>
    send(sandbox.endpoints.api, secrets, 'POST', '/oauth/token', { oauth });
  const press = (token: string, decision: string) =>
    fetch(`${sandbox.endpoints.api}/oauth/authorize`, {
      method: 'POST',
      body: new URLSearchParams({ oauth_token: token, decision }),
      redirect: 'manual',
    });

  it('with a callback and a verifier', async () => {
    await start();
    const secrets = await initiate('http://127.0.0.1:9/done?x=1');
    const page = await fetch(`${sandbox.endpoints.api}/oauth/authorize?oauth_token=${secrets.token}`);
    expect(await page.text()).toContain('Allow');
    expect(await code(exchange(secrets))).toBe('401.0300');
    const location = new URL((await press(secrets.token ?? '', 'allow')).headers.get('location') ?? '');
    expect(location.searchParams.get('x')).toBe('1');
    expect(await code(exchange(secrets, { oauth_verifier: 'wrong' }))).toBe('401.0300');
    const answer = await exchange(secrets, { oauth_verifier: location.searchParams.get('oauth_verifier') ?? '' });
    const fields = new URLSearchParams(await answer.text());
    const granted = { token: fields.get('oauth_token') ?? '', tokenSecret: fields.get('oauth_token_secret') ?? '' };
    const user = await send(sandbox.endpoints.api, { ...secrets, ...granted }, 'GET', '/user');
    expect(user.status).toBe(200);
    expect(await code(exchange(secrets))).toBe('401.0301');
  });

  it('out of band, denied, and without a verifier', async () => {
    await start();
    const oob = await initiate('oob');
    expect(await (await press(oob.token ?? '', 'allow')).text()).toMatch(/id="verifier">[0-9a-f]{8}</);
    const denied = await initiate();
    await press(denied.token ?? '', 'deny');
    expect(await code(exchange(denied))).toBe('401.0316');
    Object.assign(sandbox.readings, { verifier: 'unused', autoApprove: true });
    const plain = await initiate();
    expect((await fetch(`${sandbox.endpoints.api}/oauth/authorize?oauth_token=${plain.token}`)).status).toBe(200);
    expect((await exchange(plain)).status).toBe(200);
  });
});
