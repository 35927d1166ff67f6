/** A server's text in messages and logs contains no secret of the account, and no control sequence of a terminal. */
import { describe, expect, it, test } from 'vitest';
import { cleanMessage } from '../../../src/providers/http/answers/http-error.js';
import { createProvider } from '../../../src/providers/registry.js';
import { json, miniServer } from '../mini-server.js';

describe('cleanMessage', () => {
  const long = 's3cret/0123456789+=';
  test.each([
    ['no such file', ['e'], 'no such file'],
    ['no such file', ['fil', 'ile', 'no'], 'no such file'],
    ['a profile of files', ['file'], 'a profile of files'],
    ['hunter2 is wrong (hunter2)', ['hunter2'], '[secret] is wrong ([secret])'],
    ['"hunter22"', ['hunter2'], '"hunter22"'],
    [`token=${long}x`, [long], 'token=[secret]x'],
    [`q?t=${encodeURIComponent(long)}`, [long], 'q?t=[secret]'],
    ['pass  word\twith spaces', ['pass  word\twith'], '[secret] spaces'],
    ['pass word with spaces', ['pass word with'], '[secret] spaces'],
    ['abcdefgh12345678', ['abcdefgh', 'abcdefgh12345678'], '[secret]'],
    ['half of a character', ['\ud800secretsecret'], 'half of a character'],
    ['two\n lines \x1b[2J \u202e', [], 'two lines [2J \\u202e'],
  ])('%j without %j', (text, secrets, shown) => {
    expect(cleanMessage(text, secrets)).toBe(shown);
  });
});

const apiKey = 'sk_0123456789abcdef';
const oauth = {
  consumerKey: 'ck-0123456789',
  consumerSecret: 'cs-0123456789',
  token: 'tk-012345',
  tokenSecret: 'ts-012345',
};
const acronis = { clientId: 'client', clientSecret: 'client-secret', accessToken: 'access-token-1' };

describe.each([
  {
    name: '4shared',
    credentials: oauth,
    base: '/v1_2',
    secret: oauth.tokenSecret,
    body: (s: string) => ({ code: s, message: s }),
  },
  {
    name: '4sync',
    credentials: oauth,
    base: '/v1_2',
    secret: oauth.consumerSecret,
    body: (s: string) => ({ code: s, message: s }),
  },
  {
    name: '5sync',
    credentials: { apiKey },
    base: '/v1',
    secret: apiKey,
    body: (s: string) => ({ error: { type: s, message: s } }),
  },
  {
    name: 'acronis',
    credentials: acronis,
    base: '/fc/api/v1',
    secret: acronis.accessToken,
    body: (s: string) => ({ error: { code: s, message: s } }),
  },
] as const)('an error answer of $name that holds a secret', ({ name, credentials, base, secret, body }) => {
  it('is reported without it, in the message, the code and the data', async () => {
    const server = await miniServer((_, response) => json(response, body(`\x1b[31m ${secret} \n${secret}`), 400));
    const url = server.origin + base;
    const endpoints = { api: url, ...(name.startsWith('4') ? { upload: url } : {}) };
    const provider = createProvider(name, { endpoints, credentials, deadlineMs: 1000 });
    try {
      const error = await provider.account().then(
        () => null,
        (thrown: Error & { data: unknown }) => thrown,
      );
      const reported = JSON.stringify([error?.message, error?.data]);
      expect(reported).toContain('[secret]');
      expect(reported).not.toContain(secret);
      expect(error?.message).not.toMatch(/\p{Cc}/u);
    } finally {
      await provider.close();
    }
  });
});

describe('a token endpoint that repeats the request', () => {
  it('does not reveal its secrets', async () => {
    const given = { username: 'anna', password: 'correct horse', clientId: 'client', clientSecret: 'client-secret' };
    const server = await miniServer((request, response) => {
      const echo = `${request.headers.authorization} ${request.body}`;
      json(response, { error: echo, error_description: echo }, 400);
    });
    const endpoints = { api: `${server.origin}/fc/api/v1`, token: `${server.origin}/token` };
    const provider = createProvider('acronis', { endpoints, credentials: given, deadlineMs: 1000 });
    try {
      const error = await provider.account().then(
        () => null,
        (thrown: Error & { data: unknown }) => thrown,
      );
      const reported = JSON.stringify([error?.message, error?.data]);
      const basic = Buffer.from('client:client-secret').toString('base64');
      for (const secret of [
        given.password,
        encodeURIComponent(given.password),
        'correct+horse',
        given.clientSecret,
        basic,
      ])
        expect(reported).not.toContain(secret);
    } finally {
      await provider.close();
    }
  });
});
