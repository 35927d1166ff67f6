import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { onTestFinished } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import { BlockCache, type BlockCacheOptions } from '../../src/cache/block-cache.js';
import type { FetchRange } from '../../src/cache/block-fetcher.js';
import { BLOCK_BYTES } from '../../src/cache/blocks.js';
import type { PunchHole } from '../../src/cache/sparse-file.js';
import type { BodyChunk, ByteRange, PieceTarget, StoredPiece } from '../../src/providers/content.js';
import { ProviderError } from '../../src/providers/errors.js';
import type { RemoteFile, RequestOptions } from '../../src/providers/provider.js';
import { TestClock } from '../support/test-clock.js';

export const BLOCK = BLOCK_BYTES;

const directories: string[] = [];
const caches = new Set<BlockCache>();

function cleanUp(): void {
  for (const cache of caches) cache.close();
  caches.clear();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}

/** A directory until the end of the test, and so are the caches that are opened in it. */
export function temporary(): string {
  // No `afterEach` here: if test files share a process, only the first of them would get it.
  onTestFinished(cleanUp);
  const directory = mkdtempSync(join(tmpdir(), 'syncmount-cache-'));
  directories.push(directory);
  return directory;
}

export const clock = new TestClock();

export function openCache(directory: string, limit: number, more: Partial<BlockCacheOptions> = {}): BlockCache {
  const cache = new BlockCache({ directory, limit, clock, log: silentLog, ...more });
  caches.add(cache);
  return cache;
}

export function closeCache(cache: BlockCache): void {
  caches.delete(cache);
  cache.close();
}

/** Frees no disk blocks, but zeroes the range as a hole would. */
export const zeroHole: PunchHole = (fd, offset, length) => {
  writeSync(fd, Buffer.alloc(length), 0, length, offset);
  return true;
};

/** Content in which no two places look the same. */
export function pattern(size: number, seed = 0): Buffer {
  const data = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) data.writeUInt32LE((at * 2654435761 + seed) >>> 0, at);
  return data;
}

export function fileOf(data: Buffer, name = 'file', md5 = true): RemoteFile {
  const hash = md5 ? createHash('md5').update(data).digest('hex') : null;
  return { kind: 'file', id: name, parentId: 'd', name, size: data.length, modified: 1, md5: hash, access: 'read' };
}

export interface Asked extends ByteRange {
  readonly priority: string;
}

/** A server of files, with a log of the requested ranges. */
export class Server {
  readonly asked: Asked[] = [];
  readonly files = new Map<string, Buffer>();
  ignoresRange = false;
  /** Called before each answer. If it throws, the error is the answer. */
  before: (range: Asked, options: RequestOptions) => Promise<void> | void = () => undefined;
  /** Called before each chunk of a body. */
  during: (at: number) => Promise<void> | void = () => undefined;
  chunk = BLOCK;
  sent = 0;

  put(data: Buffer, name = 'file', md5 = true): RemoteFile {
    this.files.set(name, data);
    return fileOf(data, name, md5);
  }

  readonly fetch: FetchRange = async (file, range, options) => {
    const asked = { ...range, priority: options.priority ?? '' };
    this.asked.push(asked);
    await this.before(asked, options);
    const data = this.files.get(file.id) ?? Buffer.alloc(0);
    const { offset, length } = this.ignoresRange ? { offset: 0, length: data.length } : range;
    return { offset, length, body: this.#body(data.subarray(offset, offset + length), options.signal) };
  };

  async *#body(data: Buffer, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < data.length; at += this.chunk) {
      await this.during(at);
      if (signal?.aborted) throw new ProviderError('aborted', 'aborted');
      const chunk = Buffer.from(data.subarray(at, at + this.chunk));
      this.sent += chunk.length;
      yield chunk;
    }
  }
}

/** What passes a body on: all of it as bytes, or as much as it may into the target that the caller names. */
export type Way = (fetch: FetchRange) => FetchRange;

/** Writes whole parts to the target, in pieces of 3 parts, as the transport does beside the event loop. `wait`: before each piece. */
export function storing(fetch: FetchRange, wait: () => Promise<void> = async () => {}): FetchRange {
  return async (file, range, options) => {
    const answer = await fetch(file, range, options);
    const target = options.pieces?.target;
    if (target === undefined || answer.offset !== range.offset || answer.length > range.length) return answer;
    const partBytes = options.pieces?.partBytes ?? BLOCK;
    async function* pieces(to: PieceTarget): AsyncGenerator<BodyChunk> {
      let rest = Buffer.alloc(0);
      let offset = range.offset;
      const store = (end: number): StoredPiece => {
        const data = rest.subarray(0, end);
        rest = rest.subarray(end);
        writeSync(to.fd, data, 0, data.length, offset);
        const crcs: number[] = [];
        for (let at = 0; at < data.length; at += partBytes) crcs.push(crc32(data.subarray(at, at + partBytes)));
        const piece = { isStored: true, offset, byteLength: data.length, crcs } as const;
        offset += data.length;
        return piece;
      };
      to.hold();
      try {
        for await (const chunk of answer.body) {
          rest = Buffer.concat([rest, chunk]);
          await wait();
          while (rest.length >= 3 * partBytes) yield store(3 * partBytes);
        }
        if (rest.length > 0) yield store(rest.length);
      } finally {
        to.release();
      }
    }
    return { ...answer, pieces: pieces(target) };
  };
}

export const ways: readonly (readonly [string, Way])[] = [
  ['through memory', (fetch) => fetch],
  ['written by the transport', storing],
];

/** Bytes that a file takes on the disk. */
export function diskBytes(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}
