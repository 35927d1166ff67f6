import { describe, expect, it } from 'vitest';
import { OperationTimings, timingBounds } from '../../src/base/operation-timings.js';
import { familiesOf, mergeFamilies } from '../../src/mount/metrics/families.js';
import { formatFor, metricsText } from '../../src/mount/metrics/text.js';
import { facts } from './facts.js';

const text = (given = facts): Promise<string> => metricsText(familiesOf(given), 'prometheus');

describe('the metrics of a mount', () => {
  it('are what it has counted', async () => {
    const lines = (await text()).split('\n');
    for (const line of [
      'syncmount_info{account="work",provider="4shared",mountpoint="/home/a \\"b\\"",binding="kernel",version="1.2.3"} 1',
      '# TYPE syncmount_operations_seconds histogram',
      'syncmount_operations_seconds_bucket{account="work",operation="read",le="0.0001"} 2',
      'syncmount_operations_seconds_bucket{account="work",operation="read",le="0.005"} 3',
      'syncmount_operations_seconds_bucket{account="work",operation="read",le="60"} 3',
      'syncmount_operations_seconds_bucket{account="work",operation="read",le="+Inf"} 4',
      'syncmount_operations_seconds_sum{account="work",operation="read"} 70.5',
      'syncmount_operations_seconds_count{account="work",operation="read"} 4',
      'syncmount_operation_errors_total{account="work",operation="read"} 1',
      '# TYPE syncmount_requests_total counter',
      'syncmount_requests_total{account="work",route="GET /files/{id}",outcome="none"} 1',
      'syncmount_transferred_bytes_total{account="work",direction="up"} 20',
      'syncmount_uploads{account="work",state="failed"} 1',
      'syncmount_uploads{account="work",state="excluded"} 0',
      'syncmount_spool_bytes{account="work",state="pending"} 100',
      'syncmount_upload_queue_age_seconds{account="work"} 7200',
      'syncmount_outage_seconds{account="work"} 90',
      'syncmount_rate_limit_remaining_requests{account="work"} 12',
      'syncmount_event_loop_lag_p99_seconds{account="work"} 0.25',
      'process_cpu_seconds_total{account="work"} 1.5',
    ])
      expect(lines).toContain(line);
  });

  it('tell no name of a file, and nothing of what is not known', async () => {
    expect(await text()).not.toContain('secret');
    expect(await text()).not.toContain('syncmount_quota_bytes');
  });

  it('have names by the conventions, and a label that says which account', () => {
    for (const { name, type, samples } of familiesOf(facts)) {
      expect(name).toMatch(/^(syncmount|process)_[a-z0-9_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      for (const { labels } of samples) expect(labels.account).toBe('work');
    }
  });

  it('of several mounts are one family each', async () => {
    const other = familiesOf({ ...facts, status: { ...facts.status, account: 'home' } });
    const merged = await metricsText(mergeFamilies([familiesOf(facts), other]), 'prometheus');
    expect(merged.match(/^# TYPE syncmount_uploads gauge$/gm)).toHaveLength(1);
    expect(merged).toContain('syncmount_uploads{account="home",state="failed"} 1');
    expect(merged).toContain('syncmount_uploads{account="work",state="failed"} 1');
  });

  it('are in OpenMetrics for those who take it', async () => {
    const openMetrics = await metricsText(familiesOf(facts), 'openmetrics');
    expect(openMetrics).toMatch(/^# TYPE syncmount_requests counter\nsyncmount_requests_total\{/m);
    expect(openMetrics.endsWith('\n# EOF\n')).toBe(true);
    const prometheus = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2';
    expect([formatFor(prometheus), formatFor('text/plain'), formatFor(undefined)]).toEqual([
      'openmetrics',
      'prometheus',
      'prometheus',
    ]);
  });
});

describe('the timings of operations', () => {
  it('count each call in the bucket of its time', () => {
    const timings = new OperationTimings(['look', undefined, 'read']);
    const at = performance.now();
    timings.ended(0, at, false);
    timings.ended(2, at - 300, true);
    timings.ended(2, at - 3_600_000, false);
    const [look, read] = timings.counts();
    expect([look?.operation, read?.operation, timings.counts().length]).toEqual(['look', 'read', 2]);
    expect(read).toMatchObject({ failed: 1, sum: expect.closeTo(3600.3, 0) });
    expect(read?.buckets.flatMap((count, bucket) => (count > 0 ? [timingBounds[bucket]] : []))).toEqual([
      0.5,
      undefined,
    ]);
  });
});
