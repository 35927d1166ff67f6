/** Limits connections to the bandwidth of the settings: bytes per second, for each direction of each connection separately. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Speed } from '../options.js';

/** Timers are no finer than this, ms. Shorter waits add up until they are worth a timer. */
const grain = 2;

/**
 * Waits until `bytes` of a body may have been sent, at `rate` bytes per second since `begun` (`performance.now()`). It
 * counts from the start of the body, so a late timer delays one piece and not all later ones.
 */
export async function keepPace(begun: number, bytes: number, rate: number): Promise<void> {
  const delay = begun + (bytes / rate) * 1000 - performance.now();
  if (delay >= grain) await sleep(delay);
}

export class Pacer {
  /** When each direction is free again (`performance.now()`). */
  #free = new WeakMap<Socket, { in: number; out: number }>();

  constructor(readonly settings: Speed) {}

  get limited(): boolean {
    return this.settings.bandwidth > 0;
  }

  async wait(socket: Socket, direction: 'in' | 'out', bytes: number, rate = this.settings.bandwidth): Promise<void> {
    if (rate <= 0) return;
    let free = this.#free.get(socket);
    if (!free) {
      free = { in: 0, out: 0 };
      this.#free.set(socket, free);
    }
    const now = performance.now();
    free[direction] = Math.max(now, free[direction]) + (bytes / rate) * 1000;
    const delay = free[direction] - now;
    if (delay >= grain) await sleep(delay);
  }
}
