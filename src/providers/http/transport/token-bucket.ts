/**
 * The bandwidth that all connections of a mount share: a token bucket for each direction. Its few numbers lie in shared memory, so that
 * one limit holds for transfers on the event loop and beside it together.
 *
 * Bytes of contents wait for their turn (`take`). Requests, listings and answers go at once (`count`), because they are few and people wait
 * for them. Later contents wait longer instead.
 */
import { type Clock, systemClock } from '../../../base/clock.js';

export type Way = 'down' | 'up';

/** After idle time, the share of this many ms may move at once: small files do not wait, and no second gets much more than its share. */
const BURST_MS = 100;

/** A changed limit reaches transfers that wait within this time, ms. */
const LOOK_MS = 250;

/** With a limit, a body is sent in pieces that each take this time, ms, so that the line is never silent for long. */
const PIECE_MS = 100;
/** Bytes. Smaller pieces would cost more than they bring. */
const LEAST_PIECE_BYTES = 4096;

/**
 * The bucket as one number: the moment, ms, when the limit has paid for all bytes taken so far. Taking `bytes` at `now` moves it on. The
 * caller must wait `waitMs` before it moves them. `rate`: bytes a second.
 */
export function reserve(
  paidAt: number,
  { now, rate, bytes }: { readonly now: number; readonly rate: number; readonly bytes: number },
): { readonly paidAt: number; readonly waitMs: number } {
  const next = Math.max(paidAt, now - BURST_MS) + (bytes / rate) * 1000;
  return { paidAt: next, waitMs: Math.max(0, next - now) };
}

/** Places in the memory: for each way the limit (bytes a second; 0: none), `paidAt` (µs) and the bytes moved so far; then the changes. */
const cells = { down: 0, up: 3, changes: 6, count: 7 } as const;
const RATE = 0;
const PAID_AT = 1;
const MOVED = 2;

/** A clock that all threads of the process share. */
const processClock: Pick<Clock, 'now' | 'sleep'> = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  sleep: systemClock.sleep,
};

export class Bandwidth {
  readonly memory: SharedArrayBuffer;
  readonly #cells: BigInt64Array;
  readonly #clock: Pick<Clock, 'now' | 'sleep'>;

  /** `memory`: that of another thread's instance, to share its limits. */
  constructor(
    memory = new SharedArrayBuffer(cells.count * BigInt64Array.BYTES_PER_ELEMENT),
    clock: Pick<Clock, 'now' | 'sleep'> = processClock,
  ) {
    this.memory = memory;
    this.#cells = new BigInt64Array(memory);
    this.#clock = clock;
  }

  /** Bytes a second in each direction; null: no limit. Transfers that wait under the old limit go on within `LOOK_MS`. */
  set({ down, up }: Readonly<Record<Way, number | null>>): void {
    for (const [way, rate] of [['down', down] as const, ['up', up] as const]) {
      Atomics.store(this.#cells, cells[way] + RATE, BigInt(Math.ceil(rate ?? 0)));
      Atomics.store(this.#cells, cells[way] + PAID_AT, 0n);
    }
    Atomics.add(this.#cells, cells.changes, 1n);
  }

  /** Bytes a second; null: no limit. */
  limit(way: Way): number | null {
    const rate = Number(Atomics.load(this.#cells, cells[way] + RATE));
    return rate === 0 ? null : rate;
  }

  /** Bytes that have moved so far, in all threads. */
  moved(way: Way): number {
    return Number(Atomics.load(this.#cells, cells[way] + MOVED));
  }

  /** The size of the pieces in which to send a body, bytes; Infinity if there is no limit. */
  pieceBytes(): number {
    const rate = this.limit('up');
    return rate === null ? Number.POSITIVE_INFINITY : Math.max(LEAST_PIECE_BYTES, (rate * PIECE_MS) / 1000);
  }

  /** Counts bytes that do not wait. */
  count(way: Way, bytes: number): void {
    this.#reserve(way, bytes);
  }

  /** Undefined if the bytes may move now. Else resolves when they may, or rejects with the signal's reason. */
  take(way: Way, bytes: number, signal?: () => AbortSignal | undefined): Promise<void> | undefined {
    const waitMs = this.#reserve(way, bytes);
    return waitMs === 0 ? undefined : this.#wait(waitMs, signal?.());
  }

  async #wait(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const changes = Atomics.load(this.#cells, cells.changes);
    const until = this.#clock.now() + waitMs;
    for (let left = waitMs; left > 0; left = until - this.#clock.now()) {
      await this.#clock.sleep(Math.min(left, LOOK_MS), signal);
      if (Atomics.load(this.#cells, cells.changes) !== changes) return;
    }
  }

  /** How long these bytes must wait, ms. */
  #reserve(way: Way, bytes: number): number {
    const at = cells[way];
    Atomics.add(this.#cells, at + MOVED, BigInt(bytes));
    for (;;) {
      const rate = this.limit(way);
      if (rate === null || bytes === 0) return 0;
      const before = Atomics.load(this.#cells, at + PAID_AT);
      const { paidAt, waitMs } = reserve(Number(before) / 1000, { now: this.#clock.now(), rate, bytes });
      // Another thread may have taken meanwhile.
      const after = BigInt(Math.ceil(paidAt * 1000));
      if (Atomics.compareExchange(this.#cells, at + PAID_AT, before, after) === before) return waitMs;
    }
  }
}
