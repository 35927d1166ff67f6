import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileSpan, inlineHasher } from '../../src/base/content-hasher.js';
import type { Digest } from '../../src/base/running-digest.js';
import { HashThread } from '../../src/threads/hash-thread.js';

const part = 1000;
const data = Buffer.from(Array.from({ length: 10_500 }, (_, at) => (at * 31) & 255));
const md5Of = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

let directory = '';
let fd = -1;
let thread: HashThread;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'syncmount-hash-'));
  writeFileSync(join(directory, 'content'), data);
  fd = openSync(join(directory, 'content'), 'r');
  thread = new HashThread();
});

afterEach(async () => {
  await thread.close();
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

function span(position: number, length: number): FileSpan {
  const crcs: number[] = [];
  for (let at = position; at < position + length; at += part)
    crcs.push(crc32(data.subarray(at, Math.min(at + part, position + length))));
  return { fd, position, length, crcs, partBytes: part };
}

describe('the thread that hashes', () => {
  it('adds spans of a file and bytes in memory in the order of the calls, of several contents side by side', async () => {
    const one = thread.md5();
    const other = thread.md5();
    const added = one.addSpan(span(0, 4000));
    one.addBytes(data.subarray(4000, 5000));
    other.addBytes(data);
    const rest = one.addSpan(span(5000, 5500));
    expect(await Promise.all([added, rest, one.hex(), other.hex()])).toEqual([null, null, md5Of(data), md5Of(data)]);
  });

  it('adds nothing of a span with a wrong part, and tells which', async () => {
    const md5 = thread.md5();
    const wrong = span(0, 4000);
    expect(await md5.addSpan({ ...wrong, crcs: wrong.crcs.map((crc, at) => (at === 2 ? crc ^ 1 : crc)) })).toBe(2);
    expect(await md5.addSpan({ ...span(9000, 1500), length: 3000, crcs: [...span(9000, 1500).crcs, 1] })).toBe(2);
    expect(await md5.addSpan(wrong)).toBeNull();
    expect(await md5.hex()).toBe(md5Of(data.subarray(0, 4000)));
  });

  it('does not change bytes that were added when their buffer changes', async () => {
    const md5 = thread.md5();
    const bytes = Buffer.from(data);
    md5.addBytes(bytes);
    bytes.fill(0);
    expect(await md5.hex()).toBe(md5Of(data));
  });

  it('rejects what cannot be read', async () => {
    await expect(thread.md5().addSpan({ ...span(0, 1000), fd: 9999 })).rejects.toThrow('EBADF');
  });

  it('rejects what waits when it ends, and every later call about a content that it knew, but takes new ones', async () => {
    const md5 = thread.md5();
    await md5.addSpan(span(0, 1000));
    const waiting = expect(md5.hex()).rejects.toThrow('closed');
    await thread.close();
    await waiting;
    await expect(md5.hex()).rejects.toThrow('ended');
    await expect(md5.addSpan(span(1000, 1000))).rejects.toThrow('ended');
    const next = thread.md5();
    next.addBytes(data);
    expect(await next.hex()).toBe(md5Of(data));
  });

  it('runs at a lower priority than the event loop', async () => {
    await thread.md5().hex();
    const nice = (task: string): string =>
      (readFileSync(`/proc/self/task/${task}/stat`, 'utf8').split(') ')[1] ?? '').split(' ')[16] ?? '';
    const { readdirSync } = await import('node:fs');
    expect(readdirSync('/proc/self/task').map(nice)).toContain('5');
    expect(nice(String(process.pid))).toBe('0');
  });
});

describe('digests in the thread', () => {
  const inline = async (length: number): Promise<Digest> => {
    const digest = inlineHasher.digest(part);
    expect(await digest.add(fd, length)).toBe(true);
    return await digest.result();
  };

  it('are those of the file so far, several side by side', async () => {
    const one = thread.digest(part);
    const other = thread.digest(part);
    expect(await one.add(fd, 3500)).toBe(true);
    expect(await other.add(fd, 10)).toBe(true);
    expect(await one.add(fd, 7000)).toBe(true);
    expect([one.bytes, other.bytes]).toEqual([10_500, 10]);
    expect(await one.result()).toEqual(await inline(10_500));
    expect(await other.result()).toEqual(await inline(10));
  });

  it('read nothing of a file that is shorter, and nothing before they are asked to', async () => {
    const digest = thread.digest(part);
    expect(await thread.digest(part).result()).toEqual(await inlineHasher.digest(part).result());
    expect(await digest.add(fd, 10_501)).toBe(false);
    expect(digest.bytes).toBe(0);
    expect(await digest.add(fd, 10_500)).toBe(true);
    expect((await digest.result()).md5).toBe(md5Of(data));
  });

  it('begin anew after they were dropped, and do not go on in another thread', async () => {
    const digest = thread.digest(part);
    await digest.add(fd, 2000);
    digest.drop();
    const lost = thread.digest(part);
    await lost.add(fd, 1000);
    await thread.close();
    await expect(lost.add(fd, 1000)).rejects.toThrow('ended');
    await expect(lost.result()).rejects.toThrow('ended');
    lost.drop();
    const next = thread.digest(part);
    await next.add(fd, 2000);
    expect(await next.result()).toEqual(await inline(2000));
  });
});
