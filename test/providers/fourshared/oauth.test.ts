import { describe, expect, test } from 'vitest';
import { beginLogin, finishLogin } from '../../../src/providers/fourshared/oauth-flow.js';
import { oauth1Signer } from '../../../src/providers/http/auth/oauth1.js';
import { fail, miniServer } from '../mini-server.js';

const field = (authorization: string | undefined, name: string): string | undefined => {
  const value = new RegExp(`${name}="([^"]*)"`).exec(authorization ?? '')?.[1];
  return value === undefined ? undefined : decodeURIComponent(value);
};

describe('OAuth 1.0a', () => {
  // RFC 5849, section 1.2: "http://photos.example.net/photos?file=vacation.jpg&size=original".
  test('the example of RFC 5849', () => {
    const keys = {
      consumerKey: 'dpf43f3p2l4k3l03',
      consumerSecret: 'kd94hf93k423kf44',
      token: 'nnch734d00sl2jdk',
      tokenSecret: 'pfkkdhi9sl3r4s00',
    };
    const clock = { now: () => 1_191_242_096_000 };
    const signer = oauth1Signer(keys, clock, {}, () => 'kllo9940pd9333jh');
    // The well-known value of OAuth Core 1.0, appendix A.5, which has oauth_version among its parameters.
    const url = 'http://photos.example.net/photos?file=vacation.jpg&size=original';
    expect(field(signer.authorization({ method: 'GET', url }), 'oauth_signature')).toBe('tR3+Ty81lMeYAr/Fid0kMTYa/WM=');
  });

  // The example of Twitter's documentation "Creating a signature": form and query and reserved characters.
  test('form fields and query are signed', () => {
    const signer = oauth1Signer(
      {
        consumerKey: 'xvz1evFS4wEEPTGEFPHBog',
        consumerSecret: 'kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw',
        token: '370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb',
        tokenSecret: 'LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE',
      },
      { now: () => 1_318_622_958_000 },
      {},
      () => 'kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg',
    );
    const authorization = signer.authorization({
      method: 'POST',
      url: 'https://api.twitter.com/1.1/statuses/update.json?include_entities=true',
      form: { status: 'Hello Ladies + Gentlemen, a signed OAuth request!' },
    });
    expect(field(authorization, 'oauth_signature')).toBe('hCtSmYh+iHYCEqBWrE7C7hYmtUk=');
  });

  test('each signature has its own nonce', () => {
    const signer = oauth1Signer({ consumerKey: 'a', consumerSecret: 'b' }, { now: () => 0 });
    const sign = (): string | undefined =>
      field(signer.authorization({ method: 'GET', url: 'http://a/' }), 'oauth_nonce');
    expect(sign()).not.toBe(sign());
  });
});

describe('login', () => {
  const keys = { consumerKey: 'ck', consumerSecret: 'consumer-secret' };

  test.each([
    { callback: 'oob', verifier: '1234', confirmed: '&oauth_callback_confirmed=true', inUrl: null },
    { callback: 'http://127.0.0.1:9/cb', verifier: undefined, confirmed: '', inUrl: 'http://127.0.0.1:9/cb' },
    {
      callback: 'http://127.0.0.1:9/cb',
      verifier: undefined,
      confirmed: '&oauth_callback_confirmed=true',
      inUrl: null,
    },
  ])('callback $callback, verifier $verifier', async ({ callback, verifier, confirmed, inUrl }) => {
    const server = await miniServer((request, response) => {
      const first = request.path.endsWith('/initiate');
      response.end(
        first ? `oauth_token=rt&oauth_token_secret=rs%2B1${confirmed}` : 'oauth_token=at&oauth_token_secret=as',
      );
    });
    const endpoints = { api: `${server.origin}/v1_2` };
    const begun = await beginLogin({ endpoints, ...keys, callback });
    const authorizeUrl = new URL(begun.authorizeUrl);
    expect(begun).toMatchObject({ requestToken: 'rt', requestTokenSecret: 'rs+1' });
    expect(authorizeUrl.pathname).toBe('/v1_2/oauth/authorize');
    expect(authorizeUrl.searchParams.get('oauth_token')).toBe('rt');
    expect(authorizeUrl.searchParams.get('oauth_callback')).toBe(inUrl);
    const { requestToken, requestTokenSecret } = begun;
    const tokens = await finishLogin({ endpoints, ...keys, requestToken, requestTokenSecret, verifier });
    expect(tokens).toEqual({ token: 'at', tokenSecret: 'as' });
    expect(server.lines()).toEqual(['POST /v1_2/oauth/initiate', 'POST /v1_2/oauth/token']);
    expect(field(server.seen[0]?.headers.authorization, 'oauth_callback')).toBe(callback);
    expect(field(server.seen[0]?.headers.authorization, 'oauth_token')).toBeUndefined();
    expect(field(server.seen[1]?.headers.authorization, 'oauth_token')).toBe('rt');
    expect(field(server.seen[1]?.headers.authorization, 'oauth_verifier')).toBe(verifier);
  });

  test('a refusal is an auth error without secrets', async () => {
    const server = await miniServer((_request, response) =>
      fail(response, '401.0300', {}, { message: 'bad consumer-secret' }),
    );
    const login = beginLogin({ endpoints: { api: server.origin }, ...keys, callback: 'oob' });
    await expect(login).rejects.toMatchObject({
      code: 'auth',
      message: expect.not.stringContaining('consumer-secret'),
    });
  });

  test('an answer without a token is a protocol error', async () => {
    const server = await miniServer((_request, response) => void response.end('<html>'));
    const login = beginLogin({ endpoints: { api: server.origin }, ...keys, callback: 'oob' });
    await expect(login).rejects.toMatchObject({ code: 'protocol' });
  });
});
