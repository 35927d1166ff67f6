/** The part of prom-client that text.ts uses: its registry takes anything with a name that can tell its values. */
declare module 'prom-client/lib/registry.js' {
  interface Metric {
    name: string;
    readonly type: string;
    get(): {
      readonly name: string;
      readonly help: string;
      readonly type: string;
      readonly values: readonly {
        readonly metricName?: string;
        readonly labels: Readonly<Record<string, string>>;
        readonly value: number;
      }[];
    };
  }
  export default class Registry {
    static readonly PROMETHEUS_CONTENT_TYPE: string;
    static readonly OPENMETRICS_CONTENT_TYPE: string;
    readonly contentType: string;
    constructor(contentType: string);
    registerMetric(metric: Metric): void;
    metrics(): Promise<string>;
  }
}
