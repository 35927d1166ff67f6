import { describe, expect, it } from 'vitest';
import type { RangeBody } from '../../../src/providers/content.js';
import { errnoOf, type Mounted, mounted, reading, writing } from '../harness.js';

const SIZE = 3 * 1024 * 1024;
const HALF = SIZE / 2;
const TEXT = 'x'.repeat(SIZE);

/** A proxy spoils the beginning of everything that is read, until the answer is called. */
function spoiling({ provider }: Mounted): () => void {
  const { read } = provider;
  provider.read = async (...request): Promise<RangeBody> => {
    const answer = await read.apply(provider, request);
    return { ...answer, body: spoilt(answer.body) };
  };
  return () => {
    provider.read = read;
  };
}

function stored({ provider }: Mounted): string {
  return Buffer.from(provider.other.at('a')?.data ?? []).toString();
}

async function* spoilt(body: RangeBody['body']): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) yield Uint8Array.from(chunk).fill(0x79, 0, 1);
}

describe('a long file whose bytes are damaged on the way', () => {
  it('ends in an error for all open handles, and is right for a later open', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', TEXT));
    const stop = spoiling(m);
    const [first, second, third] = [await m.open('a'), await m.open('a'), await m.open('a')];
    expect((await m.read(first, 0, HALF)).slice(0, 2)).toBe('yx');
    expect(await errnoOf(m.read(second, HALF, HALF))).toBe('EIO');
    stop();
    for (const handle of [first, second, third]) {
      expect(await errnoOf(m.read(handle, HALF, HALF))).toBe('EIO');
      await m.close(handle);
    }
    const forgotten = { kind: 'inode', ino: await m.ino('a'), content: true };
    await expect.poll(() => m.invalidations).toContainEqual(forgotten);
    const fresh = await m.open('a');
    expect((await m.read(fresh, 0, SIZE)) === TEXT).toBe(true);
    await m.close(fresh);
  });

  it('is not stored again with them as part of a new content', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', TEXT));
    const stop = spoiling(m);
    const handle = await m.open('a', writing);
    // The first block is not needed of what is there: no read alone would come upon all of it.
    const beginning = 'z'.repeat(64 * 1024);
    await m.write(handle, beginning);
    expect(await errnoOf(m.close(handle))).toBe('EIO');
    expect(stored(m) === TEXT).toBe(true);
    stop();
    m.fs.retryFailed();
    const whole = beginning + TEXT.slice(beginning.length);
    await expect.poll(() => stored(m) === whole).toBe(true);
  });

  it('keeps no pages of an earlier open, until all of it is known to be right', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', TEXT));
    const opened = async (): Promise<boolean> => {
      const { handle, keepCache } = await m.fs.open(await m.ino('a'), reading);
      await m.close(handle);
      return keepCache;
    };
    expect(await opened()).toBe(false);
    const handle = await m.open('a');
    await m.read(handle, 0, HALF);
    expect(await opened()).toBe(false);
    await m.read(handle, HALF, HALF);
    await m.close(handle);
    expect(await opened()).toBe(true);
  });
});
