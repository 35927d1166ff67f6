/** One deadline for an operation of several requests, and its default. Each wait moves the clock. */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.js';
import { WaitBudget } from '../../src/providers/wait-budget.js';
import { miniFiveSync } from './fivesync/mini-fivesync.js';
import { credentials, providerFor, source } from './fourshared/mini-account.js';
import { json, miniServer } from './mini-server.js';

/** A clock that every sleep moves forward at once. */
function waitingClock(): Clock {
  let now = Date.parse('2026-01-01T00:00:00Z');
  return {
    now: () => now,
    async sleep(ms) {
      now += ms;
    },
  };
}
const deadlineMs = 60_000;

describe('a server that only fails', () => {
  it('is given up after a minute without a given deadline', async () => {
    const clock = waitingClock();
    const server = await miniServer((_request, response) => json(response, {}, 503));
    const provider = providerFor(server, { clock, deadlineMs: undefined });
    const begun = clock.now();
    await expect(provider.account()).rejects.toMatchObject({ code: 'server' });
    expect(clock.now() - begun).toBeGreaterThan(deadlineMs / 2);
    expect(clock.now() - begun).toBeLessThanOrEqual(deadlineMs);
    expect(JSON.stringify(server.lines())).not.toContain(credentials.token);
  });

  it('is given up by then also where the clock is set back meanwhile', async () => {
    let [wall, passed] = [Date.parse('2026-01-01T02:00:00Z'), 0];
    const clock: Clock = {
      now: () => wall,
      monotonic: () => passed,
      async sleep(ms) {
        if (passed === 0) wall -= 7_200_000;
        wall += ms;
        passed += ms;
        if (passed > 10 * deadlineMs) throw new Error('it does not end');
      },
    };
    const server = await miniServer((_request, response) => json(response, {}, 503));
    await expect(providerFor(server, { clock, deadlineMs }).account()).rejects.toMatchObject({ code: 'server' });
    expect(passed).toBeLessThanOrEqual(deadlineMs);
  });

  it('costs a new 5sync file one deadline, also if the feed of changes must be read first', async () => {
    const clock = waitingClock();
    const mini = await miniFiveSync({}, { clock, deadlineMs });
    await mini.provider.account();
    let feedFailsUntil = Number.NEGATIVE_INFINITY;
    mini.before = ({ method, path }) => {
      const isFailing = method === 'PUT' || (path.includes('/changes') && clock.now() < feedFailsUntil);
      return isFailing ? { status: 503, value: {} } : undefined;
    };
    const upload = async (): Promise<number> => {
      const begun = clock.now();
      const target = { parentId: '/', name: 'new' };
      const waitBudget = new WaitBudget();
      await expect(mini.provider.upload(target, source(Buffer.from('x')), { waitBudget })).rejects.toMatchObject({
        data: expect.anything(),
      });
      return clock.now() - begun;
    };
    await upload();
    // The outcome of that upload is unknown, so the next one reads the feed first.
    feedFailsUntil = clock.now() + deadlineMs * 0.6;
    expect(await upload()).toBeLessThan(deadlineMs * 1.2);
    expect(clock.now()).toBeGreaterThan(feedFailsUntil);
  });
});

describe('the time counted as waiting', () => {
  it.each<[string, [number, number][], number]>([
    [
      'one after the other',
      [
        [0, 2000],
        [2000, 5000],
      ],
      5000,
    ],
    [
      'at the same time',
      [
        [0, 5000],
        [0, 5000],
        [1000, 4000],
      ],
      5000,
    ],
    [
      'partly at the same time',
      [
        [0, 3000],
        [2000, 6000],
      ],
      6000,
    ],
    ['a little, often', Array.from({ length: 100 }, (_, i) => [i * 900, i * 900 + 900] as [number, number]), 0],
  ])('%s', (_how, waits, spent) => {
    const waitBudget = new WaitBudget();
    for (const [from, to] of waits) waitBudget.spend(from, to);
    expect(waitBudget.spentMs).toBe(spent);
  });
});
