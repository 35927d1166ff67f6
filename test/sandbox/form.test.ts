import { describe, expect, it } from 'vitest';
import { boundaryOf, formParts, MultipartError } from '../../src/sandbox/http/multipart.js';

async function* inPieces(text: string, length: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function read(
  text: string,
  length: number,
): Promise<[name: string, filename: string | undefined, body: string][]> {
  const found: [string, string | undefined, string][] = [];
  for await (const { name, filename, body } of formParts(inPieces(text, length), 'bo')) {
    const pieces: Buffer[] = [];
    for await (const piece of body) pieces.push(piece);
    found.push([name, filename, Buffer.concat(pieces).toString()]);
  }
  return found;
}

const part = (disposition: string, content: string) =>
  `--bo\r\nContent-Disposition: form-data; ${disposition}\r\nContent-Type: text/plain\r\n\r\n${content}\r\n`;

describe('a multipart form', () => {
  it('is the same however it is cut into pieces', async () => {
    const tricky = '\r\n--b\r\n--b--\r\n\r\n-';
    const text = `preamble\r\n${part('name="file"; filename="ü%22.txt"', tricky)}${part('name=path', '')}--bo--\r\nepilogue`;
    const whole = [
      ['file', 'ü".txt', tricky],
      ['path', undefined, ''],
    ];
    for (const length of [1, 2, 3, 7, 11, 1000]) expect(await read(text, length)).toEqual(whole);
  });

  it('passes over what is not read', async () => {
    const names: string[] = [];
    const text = `${part('name="a"', 'x'.repeat(1000))}${part('name="b"', 'y')}--bo--`;
    for await (const { name } of formParts(inPieces(text, 10), 'bo')) names.push(name);
    expect(names).toEqual(['a', 'b']);
  });

  it('is refused when it ends early or is none', async () => {
    for (const text of [
      '',
      '--bo',
      part('name="a"', 'x'),
      '--bo\r\nX: y\r\n\r\nz\r\n--bo--',
      part('filename="a"', 'x'),
    ])
      await expect(read(text, 5)).rejects.toBeInstanceOf(MultipartError);
  });

  it('has its boundary in the Content-Type', () => {
    expect(boundaryOf('multipart/form-data; boundary=abc')).toBe('abc');
    expect(boundaryOf('multipart/form-data; charset=utf-8; Boundary="a b"')).toBe('a b');
    expect(boundaryOf('multipart/form-data')).toBeUndefined();
  });
});
