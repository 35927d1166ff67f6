/** How much time a call has after the look-ups of its path, and after those of an earlier call. */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.js';
import { isPastDeadline, LookupDeadlines, withDeadline } from '../../../src/filesystem/core/deadlines.js';
import { TestClock } from '../../support/test-clock.js';

const DEADLINE = 60_000;
const PID = 7;

describe('the deadline of a call', () => {
  it('comes, however far the clock is set back meanwhile', () => {
    const passing = new TestClock();
    let setBack = 0;
    const clock: Clock = {
      now: () => passing.now() - setBack,
      monotonic: () => passing.now(),
      sleep: (ms) => passing.sleep(ms),
    };
    const caller = withDeadline({ clock, options: { deadline: DEADLINE } }, undefined);
    setBack = 7_200_000;
    passing.advance(DEADLINE - 1);
    expect(isPastDeadline({ clock }, caller)).toBe(false);
    passing.advance(1);
    expect(isPastDeadline({ clock }, caller)).toBe(true);
  });
});

describe('the deadline of a call after a look-up of its thread', () => {
  const setUp = () => {
    const clock = new TestClock();
    const lookups = new LookupDeadlines({ clock, options: { deadline: DEADLINE } });
    const look = async (ms: number, error?: Error): Promise<void> => {
      const slow = clock.sleep(ms).then(() => {
        if (error !== undefined) throw error;
      });
      const measured = lookups.measure(PID, slow).catch(() => undefined);
      clock.advance(ms);
      await measured;
    };
    const leftMs = (pid = PID): number => (lookups.withDeadline({ pid }).deadline ?? 0) - clock.now();
    return { clock, lookups, look, leftMs };
  };

  it.each([
    [500, DEADLINE],
    [20_000, 40_000],
    // It may have been a call of its own: nobody has tried to carry out this one yet.
    [59_000, 30_000],
  ])('that took %i ms is %i ms', async (took, left) => {
    const { look, leftMs } = setUp();
    await look(took);
    expect(leftMs()).toBe(left);
    expect(leftMs()).toBe(DEADLINE);
  });

  it('that failed is a whole one: that call has ended', async () => {
    const { look, leftMs } = setUp();
    await look(59_000, new Error('no answer'));
    expect(leftMs()).toBe(DEADLINE);
  });

  it('that failed after a slow one is a whole one too', async () => {
    const { look, leftMs } = setUp();
    await look(20_000);
    await look(100, new Error('no answer'));
    expect(leftMs()).toBe(DEADLINE);
  });

  it('is shared with quick look-ups in between, and with no other thread and no later call', async () => {
    const { clock, lookups, look, leftMs } = setUp();
    await look(20_000);
    clock.advance(900);
    lookups.lookedUpAtOnce(PID);
    clock.advance(900);
    expect(leftMs(PID + 1)).toBe(DEADLINE);
    expect(leftMs()).toBe(40_000 - 1800);
    await look(20_000);
    clock.advance(1000);
    expect(leftMs()).toBe(DEADLINE);
  });
});
