import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FreeSpace, RESERVE } from '../../src/spool/free-space.js';
import { CHECK_EVERY_MS, FreeSpaceWatch, MIN_FREE } from '../../src/spool/free-space-watch.js';
import { TestClock } from '../support/test-clock.js';

describe('FreeSpaceWatch', () => {
  let directory: string;
  let ballast: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    ballast = join(directory, 'reserve');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A disk with `free` bytes free; the cache can free another `cached` bytes. */
  const disk = (free: number, cached: number) => ({
    left: free,
    cached,
    asked: [] as number[],
    free(): number {
      return this.left;
    },
    reclaim(bytes: number): void {
      this.asked.push(bytes);
      const given = Math.min(bytes, this.cached);
      this.cached -= given;
      this.left += given;
    },
  });
  const pass = async (clock: TestClock, ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const watchOf = (freeSpace: ReturnType<typeof disk>, clock = new TestClock()): FreeSpaceWatch =>
    new FreeSpaceWatch(freeSpace as unknown as FreeSpace, ballast, clock);

  it('refuses to begin where there is little free space', () => {
    expect(watchOf(disk(MIN_FREE - 1, MIN_FREE)).begin()).toBe(false);
    expect(existsSync(ballast)).toBe(false);
  });

  it('holds the reserve from the first on, and gives it back when the mount ends', () => {
    const watch = watchOf(disk(MIN_FREE, 0));
    expect([watch.begin(), watch.begin()]).toEqual([true, true]);
    expect(statSync(ballast).blocks * 512).toBeGreaterThanOrEqual(RESERVE);
    watch.end();
    watch.end();
    expect(existsSync(ballast)).toBe(true);
    watch.close();
    expect(existsSync(ballast)).toBe(false);
  });

  it('has the cache evict while there is little free space, and then gives up the reserve', async () => {
    const clock = new TestClock();
    const freeSpace = disk(MIN_FREE, 1000);
    const watch = watchOf(freeSpace, clock);
    watch.begin();
    freeSpace.left = MIN_FREE - 600;
    await pass(clock, CHECK_EVERY_MS);
    expect([freeSpace.asked, freeSpace.left]).toEqual([[600], MIN_FREE]);
    freeSpace.left = 0;
    await pass(clock, CHECK_EVERY_MS);
    expect(freeSpace.left).toBe(400);
    expect(existsSync(ballast)).toBe(true);
    freeSpace.left = -1;
    watch.check();
    expect(existsSync(ballast)).toBe(false);
    watch.end();
    const { length } = freeSpace.asked;
    await pass(clock, 10 * CHECK_EVERY_MS);
    expect(freeSpace.asked).toHaveLength(length);
  });

  it('is one watch for many small files, and ends after the last of them', async () => {
    const clock = new TestClock();
    const watch = watchOf(disk(MIN_FREE, 0), clock);
    for (let file = 0; file < 100; file++) {
      watch.begin();
      watch.end();
    }
    expect(clock.sleepers).toBe(1);
    await pass(clock, CHECK_EVERY_MS);
    expect(clock.sleepers).toBe(0);
    watch.begin();
    expect(clock.sleepers).toBe(1);
    watch.close();
  });

  it('removes the ballast of a mount that died', () => {
    writeFileSync(ballast, 'left');
    watchOf(disk(0, 0));
    expect(existsSync(ballast)).toBe(false);
  });
});
