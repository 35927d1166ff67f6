import { describe, expect, it, onTestFinished } from 'vitest';
import { Bandwidth, reserve } from '../../../src/providers/http/transport/token-bucket.js';
import { Transport } from '../../../src/providers/http/transport/transport.js';
import { TestClock } from '../../support/test-clock.js';
import { miniServer } from '../mini-server.js';

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

/** Moves the clock on in small steps, as the wait looks at the limit again and again. */
async function pass(clock: TestClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    clock.advance(Math.min(50, left));
    await turn();
  }
}

describe('the token bucket', () => {
  it.each([
    ['an idle one lets a small piece go', 0, 1_000_000, 100, 0],
    ['a large piece waits for what is beyond the burst', 0, 1_000_000, 1000, 900],
    ['debts are paid first', 1_000_500, 1_000_000, 200, 700],
    ['idle time is not saved up', 10, 1_000_000, 300, 200],
  ])('%s', (_, paidAt, now, bytes, waitMs) => {
    expect(reserve(paidAt, { now, rate: 1000, bytes }).waitMs).toBe(waitMs);
  });

  it('gives ten connections together what one would get', () => {
    let paidAt = 0;
    let waitMs = 0;
    for (let taken = 0; taken < 10; taken++)
      ({ paidAt, waitMs } = reserve(paidAt, { now: 5000, rate: 1000, bytes: 500 }));
    expect(waitMs).toBe(4900);
  });
});

describe('the bandwidth of a mount', () => {
  const limited = (rate: number | null = 1000) => {
    const clock = new TestClock();
    const bandwidth = new Bandwidth(undefined, clock);
    bandwidth.set({ down: rate, up: rate });
    return { clock, bandwidth };
  };

  it('is without limit at first, and then counts only', () => {
    const bandwidth = new Bandwidth();
    expect([bandwidth.take('up', 1e9), bandwidth.limit('up'), bandwidth.pieceBytes()]).toEqual([
      undefined,
      null,
      Number.POSITIVE_INFINITY,
    ]);
    expect([bandwidth.moved('up'), bandwidth.moved('down')]).toEqual([1e9, 0]);
  });

  it('lets bytes go when their time has come', async () => {
    const { clock, bandwidth } = limited();
    let gone = 0;
    for (let at = 0; at < 5; at++) void bandwidth.take('down', 1000)?.then(() => gone++);
    await pass(clock, 850);
    expect(gone).toBe(0);
    await pass(clock, 100);
    expect(gone).toBe(1);
    await pass(clock, 4000);
    expect(gone).toBe(5);
  });

  it('is shared by all who have the memory, and each way has its own', () => {
    const { clock, bandwidth } = limited();
    const other = new Bandwidth(bandwidth.memory, clock);
    expect(bandwidth.take('up', 100)).toBeUndefined();
    expect(other.take('up', 100)).toBeInstanceOf(Promise);
    expect(other.take('down', 100)).toBeUndefined();
    expect([bandwidth.moved('up'), bandwidth.moved('down')]).toEqual([200, 100]);
  });

  it('charges contents for what does not wait', () => {
    const { bandwidth } = limited();
    bandwidth.count('up', 2000);
    expect(bandwidth.take('up', 50)).toBeInstanceOf(Promise);
  });

  it('lets what waits go when the limit changes', async () => {
    const { clock, bandwidth } = limited(1);
    const waiting = bandwidth.take('up', 1_000_000);
    bandwidth.set({ down: null, up: null });
    await pass(clock, 300);
    await waiting;
    expect(bandwidth.take('up', 1_000_000)).toBeUndefined();
  });

  it('is left by who gives up', async () => {
    const { bandwidth } = limited(1);
    const leaving = new AbortController();
    const waiting = bandwidth.take('up', 1_000_000, () => leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
  });
});

describe('a transfer under a limit', () => {
  /** Sends a content of 600,000 bytes, and answers how many had been sent after each of its pieces. */
  async function progressOf(up: number | null): Promise<number[]> {
    const server = await miniServer((_seen, response) => void response.end('ok'));
    const clock = new TestClock();
    // Its sleep is over at once.
    const bandwidth = new Bandwidth(undefined, { now: () => clock.now(), sleep: async (ms) => clock.advance(ms) });
    bandwidth.set({ down: null, up });
    const transport = new Transport({ maxConnections: 1, connectTimeoutMs: 1000 }, bandwidth);
    onTestFinished(() => transport.close());
    const sent: number[] = [];
    const body = {
      size: 600_000,
      async *open() {
        yield Buffer.alloc(600_000);
      },
      onProgress: (bytes: number) => void sent.push(bytes),
    };
    const request = { method: 'PUT', url: new URL('/x', server.origin), headers: {}, body } as const;
    const response = await transport.send(request, 10_000);
    for await (const _chunk of response.body);
    response.watch.end();
    expect(bandwidth.moved('up')).toBe(600_000);
    expect(bandwidth.moved('down')).toBeGreaterThan(0);
    return sent;
  }

  it('goes in small pieces, so that the line is never silent for long', async () => {
    expect(await progressOf(2_000_000)).toEqual([200_000, 400_000, 600_000]);
    expect(await progressOf(null)).toEqual([600_000]);
  });
});
