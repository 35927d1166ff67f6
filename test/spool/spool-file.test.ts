import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { RemoteFile } from '../../src/providers/provider.js';
import { SpoolFile } from '../../src/spool/spool-file.js';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

const temporary = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-spool-'));
  directories.push(directory);
  return join(directory, 'file');
};
const remote = (size: number): RemoteFile => ({
  kind: 'file',
  id: '1',
  parentId: 'd',
  name: 'n',
  size,
  modified: 1,
  md5: null,
  access: 'write',
});
const baseOf = (content: Buffer) => async (into: Uint8Array, offset: number) => {
  await Promise.resolve();
  into.set(content.subarray(offset, offset + into.length));
};
const noBase = () => Promise.reject(new Error('the base was asked for'));

const LIMIT = 300;
const operation = fc.oneof(
  fc.record({
    act: fc.constant('write' as const),
    at: fc.nat(LIMIT),
    data: fc.uint8Array({ minLength: 1, maxLength: 80 }),
  }),
  fc.record({ act: fc.constant('append' as const), data: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
  fc.record({ act: fc.constant('truncate' as const), at: fc.nat(LIMIT) }),
  fc.record({ act: fc.constant('read' as const), at: fc.nat(LIMIT), length: fc.nat(LIMIT) }),
  fc.record({ act: fc.constantFrom('fill' as const, 'close' as const, 'reopen' as const, 'digest' as const) }),
);

describe('a spool file', () => {
  it('holds what a plain buffer holds, whatever happens in which order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(LIMIT),
        fc.array(operation, { maxLength: 25 }),
        fc.boolean(),
        async (size, operations, isFollowed) => {
          const base = Buffer.from(Array.from({ length: size }, (_, i) => 1 + (i % 250)));
          const path = temporary();
          const readBase = baseOf(base);
          const options = isFollowed ? { digestBlockBytes: 64 } : {};
          let file = new SpoolFile(path, remote(size), undefined, options);
          await file.create();
          let model = Buffer.from(base);
          for (const one of operations) {
            if (one.act === 'write' || one.act === 'append') {
              const at = one.act === 'write' ? one.at : model.length;
              const grown = Buffer.alloc(Math.max(model.length, at + one.data.length));
              model.copy(grown);
              grown.set(one.data, at);
              model = grown;
              await (one.act === 'write' ? file.write(one.data, at) : file.append(one.data));
            } else if (one.act === 'truncate') {
              const cut = Buffer.alloc(one.at);
              model.copy(cut);
              model = cut;
              await file.truncate(one.at);
            } else if (one.act === 'read') {
              const into = Buffer.alloc(one.length, 0xee);
              const count = await file.read(into, one.at, readBase);
              expect(into.subarray(0, count)).toEqual(model.subarray(one.at, one.at + one.length));
            } else if (one.act === 'fill') await file.fill(readBase);
            else if (one.act === 'close') await file.close();
            else if (one.act === 'reopen') {
              await file.close();
              file = new SpoolFile(path, remote(size), JSON.parse(JSON.stringify(file.state())), options);
            }
            expect(file.size).toBe(model.length);
          }
          await file.fill(readBase);
          expect(file.isComplete()).toBe(true);
          const { md5, crcs } = await file.digest(64);
          expect(md5).toBe(createHash('md5').update(model).digest('hex'));
          expect(crcs).toEqual(
            Array.from({ length: Math.ceil(model.length / 64) }, (_, i) => crc32(model.subarray(i * 64, i * 64 + 64))),
          );
          expect(readFileSync(path).equals(model)).toBe(true);
          await file.close();
        },
      ),
      { numRuns: 150 },
    );
  });

  describe('hashes what is written from its beginning to its end meanwhile', () => {
    const piece = (byte: number): Buffer => Buffer.alloc(1_200_000, byte);
    const steps: readonly [string, (file: SpoolFile) => Promise<unknown>][] = [
      ['the first write', (file) => file.write(piece(1), 0)],
      ['one that goes on', (file) => file.write(piece(2), 1_200_000)],
      ['appends, all at once', (file) => Promise.all([3, 4, 5, 6].map((byte) => file.append(piece(byte))))],
      ['a write over what is there', (file) => file.write(Buffer.alloc(10, 7), 50)],
      ['an append to that', (file) => file.append(piece(8))],
      ['a cut', (file) => file.truncate(90)],
      ['a hole', (file) => file.truncate(200)],
      ['a new beginning', (file) => file.truncate(0)],
      ['the first write of that', (file) => file.write(piece(9), 0)],
      ['a cut to what it has', (file) => file.truncate(1_200_000)],
      ['a close, and another append', (file) => file.close().then(() => file.append(piece(10)))],
      ['a write that leaves a hole', (file) => file.write(piece(11), 2_800_000)],
    ];
    const turns = async (count: number): Promise<void> => {
      for (let turn = 0; turn < count; turn++) await new Promise((again) => setImmediate(again));
    };

    it.each(steps.flatMap(([what], last) => [0, 1, 20].map((between) => [what, between, last] as const)))(
      'and is right after %s, with %i turns between the steps',
      async (_, between, last) => {
        const path = temporary();
        const file = new SpoolFile(path, null, undefined, { digestBlockBytes: 64 * 1024 });
        await file.create();
        for (const [, step] of steps.slice(0, last + 1)) {
          await step(file);
          await turns(between);
        }
        const content = readFileSync(path);
        const blocks = Array.from({ length: Math.ceil(content.length / 65536) }, (_, i) => i * 65536);
        const expected = {
          md5: createHash('md5').update(content).digest('hex'),
          crcs: blocks.map((at) => crc32(content.subarray(at, at + 65536))),
        };
        expect(await Promise.all([file.digest(65536), file.digest(65536)])).toEqual([expected, expected]);
        expect(await file.digest(65536)).toEqual(expected);
        await file.remove();
      },
    );

    it('but does not take zeros for what was lost on disk', async () => {
      const path = temporary();
      const file = new SpoolFile(path, null, undefined, { digestBlockBytes: 64 });
      await file.create();
      await file.write(piece(1), 0);
      await turns(20);
      truncateSync(path, 10);
      await expect(file.digest(64)).rejects.toThrow(/shorter/);
      await file.remove();
    });
  });

  it('does not take its own hashes for those of a content that others write', async () => {
    const path = temporary();
    const file = new SpoolFile(path, null, undefined, { digestBlockBytes: 64 });
    await file.create();
    await file.write(Buffer.alloc(100, 1), 0);
    file.isShared = true;
    writeFileSync(path, Buffer.alloc(100, 2));
    file.writtenDirectly(100);
    expect((await file.digest(64)).md5).toBe(createHash('md5').update(Buffer.alloc(100, 2)).digest('hex'));
    await file.remove();
  });

  it('asks the base only for what is its own', async () => {
    const file = new SpoolFile(temporary(), remote(100));
    await file.create();
    await file.write(Buffer.alloc(50, 'w'), 25);
    const asked: [number, number][] = [];
    await file.read(Buffer.alloc(100), 0, async (into, offset) => void asked.push([offset, into.length]));
    expect(asked).toEqual([
      [0, 25],
      [75, 25],
    ]);
    await file.truncate(60);
    await file.truncate(100);
    expect(await file.read(Buffer.alloc(75), 25, noBase)).toBe(75);
    await file.close();
  });

  it('lets a write win over the base that is being fetched for its place', async () => {
    const file = new SpoolFile(temporary(), remote(100));
    await file.create();
    await file.fill(async (into) => {
      into.fill(1);
      await file.write(Buffer.alloc(10, 2), 40);
    });
    const content = Buffer.alloc(100);
    await file.read(content, 0, noBase);
    expect(content.equals(Buffer.concat([Buffer.alloc(40, 1), Buffer.alloc(10, 2), Buffer.alloc(50, 1)]))).toBe(true);
    await file.close();
  });

  it('appends one after the other', async () => {
    const file = new SpoolFile(temporary(), null);
    await file.create();
    await Promise.all(Array.from({ length: 20 }, (_, i) => file.append(Buffer.alloc(3, 65 + i))));
    const content = Buffer.alloc(60);
    expect(await file.read(content, 0, noBase)).toBe(60);
    for (let i = 0; i < 20; i++) expect(new Set(content.subarray(i * 3, i * 3 + 3)).size).toBe(1);
    await file.close();
  });

  it('gives an upload any part of it as often as it asks, after a close too', async () => {
    const file = new SpoolFile(temporary(), null);
    await file.create();
    const content = Buffer.from(Array.from({ length: 600_000 }, (_, i) => i % 251));
    await file.write(content, 0);
    const source = file.source(() => file.digest(65536));
    expect(await source.md5()).toBe(createHash('md5').update(content).digest('hex'));
    await file.close();
    for (const [offset, length] of [
      [0, 600_000],
      [250_000, 300_000],
      [0, 0],
    ] as const) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of source.read(offset, length)) chunks.push(chunk);
      expect(Buffer.concat(chunks).equals(content.subarray(offset, offset + length))).toBe(true);
    }
    await file.close();
  });

  it('refuses to take zeros for what was lost on disk', async () => {
    const path = temporary();
    const file = new SpoolFile(path, null);
    await file.create();
    await file.write(Buffer.alloc(1000, 'x'), 0);
    truncateSync(path, 10);
    await expect(file.read(Buffer.alloc(100), 0, noBase)).rejects.toThrow(/shorter/);
    await expect(file.digest(64)).rejects.toThrow(/shorter/);
    await file.close();
    rmSync(path);
    await expect(file.read(Buffer.alloc(100), 0, noBase)).rejects.toThrow(/ENOENT/);
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('does not close under an operation in flight', async () => {
    const file = new SpoolFile(temporary(), null);
    await file.create();
    const writes = Array.from({ length: 50 }, (_, i) => file.write(Buffer.alloc(1000, i), i * 1000));
    await Promise.all([file.close(), ...writes, file.close()]);
    expect(file.size).toBe(50_000);
    expect(await file.read(Buffer.alloc(50_000), 0, noBase)).toBe(50_000);
    await file.remove();
  });
});

