/** What a mount counts and measures for its metrics, and who may ask for them. */
import { systemClock } from '../../base/clock.js';
import { version } from '../../base/installation.js';
import type { MetricsAddress } from '../../config/metrics-address.js';
import type { Mounted } from '../../fuse/binding.js';
import type { Bandwidth } from '../../providers/http/transport/token-bucket.js';
import type { RequestMetrics } from '../../providers/request-metrics.js';
import type { MountStatus } from '../control/status.js';
import { type Family, familiesOf } from './families.js';
import { ProcessMeter } from './process-facts.js';
import type { MetricsServer } from './server.js';

/** What a mount knows of itself. */
export interface Metered {
  readonly status: MountStatus;
  readonly outcomes: RequestMetrics['outcomes'];
  readonly mounted: Mounted;
}

export class MountMeter {
  readonly #bandwidth: Bandwidth;
  readonly #process: ProcessMeter;
  #server: MetricsServer | null = null;
  #read: (() => Promise<Metered>) | null = null;

  private constructor(bandwidth: Bandwidth, watchesLoop: boolean) {
    this.#bandwidth = bandwidth;
    this.#process = new ProcessMeter(watchesLoop);
  }

  /** `address`: where scrapers ask; null: nowhere. Throws `metrics` where that cannot be listened on. */
  static async start(address: MetricsAddress | null, bandwidth: Bandwidth): Promise<MountMeter> {
    const meter = new MountMeter(bandwidth, address !== null);
    if (address === null) return meter;
    // Loaded only where somebody wants it: a mount starts without it.
    const { serveMetrics } = await import('./server.js');
    meter.#server = await serveMetrics(address, async () =>
      meter.#read === null ? null : meter.families(await meter.#read()),
    );
    return meter;
  }

  /** The mount is there, and answers scrapers from now on. */
  ready(read: () => Promise<Metered>): void {
    this.#read = read;
  }

  families({ status, outcomes, mounted }: Metered): Family[] {
    const moved = { down: this.#bandwidth.moved('down'), up: this.#bandwidth.moved('up') };
    const operations = mounted.operationCounts?.() ?? [];
    const facts = { status, outcomes, operations, moved, version };
    return familiesOf({ ...facts, now: systemClock.now(), process: this.#process.facts() });
  }

  close(): void {
    this.#server?.close();
    this.#process.close();
  }
}
