import { describe, expect, test } from 'vitest';
import { PROVIDER_NAMES } from '../../src/providers/provider.js';
import {
  createProvider,
  defaultEndpoints,
  endpointKeys,
  parseCredentials,
  parseProviderName,
  wrongCredentialKeys,
} from '../../src/providers/registry.js';
import { credentials } from './fourshared/mini-account.js';

describe('registry', () => {
  test('names', () => {
    expect(PROVIDER_NAMES).toEqual(['4shared', '4sync', '5sync', 'acronis']);
    expect(parseProviderName('4Sync')).toBe('4sync');
    expect(() => parseProviderName('dropbox')).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test.each(['4shared', '4sync'] as const)('%s has its public endpoints', async (name) => {
    expect(endpointKeys(name)).toEqual(['api', 'upload']);
    expect(defaultEndpoints(name)).toEqual({
      api: `https://api.${name}.com/v1_2`,
      upload: `https://upload.${name}.com/v1_2`,
    });
    const provider = createProvider(name, { credentials });
    expect(provider.name).toBe(name);
    await provider.close();
  });

  test.each([
    ['5sync', { api: 'https://5sync.com/v1' }, { apiKey: 'sk_5s_x' }],
    [
      'acronis',
      {
        api: 'https://dev-cloud.acronis.com/fc/api/v1',
        token: 'https://dev-cloud.acronis.com/api/2/idp/token',
        authorize: 'https://dev-cloud.acronis.com/api/2/idp/authorize',
      },
      { username: 'me', password: ' secret ' },
    ],
  ] as const)('%s has its documented endpoints', async (name, endpoints, given) => {
    expect(defaultEndpoints(name)).toEqual(endpoints);
    expect(parseCredentials(name, given)).toEqual(given);
    expect(() => createProvider(name, { credentials: given, endpoints: { api: 'https://x.example/v9' } })).toThrow(
      /must end in/,
    );
    const provider = createProvider(name, { credentials: given });
    expect(provider.name).toBe(name);
    await provider.close();
  });

  test.each([
    ['5sync', {}, /lack a valid apiKey$/],
    ['acronis', {}, /lack a valid username$/],
    ['acronis', { username: 'me' }, /lack a valid password$/],
    ['acronis', { clientId: 'app', clientSecret: 's' }, /lack a valid username$/],
    ['acronis', { accessToken: 'x', expiresAt: 'soon' }, /lack a valid expiresAt$/],
    ['acronis', { username: 'me', password: 'secret', refreshToken: 5 }, /lack a valid refreshToken$/],
    ['acronis', { username: 'me', password: null, refreshToken: null }, /lack a valid password$/],
    ['5sync', { apiKey: null }, /lack a valid apiKey$/],
  ] as const)('%s does not take %o', (name, given, message) => {
    expect(() => parseCredentials(name, given)).toThrow(message);
  });

  test('an endpoint without a value counts as absent', () => {
    const given = { username: 'me', password: 'secret' };
    expect(parseCredentials('acronis', { ...given, refreshToken: null, accessToken: null, expiresAt: null })).toEqual(
      given,
    );
    expect(parseCredentials('5sync', { apiKey: 'sk', other: null })).toEqual({ apiKey: 'sk' });
    expect(wrongCredentialKeys('acronis', { ...given, refreshToken: null })).toEqual([]);
    expect(wrongCredentialKeys('acronis', { username: 'me', refreshToken: 5 })).toEqual(['refreshToken']);
    expect(wrongCredentialKeys('4shared', { consumerKey: 'k', consumerSecret: ['s'], token: '' })).toEqual([
      'consumerSecret',
      'token',
    ]);
  });

  test.each([
    [{ api: 'http://api.example/v1_2' }, /plain http/],
    [{ api: 'https://api.example/v1' }, /must end in \/v1_2/],
    [{ upload: 'ftp://api.example/v1_2' }, /https/],
    [{ api: 'not a url' }, /not a URL/],
    [{ api: 'https://u:p@api.example/v1_2' }, /user name/],
    [{ api: 'https://api.example/v1_2?x=1' }, /query/],
    [{ search: 'https://api.example/v1_2' }, /no endpoint "search"/],
  ])('endpoints %o are refused', (endpoints, message) => {
    expect(() => createProvider('4shared', { credentials, endpoints: endpoints as Record<string, string> })).toThrow(
      message,
    );
  });

  test.each(['http://localhost:1/v1_2', 'http://127.0.0.1/v1_2/', 'http://[::1]:3/v1_2', 'https://x.example/a/v1_2'])(
    '%s is taken',
    async (api) => {
      await createProvider('4shared', { credentials, endpoints: { api } }).close();
    },
  );

  test('credentials are checked, and never in a message', () => {
    expect(parseCredentials('4shared', { ...credentials, more: 1 })).toEqual(credentials);
    const wrong = { ...credentials, token: '', tokenSecret: 5 };
    expect(() => parseCredentials('4shared', wrong)).toThrow(/lack a valid token, tokenSecret$/);
    expect(() => parseCredentials('4shared', 'cs-secret')).toThrow(
      /^the credentials of 4shared must be a JSON object$/,
    );
  });
});
