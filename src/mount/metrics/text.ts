/**
 * Metrics as text. Only prom-client's registry is loaded, which writes the formats, because its index would also load tracing, clusters and
 * its own counters. package.json pins the exact version, so this inner path stays valid.
 */
import Registry from 'prom-client/lib/registry.js';
import type { Family } from './families.js';

export type MetricsFormat = 'prometheus' | 'openmetrics';

export const contentTypes: Readonly<Record<MetricsFormat, string>> = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
};

export async function metricsText(families: readonly Family[], format: MetricsFormat): Promise<string> {
  const registry = new Registry(contentTypes[format]);
  for (const { name, type, help, samples } of families) {
    if (samples.length === 0) continue;
    const metric = {
      // The registry removes `_total` if the format requires that.
      name,
      type,
      get: () => ({
        name: metric.name,
        help,
        type,
        values: samples.map(({ suffix, labels, value }) => ({
          labels,
          value,
          ...(suffix !== undefined && { metricName: name + suffix }),
        })),
      }),
    };
    registry.registerMetric(metric);
  }
  return await registry.metrics();
}

/** The format that an `Accept` header asks for: Prometheus names OpenMetrics if it accepts it. */
export function formatFor(accept: string | undefined): MetricsFormat {
  return accept?.includes('application/openmetrics-text') === true ? 'openmetrics' : 'prometheus';
}
