import { expect, test } from 'vitest';
import type { RemoteFile } from '../../../src/providers/provider.js';
import type { FaultAction } from '../../../src/sandbox/index.js';
import {
  type ContractSetup,
  collect,
  existing,
  expectActs,
  failure,
  noise,
  type Rooms,
  readRange,
  testIf,
} from '../bench.js';

const size = 300_000;
const content = noise(size, 7);

const ranges: readonly (readonly [string, number, number])[] = [
  ['the start', 0, 4096],
  ['one byte at the start', 0, 1],
  ['the middle', 123_457, 4096],
  ['one byte in the middle', 150_000, 1],
  ['a long part across many packets', 1, size - 2],
  ['the end', size - 4096, 4096],
  ['one byte at the end', size - 1, 1],
  ['the whole', 0, size],
];

/** What may happen to one answer without harm to the bytes. */
const troubles: readonly (readonly [string, FaultAction])[] = [
  ['is cut in the middle by a reset', { kind: 'reset', when: 'middle' }],
  ['is cut after the first byte', { kind: 'reset', when: 'middle', at: 1 }],
  ['is cut before its first byte', { kind: 'truncate', at: 0 }],
  ['ends early', { kind: 'truncate' }],
  ['ends early and says so', { kind: 'truncate', silent: true }],
  ['speaks of other bytes', { kind: 'wrong-content-range', shift: 1 }],
  ['ignores the range', { kind: 'ignore-range' }],
  ['is a sign-in page', { kind: 'html' }],
  ['is empty', { kind: 'empty' }],
  ['is an empty error', { kind: 'empty', status: 502 }],
  ['is an internal error', { kind: 'status', status: 500 }],
  ['comes too often', { kind: 'status', status: 429, retryAfter: 2 }],
  ['never begins', { kind: 'reset', when: 'before' }],
];

export function readContract(rooms: Rooms, setup: ContractSetup): void {
  const { capabilities } = setup;
  for (const [title, offset, length] of ranges) {
    test(`${title} of a file is read in one request`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', content);
      const bytes = await readRange(room.provider, file, offset, length);
      expect(bytes.equals(content.subarray(offset, offset + length))).toBe(true);
      expectActs(room, setup, 'download');
      expect(room.server.requests('download')[0]?.bytesOut).toBe(length);
    });
  }

  test('a file of one byte is read', async () => {
    const room = rooms();
    const file = await existing(room, 'f', 'x');
    expect((await readRange(room.provider, file, 0, 1)).toString()).toBe('x');
  });

  test('many ranges at once are all right', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    const offsets = Array.from({ length: 100 }, (_, n) => n * 3000);
    const parts = await Promise.all(offsets.map((offset) => readRange(room.provider, file, offset, 3000)));
    expect(Buffer.concat(parts).equals(content)).toBe(true);
    expect(room.server.requests('download')).toHaveLength(100);
  });

  for (const [title, action] of troubles) {
    test(`an answer that ${title} costs a request, never a byte`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', content);
      room.server.fault('download', action, { times: 1 });
      const bytes = await readRange(room.provider, file, 100_000, 100_000);
      expect(bytes.equals(content.subarray(100_000, 200_000))).toBe(true);
    });
  }

  test('a server that ignores every range gives the whole file, and says so', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    room.server.fault('download', { kind: 'ignore-range' });
    const answer = await room.provider.read(file, { offset: 1000, length: 10 });
    expect(answer).toMatchObject({ offset: 0, length: size });
    expect((await collect(answer.body)).equals(content)).toBe(true);
  });

  test('a whole file whose connection breaks again and again is completed from where it broke', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    room.server.fault('download', { kind: 'reset', when: 'middle', at: 70_000 });
    const bytes = await readRange(room.provider, file, 0, size);
    expect(bytes.equals(content)).toBe(true);
    const sent = room.server.requests('download').reduce((sum, { bytesOut }) => sum + bytesOut, 0);
    expect(sent).toBeLessThan(size * 1.5);
  });

  test('an answer that always ends early is integrity or protocol, not fewer bytes', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    room.server.fault('download', { kind: 'truncate', at: 0 });
    const { error } = await failure(readRange(room.provider, file, 0, 1000));
    expect(['integrity', 'protocol', 'network']).toContain((error as { code: string }).code);
  });

  test('a file that has another size now is revision-changed', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    for (const other of ['short', Buffer.concat([content, content])]) {
      await room.store.putFile(`${room.path}/f`, other);
      const { error } = await failure(readRange(room.provider, file, 1000, 1000));
      expect(error).toMatchObject({ code: 'revision-changed' });
      const whole = await failure(readRange(room.provider, file, 0, size));
      expect(whole.error).toMatchObject({ code: 'revision-changed' });
    }
  });

  test('a file that changes while its connection is broken is revision-changed, and no byte of the new one is given', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    room.server.fault('download', { kind: 'reset', when: 'middle', at: 50_000 }, { times: 1 });
    const { body } = await room.provider.read(file, { offset: 0, length: size });
    const got: Buffer[] = [];
    const { error } = await failure(
      (async () => {
        for await (const part of body) {
          if (got.length === 0) await room.store.putFile(`${room.path}/f`, noise(size + 1, 8));
          got.push(Buffer.from(part));
        }
      })(),
    );
    expect(error).toMatchObject({ code: 'revision-changed' });
    const bytes = Buffer.concat(got);
    expect(bytes.equals(content.subarray(0, bytes.length))).toBe(true);
  });

  test('a file that is gone is not-found', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    room.store.remove(`${room.path}/f`);
    await expect(room.provider.read(file, { offset: 0, length: 10 })).rejects.toMatchObject({ code: 'not-found' });
  });

  testIf(capabilities.trash, 'the provider has no trash')('a file in the trash is not-found', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    room.store.remove(`${room.path}/f`, { trash: true });
    await expect(room.provider.read(file, { offset: 0, length: 10 })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('bodies that are left early give their places back', async () => {
    const room = rooms();
    const file = await existing(room, 'f', content);
    const narrow = room.server.connect({ maxConnections: 2 });
    for (let n = 0; n < 6; n++) {
      const { body } = await narrow.read(file, { offset: 0, length: size });
      for await (const part of body) {
        expect(part.byteLength).toBeGreaterThan(0);
        break;
      }
    }
    expect((await readRange(narrow, file, 5, 5)).equals(content.subarray(5, 10))).toBe(true);
  });

  test('what is renamed by another client is read all the same', async () => {
    const room = rooms();
    const file: RemoteFile = await existing(room, 'f', content);
    room.store.rename(`${room.path}/f`, 'g');
    expect((await readRange(room.provider, file, 10, 10)).equals(content.subarray(10, 20))).toBe(true);
  });
}
