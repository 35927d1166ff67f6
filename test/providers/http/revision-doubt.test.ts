/** Servers whose answers do not identify the revision of a part: the file is looked up before its bytes are returned. */
import type { ServerResponse } from 'node:http';
import { describe, expect, it, test } from 'vitest';
import type { RevisionProof } from '../../../src/providers/content.js';
import { isInDoubt, type RevisionSigns, validatorOf } from '../../../src/providers/http/ranges/revision-doubt.js';
import type { Provider, RequestOptions } from '../../../src/providers/provider.js';
import { deferred } from '../../support/deferred.js';
import { TestClock } from '../../support/test-clock.js';
import { collect, data, file, md5, providerFor } from '../fourshared/mini-account.js';
import { hangUp, json, type MiniServer, miniServer, type Seen } from '../mini-server.js';

describe('isInDoubt', () => {
  const quiet: RevisionSigns = {
    validator: undefined,
    known: undefined,
    isPart: false,
    isUnproven: false,
    isMisdated: false,
    hasEarlierBytes: false,
    isVerified: false,
  };
  const table: [string, Partial<RevisionSigns>, boolean][] = [
    ['the whole file at once, and nothing of it cached', {}, false],
    ['a part', { isPart: true }, true],
    ['a part after others', { isPart: true, known: '' }, true],
    ['the whole file, of which a part was read before', { known: '' }, true],
    ['the whole file, of which an earlier mount cached something', { hasEarlierBytes: true }, true],
    ['a part whose bytes are verified', { isPart: true, isVerified: true, known: '', hasEarlierBytes: true }, false],
    [
      'a part whose position no header gives, even if its bytes are verified',
      { isUnproven: true, isVerified: true },
      true,
    ],
    ['a validator for the first time', { validator: 'a', isPart: true }, false],
    [
      'the same name again',
      { validator: 'a', known: 'a', isPart: true, isUnproven: true, hasEarlierBytes: true },
      false,
    ],
    ['another validator', { validator: 'b', known: 'a' }, true],
    ['another validator of verified bytes', { validator: 'b', known: 'a', isVerified: true }, true],
    ['a validator where there was none', { validator: 'a', known: '', isPart: true }, true],
    ['no validator where there was one', { known: 'a', isPart: true }, true],
    [
      'a validator for the first time, while no header gives the position of the bytes',
      { validator: 'a', isUnproven: true },
      true,
    ],
    ['the whole file at once, with another modification time', { isMisdated: true }, true],
    ['a validator for the first time, with another modification time', { validator: 'a', isMisdated: true }, true],
    [
      'a validator for the first time, after bytes that an earlier mount cached',
      { validator: 'a', hasEarlierBytes: true },
      true,
    ],
  ];
  test.each(table)('%s', (_, signs, expected) => {
    expect(isInDoubt({ ...quiet, ...signs })).toBe(expected);
  });
});

const [second, next] = ['Fri, 01 Mar 2024 10:00:00 GMT', 'Fri, 01 Mar 2024 10:00:01 GMT'];
test.each([
  ['an ETag', { etag: '"a"', 'last-modified': second, date: next }, '"a"'],
  ['a weak ETag, which other bytes may have too', { etag: 'W/"a"' }, undefined],
  ['a Last-Modified in the past', { etag: 'W/"a"', 'last-modified': second, date: next }, second],
  ['a Last-Modified in the current second', { 'last-modified': second, date: second }, undefined],
  ['a Last-Modified without a Date', { 'last-modified': second }, undefined],
  ['nothing', { date: next }, undefined],
])('validatorOf: %s', (_, headers, expected) => {
  expect(validatorOf(headers)).toBe(expected);
});

const later = Buffer.from(data.map((byte) => byte ^ 0xff));
const LENGTH = 10_000;

interface Service extends MiniServer {
  /** The content that the server has now. */
  content: Buffer;
  headers: Record<string, string>;
  /** How many downloads, or lookups of the file, have come. */
  count(what: 'download' | 'stat'): number;
  /** True: the service does not answer this request itself. */
  before: (what: 'download' | 'stat', request: Seen, response: ServerResponse) => boolean | Promise<boolean>;
}

async function service(): Promise<Service> {
  const whatOf = ({ path }: Seen) => (path.endsWith('/download') ? ('download' as const) : ('stat' as const));
  const server = await miniServer(async (request, response) => {
    const what = whatOf(request);
    if (await it.before(what, request, response)) return;
    const { content } = it;
    if (what === 'stat') {
      const [id, name, size] = ['f1', 'a.bin', content.length];
      return json(response, { id, name, size, md5: md5(content), modified: 1000, status: 'normal' });
    }
    const [start = 0, last = 0] = (request.headers.range ?? '').match(/\d+/g)?.map(Number) ?? [];
    const range = `bytes ${start}-${last}/${content.length}`;
    response.writeHead(206, { 'content-range': range, ...it.headers }).end(content.subarray(start, last + 1));
  });
  const it: Service = {
    ...server,
    content: data,
    headers: {},
    count: (what) => server.seen.filter((request) => whatOf(request) === what).length,
    before: () => false,
  };
  return it;
}

