import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { ProcessFacts } from './families.js';

/** How often the loop is measured, ms. Each measurement wakes up the mount, even if it is idle. */
const RESOLUTION_MS = 100;

/** Measures this process. */
export class ProcessMeter {
  readonly #delay: IntervalHistogram | null;

  /** `watchesLoop`: measure the lag of the event loop all the time. */
  constructor(watchesLoop: boolean) {
    this.#delay = watchesLoop ? monitorEventLoopDelay({ resolution: RESOLUTION_MS }) : null;
    this.#delay?.enable();
  }

  facts(): ProcessFacts {
    const { user, system } = process.cpuUsage();
    return {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      startedAt: performance.timeOrigin / 1000,
      loopBusySeconds: performance.eventLoopUtilization().active / 1000,
      loopLag: this.#lag(),
    };
  }

  close(): void {
    this.#delay?.disable();
  }

  #lag(): ProcessFacts['loopLag'] {
    const delay = this.#delay;
    if (delay === null) return null;
    // The histogram has the time from one measurement to the next.
    const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000);
    const lag = { p50: seconds(delay.percentile(50)), p99: seconds(delay.percentile(99)), max: seconds(delay.max) };
    delay.reset();
    return lag;
  }
}
