import { describe, expect, it } from 'vitest';
import { SyncmountError } from '../../../src/base/errors.js';

import { toFsError } from '../../../src/filesystem/core/errno.js';
import {
  isTransient,
  LONG_BYTES,
  LONG_WIDTH,
  nextKind,
  outageBackoff,
  QUEUE_WIDTH,
  queueWidth,
  rewriteDelay,
  uploadRetryDelay,
} from '../../../src/filesystem/uploads/policy.js';
import { UploadQueue, type Verdict } from '../../../src/filesystem/uploads/queue.js';
import { ProviderError } from '../../../src/providers/errors.js';
import { TestClock } from '../../support/test-clock.js';

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

/** A queue whose uploads end when the test says so. */
class Bench {
  readonly clock = new TestClock();
  readonly started: number[] = [];
  readonly #ends = new Map<number, (verdict: Verdict) => void>();
  readonly queue = new UploadQueue(this.clock, queueWidth(null), (ino) => {
    this.started.push(ino);
    return new Promise((done) => this.#ends.set(ino, done));
  });

  get running(): number[] {
    return [...this.#ends.keys()];
  }

  async end(ino: number, verdict: Verdict = 'stored'): Promise<void> {
    this.#ends.get(ino)?.(verdict);
    this.#ends.delete(ino);
    await turn();
  }

  async later(ms: number): Promise<void> {
    this.clock.advance(ms);
    await turn();
  }
}

describe('the choice of the next upload', () => {
  it.each([
    ['nothing waits', [null, null], [0, 0], null],
    ['the older goes first', [2, 1], [0, 0], 'long'],
    ['the older goes first, of whatever size', [1, 2], [0, 0], 'short'],
    ['a small file passes long ones that have all their places', [2, 1], [0, LONG_WIDTH], 'short'],
    ['a long one waits for a place of its kind', [null, 1], [0, LONG_WIDTH], null],
    ['small ones may fill all places', [1, null], [QUEUE_WIDTH - 1, 0], 'short'],
    ['no more at a time than the width', [1, 1], [QUEUE_WIDTH - LONG_WIDTH, LONG_WIDTH], null],
  ] as const)('%s', (_, [short, long], [shorts, longs], expected) => {
    const state = { oldest: { short, long }, running: { short: shorts, long: longs } };
    expect(nextKind(state, queueWidth(null))).toBe(expected);
  });

  it.each([
    ['the service is out of reach', new ProviderError('network', ''), true],
    ['the account is full', new ProviderError('quota', ''), false],
    ['the disk of this machine is full', Object.assign(new Error(), { code: 'ENOSPC' }), true],
    ['the state database cannot grow', Object.assign(new Error(), { code: 'SQLITE_FULL' }), true],
    ['a spool file is damaged', new SyncmountError('spool', ''), false],
  ])('by itself again where %s', (_, cause, expected) => {
    expect(isTransient(toFsError(cause))).toBe(expected);
    // A journal that cannot be written fails outside of the errno boundary.
    if (!(cause instanceof ProviderError)) expect(isTransient(cause)).toBe(expected);
  });

  it('waits longer the more often something happens, up to a limit', () => {
    expect([0, 1, 2, 3, 9, 1000].map(rewriteDelay)).toEqual([0, 1000, 2000, 4000, 8000, 8000]);
    expect([1, 2, 3, 1000].map(uploadRetryDelay)).toEqual([5000, 10_000, 20_000, 600_000]);
    expect([1, 2, 3, 1000].map(outageBackoff)).toEqual([5000, 10_000, 20_000, 60_000]);
  });
});

describe('the queue', () => {
  it('lets small files pass long ones that wait', async () => {
    const b = new Bench();
    for (let ino = 1; ino <= 10; ino++) b.queue.add(ino, LONG_BYTES, 1);
    b.queue.add(11, 10, 1);
    expect(b.running).toEqual([1, 2, 3, 4, 11]);
    await b.end(1);
    expect(b.running).toEqual([2, 3, 4, 11, 5]);
  });

  it('stores a file at once, and one that is saved again and again less often', async () => {
    const b = new Bench();
    for (let second = 0; second < 30; second++) {
      b.queue.add(1, 10, second);
      await b.end(1);
      await b.later(1000);
    }
    await b.later(10_000);
    await b.end(1);
    expect(b.started.length).toBeGreaterThan(1);
    expect(b.started.length).toBeLessThan(8);
    expect(b.queue.isBusy).toBe(false);
  });

  it('uploads at once a content whose upload was suspended, however often', async () => {
    const b = new Bench();
    for (let times = 0; times < 4; times++) {
      b.queue.add(1, 10, 7);
      await b.end(1, 'cancelled');
    }
    expect(b.started).toEqual([1, 1, 1, 1]);
    b.queue.add(1, 10, 8);
    expect(b.running).toEqual([]);
  });

  it('is content with one upload of a file that was closed many times before its turn', () => {
    const b = new Bench();
    for (let ino = 1; ino <= QUEUE_WIDTH; ino++) b.queue.add(ino, 1, 1);
    for (let times = 0; times < 5; times++) b.queue.add(99, 1, 1);
    expect(b.started).not.toContain(99);
    b.queue.runNow();
    for (let ino = 1; ino <= QUEUE_WIDTH; ino++) void b.end(ino);
    return turn().then(() => expect(b.started.filter((ino) => ino === 99)).toEqual([99]));
  });

  it('retries later an upload that failed for a transient reason, and never one that was refused', async () => {
    const b = new Bench();
    b.queue.add(1, 1, 1);
    b.queue.add(2, 1, 1);
    await b.end(2, 'refused');
    await b.end(1, 'transient');
    await b.later(uploadRetryDelay(1));
    expect(b.started).toEqual([1, 2, 1]);
    await b.end(1, 'transient');
    await b.later(uploadRetryDelay(1));
    expect(b.running).toEqual([]);
    await b.later(uploadRetryDelay(2));
    expect(b.running).toEqual([1]);
  });

  it('rests while nothing can be stored, and sends one upload ahead at the end of the rest', async () => {
    const b = new Bench();
    for (let ino = 1; ino <= 2 * QUEUE_WIDTH; ino++) b.queue.add(ino, 1, 1);
    await b.later(1);
    for (const ino of b.running) await b.end(ino, 'transient');
    expect(b.running).toEqual([]);
    await b.later(outageBackoff(1));
    expect(b.running).toEqual([QUEUE_WIDTH + 1]);
    await b.end(QUEUE_WIDTH + 1, 'transient');
    expect(b.running).toEqual([]);
    b.queue.runNow();
    expect(b.running).toHaveLength(1);
    await b.end(b.running[0] ?? 0);
    expect(b.running).toHaveLength(QUEUE_WIDTH);
  });

  it('does not take a file for one that is being rewritten because the clock was set back', async () => {
    const b = new Bench();
    b.queue.add(1, 10, 1);
    await b.end(1);
    b.clock.set(-3_600_000);
    await b.later(60_000);
    b.queue.add(1, 10, 2);
    expect(b.started).toEqual([1, 1]);
  });

  it('lets the oldest go first, although the clock was set back since', async () => {
    const b = new Bench();
    for (let ino = 1; ino <= LONG_WIDTH + 1; ino++) b.queue.add(ino, LONG_BYTES, 1);
    for (let ino = 100; ino < 100 + QUEUE_WIDTH - LONG_WIDTH; ino++) b.queue.add(ino, 10, 1);
    b.clock.set(-3_600_000);
    await b.later(1);
    b.queue.add(999, 10, 1);
    await b.end(1);
    expect(b.running).toContain(LONG_WIDTH + 1);
  });

  it('does not rest for the trouble of one file', async () => {
    const b = new Bench();
    for (let ino = 1; ino <= QUEUE_WIDTH + 2; ino++) b.queue.add(ino, 1, 1);
    await b.end(1);
    await b.end(2, 'transient');
    expect(b.running).toContain(QUEUE_WIDTH + 2);
  });

  it('is idle when the provider does not answer: nobody waits for ever', async () => {
    const b = new Bench();
    for (let ino = 1; ino <= 100; ino++) b.queue.add(ino, 1, 1);
    const idle = b.queue.idle();
    for (const ino of b.running) await b.end(ino, 'transient');
    await idle;
    expect(b.started).toHaveLength(QUEUE_WIDTH);
  });

  it('begins nothing after its end', async () => {
    const b = new Bench();
    for (let ino = 1; ino <= 2 * QUEUE_WIDTH; ino++) b.queue.add(ino, 1, 1);
    b.queue.end();
    for (const ino of b.running) await b.end(ino);
    b.queue.add(99, 1, 1);
    await b.later(1_000_000);
    expect(b.started).toHaveLength(QUEUE_WIDTH);
    expect(b.clock.sleepers).toBe(0);
  });
});
