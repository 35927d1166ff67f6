import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { InUse } from '../../src/base/in-use.js';
import { localTime } from '../../src/base/local-time.js';
import { lruOf } from '../../src/base/lru.js';
import { Mutex } from '../../src/base/mutex.js';
import { fromMs, toMs } from '../../src/base/timespec.js';
import { untilAborted } from '../../src/base/until-aborted.js';
import { deferred } from '../support/deferred.js';

describe('Mutex', () => {
  it('runs one act at a time, in order, whatever fails', async () => {
    const mutex = new Mutex();
    const seen: string[] = [];
    const act = (name: string, fails = false) =>
      mutex.run(async () => {
        seen.push(`${name} in`);
        await new Promise<void>((resolve) => setImmediate(resolve));
        seen.push(`${name} out`);
        if (fails) throw new Error(name);
        return name;
      });
    const all = await Promise.allSettled([act('a'), act('b', true), act('c')]);
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(seen).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
    expect(mutex.isBusy).toBe(false);
  });

  it('is idle when the last act has ended', async () => {
    const mutex = new Mutex();
    let left = 0;
    for (let n = 0; n < 3; n++) void mutex.run(async () => void left++);
    await mutex.idle();
    expect(left).toBe(3);
  });

  it('is given up by its signal while it waits, and listens no longer than that', async () => {
    const { signal } = new AbortController();
    const nested = async (depth: number): Promise<number> =>
      depth === 0 ? getEventListeners(signal, 'abort').length : await new Mutex().run(() => nested(depth - 1), signal);
    expect(await nested(20)).toBe(0);

    const mutex = new Mutex();
    const held = deferred();
    const first = mutex.run(() => held.promise, signal);
    const giving = new AbortController();
    const second = mutex.run(() => Promise.reject(new Error('it ran')), giving.signal);
    giving.abort(new Error('given up'));
    await expect(second).rejects.toThrow('given up');
    await expect(mutex.run(async () => 1, giving.signal)).rejects.toThrow('given up');
    held.resolve();
    await first;
    await mutex.idle();
    expect(mutex.isBusy).toBe(false);
  });
});

describe('InUse', () => {
  it('waits for every use, also one that begins while it waits', async () => {
    const uses = new InUse();
    const ends: (() => void)[] = [];
    const use = () => uses.during(() => new Promise<void>((resolve) => void ends.push(resolve)));
    let isIdle = false;
    void use();
    const idle = uses.idle().then(() => {
      isIdle = true;
    });
    void use();
    ends[0]?.();
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(isIdle).toBe(false);
    ends[1]?.();
    await idle;
    await uses.during(() => Promise.reject(new Error('x'))).catch(() => undefined);
    expect(uses.isBusy).toBe(false);
  });
});

describe('timespec', () => {
  it('keeps milliseconds, before 1970 too, with nanoseconds in their range', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e14, max: 1e14 }), (ms) => {
        const time = fromMs(ms);
        expect(time.nsec).toBeGreaterThanOrEqual(0);
        expect(time.nsec).toBeLessThan(1e9);
        expect(toMs(time)).toBe(ms);
      }),
    );
  });
});

describe('the system clock', () => {
  it('ends a sleep with the reason of its signal', async () => {
    const abort = new AbortController();
    const slept = systemClock.sleep(60_000, abort.signal);
    abort.abort(new Error('woken'));
    await expect(slept).rejects.toThrow('woken');
    await expect(systemClock.sleep(60_000, abort.signal)).rejects.toThrow('woken');
    await systemClock.sleep(0);
  });
});

describe('untilAborted', () => {
  const reason = (): Error => new Error('given up');

  it('settles as the work does, and listens no longer', async () => {
    const { signal } = new AbortController();
    expect(await untilAborted(Promise.resolve(1), signal, reason)).toBe(1);
    await expect(untilAborted(Promise.reject(new Error('failed')), signal, reason)).rejects.toThrow('failed');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it.each(['before', 'while'])(
    'rejects where it is aborted %s it waits; work that fails later is handled',
    async (when) => {
      const unhandled: unknown[] = [];
      const note = (error: unknown): void => void unhandled.push(error);
      process.on('unhandledRejection', note);
      const abort = new AbortController();
      if (when === 'before') abort.abort();
      let fail: (error: Error) => void = () => {};
      const work = new Promise<never>((_, reject) => {
        fail = reject;
      });
      const waiting = untilAborted(work, abort.signal, reason);
      abort.abort();
      await expect(waiting).rejects.toThrow('given up');
      fail(new Error('later'));
      await new Promise<void>((resolve) => setImmediate(resolve));
      process.off('unhandledRejection', note);
      expect(unhandled).toEqual([]);
    },
  );
});

describe('localTime', () => {
  it.each([
    [new Date(2026, 10, 29, 8, 0, 5), '2026-11-29 08:00:05'],
    [new Date(2027, 0, 1, 23, 59, 0), '2027-01-01 23:59:00'],
  ])('%s is %s', (date, text) => {
    expect(localTime(date.getTime())).toBe(text);
    expect(localTime(date.getTime())).toBe(date.toLocaleString('sv-SE'));
  });
});

describe('lruOf', () => {
  it('keeps what was used last, and tells of what goes', () => {
    const gone: string[] = [];
    const cache = lruOf<string, number>(3, (value, key) => gone.push(`${key}=${value}`));
    for (const [at, key] of [...'abc'].entries()) cache.set(key, at);
    cache.get('a');
    cache.set('d', 3);
    expect([...cache.keys()].sort()).toEqual(['a', 'c', 'd']);
    expect(gone).toEqual(['b=1']);
    cache.delete('a');
    for (let at = 0; at < 1000; at++) cache.set(`n${at}`, at);
    expect([...cache.keys()]).toEqual(['n999', 'n998', 'n997']);
    expect(cache.get('n999')).toBe(999);
  });
});
