import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FreeSpace, RESERVE } from '../../src/spool/free-space.js';
import { AMPLE, FreeSpaceWatch, LOOK_EVERY_MS } from '../../src/spool/free-space-watch.js';
import { TestClock } from '../support/test-clock.js';

describe('Headroom', () => {
  let directory: string;
  let ballast: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
    ballast = join(directory, 'reserve');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A disk with so many bytes free, of which a cache could give so many. */
  const disk = (free: number, cached: number) => ({
    left: free,
    cached,
    asked: [] as number[],
    free(): number {
      return this.left;
    },
    relieve(bytes: number): void {
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
  const headroomOf = (room: ReturnType<typeof disk>, clock = new TestClock()): FreeSpaceWatch =>
    new FreeSpaceWatch(room as unknown as FreeSpace, ballast, clock);

  it('hands nothing out where there is little room', () => {
    expect(headroomOf(disk(AMPLE - 1, AMPLE)).begin()).toBe(false);
    expect(existsSync(ballast)).toBe(false);
  });

  it('holds the reserve from the first on, and gives it back when the mount ends', () => {
    const headroom = headroomOf(disk(AMPLE, 0));
    expect([headroom.begin(), headroom.begin()]).toEqual([true, true]);
    expect(statSync(ballast).blocks * 512).toBeGreaterThanOrEqual(RESERVE);
    headroom.end();
    headroom.end();
    expect(existsSync(ballast)).toBe(true);
    headroom.close();
    expect(existsSync(ballast)).toBe(false);
  });

  it('has the cache give way while there is little room, and then lets the reserve go', async () => {
    const clock = new TestClock();
    const room = disk(AMPLE, 1000);
    const headroom = headroomOf(room, clock);
    headroom.begin();
    room.left = AMPLE - 600;
    await pass(clock, LOOK_EVERY_MS);
    expect([room.asked, room.left]).toEqual([[600], AMPLE]);
    room.left = 0;
    await pass(clock, LOOK_EVERY_MS);
    expect(room.left).toBe(400);
    expect(existsSync(ballast)).toBe(true);
    room.left = -1;
    headroom.look();
    expect(existsSync(ballast)).toBe(false);
    headroom.end();
    const { length } = room.asked;
    await pass(clock, 10 * LOOK_EVERY_MS);
    expect(room.asked).toHaveLength(length);
  });

  it('takes away what a mount left that died', () => {
    writeFileSync(ballast, 'left');
    headroomOf(disk(0, 0));
    expect(existsSync(ballast)).toBe(false);
  });
});
