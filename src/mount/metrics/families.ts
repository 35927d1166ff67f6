/**
 * The metrics of a mount, by the conventions of Prometheus: https://prometheus.io/docs/practices/naming/. Pure functions: the metrics are
 * made on request, from counters that exist anyway. Label values are from small, fixed sets, never a file's name.
 */
import { type OperationCount, timingBounds } from '../../base/operation-timings.js';
import type { RequestMetrics } from '../../providers/request-metrics.js';
import type { MountStatus, UploadStatus } from '../control/status.js';

export interface Sample {
  /** The suffix of the family's name: `_bucket`, `_sum` and `_count` of a histogram. */
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  /** The name, with `_total` for a counter. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** The measured values of a mount at one moment. */
export interface Facts {
  readonly status: MountStatus;
  readonly version: string;
  readonly operations: readonly OperationCount[];
  readonly outcomes: RequestMetrics['outcomes'];
  /** Bytes to and from the service, contents and requests. */
  readonly moved: { readonly down: number; readonly up: number };
  /** ms since 1970. */
  readonly now: number;
  readonly process: ProcessFacts;
}

export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
  /** Seconds in which the event loop was busy since the start. */
  readonly loopBusySeconds: number;
  /** Seconds, since the last request for metrics; null without `--metrics`. */
  readonly loopLag: { readonly p50: number; readonly p99: number; readonly max: number } | null;
}

type Values = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

export function familiesOf(facts: Facts): Family[] {
  const { status, operations, outcomes, moved, now, process } = facts;
  const {
    account,
    provider,
    mountpoint,
    binding,
    pending,
    failed,
    excluded = [],
    cache,
    rateLimit,
    quota,
    outage,
  } = status;
  const family =
    (type: Family['type']) =>
    (name: string, help: string, values: Values | number): Family => ({
      ...{ name, type, help },
      samples: (typeof values === 'number' ? [[{}, values] as const] : values).map(([labels, value]) => ({
        labels: { account, ...labels },
        value,
      })),
    });
  const { loopLag } = process;
  const gauge = family('gauge');
  const counter = family('counter');
  const states = { pending, failed, excluded };
  const byState = (measure: (uploads: readonly UploadStatus[]) => number): Values =>
    Object.entries(states).map(([state, uploads]) => [{ state }, measure(uploads)]);
  return [
    gauge('syncmount_info', 'The mount.', [[{ provider, mountpoint, binding, version: facts.version }, 1]]),
    operationsFamily(account, operations),
    counter(
      'syncmount_operation_errors_total',
      'Calls of programs that failed, by operation; names that do not exist are no failures.',
      operations.map(({ operation, failed: count }) => [{ operation }, count]),
    ),
    counter(
      'syncmount_requests_total',
      'Requests to the service by route and outcome: the class of the status, or none without an answer.',
      Object.entries(outcomes).flatMap(([route, counts]) =>
        Object.entries(counts).map(([outcome, count]) => [{ route, outcome }, count] as const),
      ),
    ),
    counter('syncmount_transferred_bytes_total', 'Bytes of bodies from (down) and to (up) the service.', [
      [{ direction: 'down' }, moved.down],
      [{ direction: 'up' }, moved.up],
    ]),
    gauge('syncmount_cache_bytes', 'Bytes of downloaded blocks on the local disk.', cache.bytes),
    gauge('syncmount_cache_limit_bytes', 'The most that they may take.', cache.limit),
    gauge('syncmount_cache_pinned_bytes', 'Bytes of pinned contents, on top of the others.', cache.pinned),
    counter('syncmount_cache_hits_total', 'Blocks that were read from the cache.', cache.hits),
    counter('syncmount_cache_misses_total', 'Blocks that were fetched to be read.', cache.misses),
    gauge(
      'syncmount_uploads',
      'Contents that the service does not have: pending, failed (a person must act) and excluded (they stay here).',
      byState((uploads) => uploads.length),
    ),
    gauge(
      'syncmount_spool_bytes',
      'Bytes of these contents.',
      byState((uploads) => uploads.reduce((sum, { size }) => sum + size, 0)),
    ),
    gauge(
      'syncmount_upload_queue_age_seconds',
      'How long the oldest pending content has waited; 0 where none does.',
      pending.reduce((age, { since = now }) => Math.max(age, (now - since) / 1000), 0),
    ),
    gauge('syncmount_uploads_paused', '1 after syncmount pause.', status.paused === true ? 1 : 0),
    gauge(
      'syncmount_metadata_pending',
      'Changes of metadata that the account does not have.',
      status.metadata?.pending ?? 0,
    ),
    gauge(
      'syncmount_login_required',
      '1 while the service refuses the credentials.',
      status.login === undefined ? 0 : 1,
    ),
    gauge(
      'syncmount_outage_seconds',
      'For how long the service has not answered; 0 while it does.',
      outage === undefined ? 0 : Math.max(0, now - outage.since) / 1000,
    ),
    gauge(
      'syncmount_rate_limit_requests',
      "The account's requests in a period, where the service tells.",
      optional(rateLimit?.limit),
    ),
    gauge('syncmount_rate_limit_remaining_requests', 'How many of them are left.', optional(rateLimit?.remaining)),
    gauge(
      'syncmount_rate_limit_reset_timestamp_seconds',
      'When the next period begins.',
      optional(rateLimit === undefined ? undefined : rateLimit.resetAt / 1000),
    ),
    gauge('syncmount_quota_bytes', "The account's space, where the service tells.", optional(quota?.total)),
    gauge('syncmount_quota_free_bytes', 'How much of it is free.', optional(quota?.free)),
    gauge('syncmount_event_loop_lag_p50_seconds', lagHelp('the median'), optional(loopLag?.p50)),
    gauge('syncmount_event_loop_lag_p99_seconds', lagHelp('99 of 100 times at most'), optional(loopLag?.p99)),
    gauge('syncmount_event_loop_lag_max_seconds', lagHelp('at most'), optional(loopLag?.max)),
    counter(
      'syncmount_event_loop_busy_seconds_total',
      'Time in which the event loop was busy.',
      process.loopBusySeconds,
    ),
    counter('process_cpu_seconds_total', 'CPU time of the process, all threads.', process.cpuSeconds),
    gauge('process_resident_memory_bytes', 'Memory of the process.', process.residentBytes),
    gauge('process_start_time_seconds', 'When it was started, since 1970.', process.startedAt),
  ];
}

function lagHelp(what: string): string {
  return `How late the event loop was since the last scrape, with --metrics: ${what}.`;
}

/** No sample if the value is unknown. */
function optional(value: number | undefined): Values {
  return value === undefined ? [] : [[{}, value]];
}

function operationsFamily(account: string, operations: readonly OperationCount[]): Family {
  const samples = operations.flatMap(({ operation, buckets, sum }) => {
    const labels = { account, operation };
    let count = 0;
    const cumulated = buckets.map((more, at): Sample => {
      count += more;
      return { suffix: '_bucket', labels: { ...labels, le: String(timingBounds[at] ?? '+Inf') }, value: count };
    });
    return [...cumulated, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: count }];
  });
  const help = 'How long calls of programs took, by operation of the kernel.';
  return { name: 'syncmount_operations_seconds', type: 'histogram', help, samples };
}

/** One family of each name, with the samples of all mounts. */
export function mergeFamilies(mounts: readonly (readonly Family[])[]): Family[] {
  const merged = new Map<string, Family>();
  for (const family of mounts.flat()) {
    const before = merged.get(family.name);
    merged.set(family.name, { ...family, samples: [...(before?.samples ?? []), ...family.samples] });
  }
  return [...merged.values()];
}
