import { timingBounds } from '../../src/base/operation-timings.js';
import type { Facts } from '../../src/mount/metrics/families.js';

const now = Date.UTC(2026, 10, 29);
/** Of a mount that has something in each of its numbers. */
export const facts: Facts = {
  status: {
    ...{ mountpoint: '/home/a "b"', account: 'work', provider: '4shared', pid: 7, binding: 'kernel' },
    ...{ writeBack: true, readOnly: false },
    pending: [{ path: '/secret name', size: 100, sent: 0, state: 'queued', since: now - 7_200_000 }],
    failed: [{ path: '/other', size: 7, sent: 0, state: 'failed', since: now - 9_000_000 }],
    downloads: [],
    transferred: { sent: 0, received: 0 },
    cache: { bytes: 1024, limit: 2048, pinned: 0, hits: 3, misses: 1 },
    requests: { total: 3, byRoute: {} },
    outage: { since: now - 90_000, error: 'no answer' },
    rateLimit: { limit: 60, remaining: 12, resetAt: now },
  },
  version: '1.2.3',
  operations: [
    { operation: 'read', buckets: [2, 0, 1, ...timingBounds.slice(3).map(() => 0), 1], sum: 70.5, failed: 1 },
  ],
  outcomes: { 'GET /files/{id}': { '2xx': 2, none: 1 } },
  moved: { down: 10, up: 20 },
  now,
  process: {
    cpuSeconds: 1.5,
    residentBytes: 4096,
    startedAt: 1,
    loopBusySeconds: 0.5,
    loopLag: { p50: 0, p99: 0.25, max: 1 },
  },
};
