/** What docs/monitoring*.md and the examples there say is what is exported. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Facts, familiesOf } from '../../src/mount/metrics/families.js';

const families = familiesOf({
  status: {
    pending: [],
    failed: [],
    cache: { bytes: 0, limit: 0, pinned: 0, hits: 0, misses: 0 },
  } as unknown as Facts['status'],
  version: '',
  operations: [],
  outcomes: {},
  moved: { down: 0, up: 0 },
  now: 0,
  process: { cpuSeconds: 0, residentBytes: 0, startedAt: 0, loopBusySeconds: 0, loopLag: null },
});
/** As they stand in expressions. */
const exported = new Set(
  families.flatMap(({ name, type }) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  ),
);
/** `up` is of Prometheus itself. */
const namesIn = (text: string): string[] => text.match(/\b(?:(?:syncmount|process)_[a-z0-9_]+|up(?={))\b/g) ?? [];
const alerts = readFileSync('docs/monitoring/alerts.yml', 'utf8');

describe('the examples for monitoring', () => {
  it('ask for metrics that there are', () => {
    const expressions = [...alerts.matchAll(/expr: (?:\|\n((?: {10,}.*\n)+)|(.*)\n)/g)].map(
      ([, block, line]) => block ?? line ?? '',
    );
    expect(expressions).toHaveLength(alerts.match(/- alert:/g)?.length ?? -1);
    const dashboard = JSON.parse(readFileSync('docs/monitoring/grafana.json', 'utf8')) as {
      readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
    };
    const asked = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    for (const expression of [...expressions, ...asked]) {
      expect(namesIn(expression)).not.toEqual([]);
      for (const name of namesIn(expression)) expect(['up', ...exported], expression).toContain(name);
    }
  });

  it('warn of failed uploads and of a queue that stands', () => {
    expect(alerts).toContain('syncmount_uploads{state="failed"} > 0');
    expect(alerts).toContain('syncmount_upload_queue_age_seconds > 3600');
  });

  it('and the documentation names each metric, and no other', () => {
    const told = readFileSync('docs/monitoring.md', 'utf8');
    for (const { name } of families) expect(told).toContain(`\`${name}\``);
    const known = new Set([...exported, ...families.map(({ name }) => name)]);
    for (const name of namesIn(told)) expect(known).toContain(name);
  });
});