describe('a disk that does not take the bytes', () => {
  const failing = (path: string, errors: (Error | null)[]): SpoolFile =>
    new SpoolFile(path, null, undefined, {
      syncFile: async () => {
        const error = errors.shift();
        if (error != null) throw error;
      },
    });

  it('tells of it once: they are written again before the next sync, and holes stay holes', async () => {
    const path = temporary();
    const file = failing(path, [new Error('EIO'), null]);
    await file.create();
    await file.write(Buffer.from('begin'), 0);
    await file.write(Buffer.from('end'), 64 * 1024 * 1024);
    await expect(file.sync()).rejects.toThrow('EIO');
    utimesSync(path, 1, 1);
    const { blocks } = statSync(path);
    await file.sync();
    expect(statSync(path).mtimeMs).toBeGreaterThan(1000);
    expect(statSync(path).blocks).toBe(blocks);
    expect((await file.content(128 * 1024 * 1024))?.subarray(0, 6).toString()).toBe('begin\0');
    utimesSync(path, 1, 1);
    await file.sync();
    expect(statSync(path).mtimeMs).toBe(1000);
    await file.close();
  });

  it('is believed by nobody, however many ask at the same time', async () => {
    const file = failing(temporary(), [new Error('EIO'), new Error('EIO again'), null]);
    await file.create();
    await file.write(Buffer.from('begin'), 0);
    const asked = await Promise.allSettled([file.sync(), file.sync(), file.sync()]);
    expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await file.sync();
    await file.close();
  });

  it('fails each sync while the kernel writes to the file by itself, which nobody may do as well', async () => {
    const file = failing(temporary(), [new Error('EIO')]);
    await file.create();
    await file.write(Buffer.from('begin'), 0);
    await expect(file.sync()).rejects.toThrow('EIO');
    file.isShared = true;
    await expect(file.sync()).rejects.toMatchObject({ code: 'spool' });
    file.isShared = false;
    await file.sync();
    await file.close();
  });
});