async function read(provider: Provider, offset: number, options?: RequestOptions, length = LENGTH): Promise<string> {
  try {
    const bytes = await collect((await provider.read(file, { offset, length }, options)).body);
    const isOf = (whole: Buffer): boolean => bytes.equals(whole.subarray(offset, offset + length));
    return isOf(data) ? 'old' : isOf(later) ? 'new' : 'mixed';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('a server that does not identify the revision of a part', () => {
  it('looks the file up after each part, and never for the whole file at once', async () => {
    const server = await service();
    const provider = providerFor(server);
    expect(await read(provider, 0, {}, data.length)).toBe('old');
    expect(server.count('stat')).toBe(0);
    expect([await read(provider, 0), await read(provider, 50_000)]).toEqual(['old', 'old']);
    expect(server.lines().map((line) => line.endsWith('/download'))).toEqual([true, true, false, true, false]);
    expect(await read(provider, 90_000, { isVerified: true })).toBe('old');
    expect(server.count('stat')).toBe(2);
  });

  it('no byte of another revision of the same size is returned, whichever part comes first', async () => {
    const server = await service();
    const provider = providerFor(server);
    expect(await read(provider, 0)).toBe('old');
    server.content = later;
    expect(await read(provider, 50_000)).toBe('revision-changed');
    expect(await read(provider, 0)).toBe('revision-changed');
    expect(await read(providerFor(server), 0)).toBe('revision-changed');
  });

  it('the lookup begins after the head of the answer: a change just before is noticed', async () => {
    const server = await service();
    const provider = providerFor(server);
    server.before = (what) => {
      // At the moment in which the part is read.
      if (what === 'download') server.content = later;
      return false;
    };
    expect(await read(provider, 0)).toBe('revision-changed');
  });

  it('who takes a proof gets the bytes without a lookup of their own, and hears within a second what they were of', async () => {
    const server = await service();
    const clock = new TestClock();
    const provider = providerFor(server, { clock });
    const options = { acceptsProof: true };
    const proofs: RevisionProof[] = [];
    const part = async (offset: number): Promise<string> => {
      const answer = await provider.read(file, { offset, length: LENGTH }, options);
      if (answer.proof !== undefined) proofs.push(answer.proof);
      const bytes = await collect(answer.body);
      return bytes.equals(data.subarray(offset, offset + LENGTH)) ? 'old' : 'new';
    };
    for (let index = 0; index < 5; index++) expect(await part(index * LENGTH)).toBe('old');
    expect(proofs).toHaveLength(5);
    await Promise.all(proofs.map((proof) => proof.demand()));
    const { length } = proofs;
    expect(server.count('stat')).toBeLessThan(5);
    server.content = later;
    // Within a second of the last lookup nobody can tell.
    expect(await part(50_000)).toBe('new');
    await expect(proofs[length]?.demand()).rejects.toMatchObject({ code: 'revision-changed' });
    // From the next second on it is noticed before a byte is given out.
    clock.advance(1000);
    expect(await read(provider, 60_000, options)).toBe('revision-changed');
  });

  it('who takes a proof gets none where a header tells, and waits where a header speaks against the revision', async () => {
    const server = await service();
    const provider = providerFor(server);
    server.headers = { etag: '"1"' };
    const options = { acceptsProof: true };
    expect((await provider.read(file, { offset: 0, length: LENGTH }, options)).proof).toBeUndefined();
    server.headers = { etag: '"2"' };
    server.content = later;
    expect(await read(provider, 50_000, options)).toBe('revision-changed');
  });

  it('one further lookup serves all parts that come while a lookup is under way', async () => {
    const server = await service();
    const provider = providerFor(server);
    const gate = deferred();
    server.before = async (what) => {
      if (what === 'stat' && server.count('stat') === 1) await gate.promise;
      return false;
    };
    const first = read(provider, 0);
    await expect.poll(() => server.count('stat')).toBe(1);
    const others = [1, 2, 3, 4, 5].map((i) => read(provider, i * LENGTH));
    await expect.poll(() => server.count('download')).toBe(6);
    gate.resolve();
    expect(await Promise.all([first, ...others])).toEqual(Array(6).fill('old'));
    expect(server.count('stat')).toBeLessThanOrEqual(3);
  });

  it('a lookup under way proves nothing about a part that came during it', async () => {
    const server = await service();
    const provider = providerFor(server);
    const gate = deferred();
    server.before = async (what, _request, response) => {
      if (what !== 'stat' || server.count('stat') > 1) return false;
      // The server reads its state now, and answers later.
      const old = { id: 'f1', name: 'a.bin', size: data.length, md5: md5(data), modified: 1000, status: 'normal' };
      await gate.promise;
      json(response, old);
      return true;
    };
    const first = read(provider, 0);
    await expect.poll(() => server.count('stat')).toBe(1);
    server.content = later;
    const second = read(provider, LENGTH);
    await expect.poll(() => server.count('download')).toBe(2);
    gate.resolve();
    expect([await first, await second]).toEqual(['old', 'revision-changed']);
  });

  it('a reader that gives up does not fail others that share its lookup', async () => {
    const server = await service();
    const provider = providerFor(server);
    const gate = deferred();
    server.before = async (what) => {
      if (what === 'stat') await gate.promise;
      return false;
    };
    const [one, two] = [new AbortController(), new AbortController()];
    const reads = [read(provider, 0, { signal: one.signal })];
    await expect.poll(() => server.count('stat')).toBe(1);
    reads.push(read(provider, LENGTH, { signal: two.signal }), read(provider, 2 * LENGTH));
    await expect.poll(() => server.count('download')).toBe(3);
    one.abort();
    two.abort();
    expect(await Promise.all(reads.slice(0, 2))).toEqual(['aborted', 'aborted']);
    gate.resolve();
    expect(await reads[2]).toBe('old');
  });

  it('one lookup serves all parts of a batch, after the last of them has begun', async () => {
    const server = await service();
    const provider = providerFor(server);
    const gates = [deferred(), deferred(), deferred()];
    let begun = 0;
    server.before = async (what) => {
      if (what === 'download') await gates[begun++]?.promise;
      return false;
    };
    const together = [0, 1, 2].map((i) => read(provider, i * LENGTH, { inBatch: true }));
    await expect.poll(() => begun).toBe(3);
    for (const gate of gates) gate.resolve();
    expect([await Promise.all(together), server.count('stat')]).toEqual([['old', 'old', 'old'], 1]);
  });

  it('no byte of a batch is returned if one of its parts is of another revision', async () => {
    const server = await service();
    const provider = providerFor(server);
    const gate = deferred();
    let begun = 0;
    server.before = async (what) => {
      if (what !== 'download' || ++begun < 3) return false;
      await gate.promise;
      server.content = later;
      return false;
    };
    const together = [0, 1, 2].map((i) => read(provider, i * LENGTH, { inBatch: true }));
    await expect.poll(() => begun).toBe(3);
    gate.resolve();
    expect(await Promise.all(together)).toEqual(['revision-changed', 'revision-changed', 'revision-changed']);
  });

  it('a batch does not wait for ever for a part that does not begin', async () => {
    const server = await service();
    const provider = providerFor(server);
    const gate = deferred();
    let begun = 0;
    server.before = async (what) => {
      if (what === 'download' && ++begun === 2) await gate.promise;
      return false;
    };
    const [first, second] = [0, 1].map((i) => read(provider, i * LENGTH, { inBatch: true }));
    await expect.poll(() => begun).toBe(2);
    expect(await Promise.race([first, second])).toBe('old');
    gate.resolve();
    expect([await first, await second]).toEqual(['old', 'old']);
  });

  it('the file is looked up when a download that broke off is resumed', async () => {
    const server = await service();
    const provider = providerFor(server);
    server.before = (what, _request, response) => {
      if (what === 'stat' || server.count('download') > 1) return false;
      response.writeHead(200, { 'content-length': String(data.length) });
      response.write(data.subarray(0, 30_000), () => setImmediate(() => hangUp(response)));
      server.content = later;
      return true;
    };
    expect(await read(provider, 0, {}, data.length)).toBe('revision-changed');
  });

  it('the file is looked up when its validator appears or disappears', async () => {
    const server = await service();
    const provider = providerFor(server);
    expect(await read(provider, 0)).toBe('old');
    server.headers = { etag: '"x"' };
    expect([await read(provider, 1000), server.count('stat')]).toEqual(['old', 2]);
    // The validator stays the same from here on, so no lookup is needed.
    expect([await read(provider, 2000), server.count('stat')]).toEqual(['old', 2]);
    server.headers = {};
    expect([await read(provider, 3000), server.count('stat')]).toEqual(['old', 3]);
    server.content = later;
    server.headers = { etag: '"y"' };
    expect(await read(provider, 4000)).toBe('revision-changed');
    expect(await read(provider, 5000)).toBe('revision-changed');
  });

  it('no byte is returned if the lookup fails', async () => {
    const server = await service();
    const provider = providerFor(server, { deadlineMs: 300 });
    server.before = (what, _request, response) => {
      if (what === 'stat') hangUp(response);
      return what === 'stat';
    };
    expect(await read(provider, 0)).toBe('network');
    server.before = () => false;
    expect(await read(provider, 0)).toBe('old');
  });
});
