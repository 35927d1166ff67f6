/** The server's clock, with the error and the resolution of the readings. */
import { dateOf } from '../http/wire.js';
import type { FiveSyncReadings } from './options.js';

export class Clock {
  constructor(
    readonly now: () => number,
    readonly readings: FiveSyncReadings,
  ) {}

  /** Milliseconds, unrounded. */
  time(): number {
    return this.now() + this.readings.clockSkewSeconds * 1000;
  }

  /** The time in the resolution in which it is stored. */
  stamp(time = this.time()): number {
    return this.readings.timestamps === 'seconds' ? Math.floor(time / 1000) * 1000 : time;
  }
}

/** `2025-02-10T14:22:00Z`, or how else the readings have it. */
export function dated(readings: FiveSyncReadings, time: number): string | number {
  return dateOf(readings, new Date(time).toISOString().replace('.000Z', 'Z'));
}
