import { describe, expect, it } from 'vitest';
import {
  baseUrl,
  hmacSha1,
  parseAuthorization,
  signatureBaseString,
} from '../../src/sandbox/fourshared/oauth/signature.js';

describe('RFC 5849 signatures', () => {
  it('builds the base string of section 3.4.1.1', () => {
    const text = signatureBaseString('POST', baseUrl('http', 'EXAMPLE.COM:80', '/request'), [
      ['b5', '=%3D'],
      ['a3', 'a'],
      ['c@', ''],
      ['a2', 'r b'],
      ['realm', 'Example'],
      ['oauth_consumer_key', '9djdj82h48djs9d2'],
      ['oauth_token', 'kkk9d7dh3k39sjv7'],
      ['oauth_signature_method', 'HMAC-SHA1'],
      ['oauth_timestamp', '137131201'],
      ['oauth_nonce', '7d8f3e4a'],
      ['oauth_signature', 'bYT5CMsGcbgUdFHObYMEfcx6bsw='],
      ['c2', ''],
      ['a3', '2 q'],
    ]);
    expect(text).toBe(
      'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26' +
        'c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26' +
        'oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
    );
  });

  it('signs the photos example of section 1.2', () => {
    const text = signatureBaseString('GET', baseUrl('http', 'photos.example.net', '/photos'), [
      ['file', 'vacation.jpg'],
      ['size', 'original'],
      ['oauth_consumer_key', 'dpf43f3p2l4k3l03'],
      ['oauth_token', 'nnch734d00sl2jdk'],
      ['oauth_signature_method', 'HMAC-SHA1'],
      ['oauth_timestamp', '137131202'],
      ['oauth_nonce', 'chapoH'],
    ]);
    expect(hmacSha1(text, 'kd94hf93k423kf44', 'pfkkdhi9sl3r4s00')).toBe('MdpQcU8iPSUjWoN/UDMsK2sui9I=');
  });

  it('reads Authorization headers', () => {
    expect(parseAuthorization('OAuth realm="x", oauth_nonce="a%20b"')).toEqual([
      ['realm', 'x'],
      ['oauth_nonce', 'a b'],
    ]);
    expect(parseAuthorization('Bearer x')).toBeUndefined();
    expect(parseAuthorization('OAuth nonsense')).toBeUndefined();
  });
});
