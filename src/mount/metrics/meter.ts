/** Counts and measures a mount for its metrics, and serves them. */
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

/** The state that a mount reports of itself. */
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

  /** `address`: where scrapers ask; null: nowhere. Throws `metrics` if the server cannot listen there. */
  static async start(address: MetricsAddress | null, bandwidth: Bandwidth): Promise<MountMeter> {
    const meter = new MountMeter(bandwidth, address !== null);
    if (address === null) return meter;
    // Loaded only if an address is given, so that other mounts start faster.
    const { serveMetrics } = await import('./server.js');
    meter.#server = await serveMetrics(address, async () =>
      meter.#read === null ? null : meter.families(await meter.#read()),
    );
    return meter;
  }

  /** Called when the mount is there: from now on scrapers get an answer. */
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
