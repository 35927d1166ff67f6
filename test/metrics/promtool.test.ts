/** What promtool of Prometheus says about what is exported, and about the examples in docs/monitoring/. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { familiesOf, mergeFamilies } from '../../src/mount/metrics/families.js';
import { metricsText } from '../../src/mount/metrics/text.js';
import { facts } from './facts.js';

const isThere = spawnSync('promtool', ['--version']).error === undefined;
const alerts = resolve('docs/monitoring/alerts.yml');

describe.skipIf(!isThere)(`promtool${isThere ? '' : ' (skipped: prometheus is not installed)'}`, () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncmount-test-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** Status and output; JSON is YAML too. */
  function promtool(args: readonly string[], document?: object, input?: string): readonly [number | null, string] {
    const path = join(directory, 'document.yml');
    if (document !== undefined) writeFileSync(path, JSON.stringify(document));
    const all = document === undefined ? args : [...args, path];
    const { status, stdout, stderr } = spawnSync('promtool', all, { input, encoding: 'utf8' });
    return [status, stdout + stderr];
  }

  it('finds nothing amiss in the metrics of two mounts', async () => {
    const status = { ...facts.status, account: 'home', quota: { total: 2, free: 1 } };
    const text = await metricsText(mergeFamilies([familiesOf(facts), familiesOf({ ...facts, status })]), 'prometheus');
    expect(promtool(['check', 'metrics'], undefined, text)).toEqual([0, '']);
    // It does find what is.
    expect(promtool(['check', 'metrics'], undefined, text.replaceAll('_requests_total', '_requests'))[0]).not.toBe(0);
  });

  it('takes the rules for alerts', () => {
    expect(promtool(['check', 'rules', '--lint=all', '--lint-fatal', alerts])).toEqual([
      0,
      expect.stringContaining('SUCCESS'),
    ]);
  });

  it('takes the expressions of the dashboard', () => {
    const { panels } = JSON.parse(readFileSync('docs/monitoring/grafana.json', 'utf8')) as {
      readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
    };
    const rules = panels
      .flatMap(({ targets }) => targets)
      .map(({ expr }, at) => ({ record: `panel:${at}`, expr: expr.replaceAll('$__rate_interval', '1m') }));
    expect(rules.length).toBeGreaterThan(10);
    expect(promtool(['check', 'rules'], { groups: [{ name: 'dashboard', rules }] })).toEqual([
      0,
      expect.stringContaining(`${rules.length} rules found`),
    ]);
  });

  it('sees an alert where one is due, and none of an account whose uploads are paused', () => {
    const series = (name: string, account: string, values: string, more = '') => ({
      series: `${name}{instance="a",account="${account}"${more}}`,
      values: `${values}x90`,
    });
    const input = [
      series('syncmount_uploads', 'work', '2', ',state="failed"'),
      series('syncmount_uploads', 'held', '2', ',state="pending"'),
      ...['work', 'held'].map((account) => series('syncmount_upload_queue_age_seconds', account, '0+60')),
      series('syncmount_uploads_paused', 'work', '0'),
      series('syncmount_uploads_paused', 'held', '1'),
      { series: 'up{job="syncmount",instance="gone"}', values: '1x10 0x80' },
      { series: 'up{job="syncmount",instance="a"}', values: '1x90' },
    ];
    const alert = (alertname: string, labels: object, annotations: object) => ({
      eval_time: '70m',
      alertname,
      exp_alerts: [{ exp_labels: labels, exp_annotations: annotations }],
    });
    const work = { instance: 'a', account: 'work' };
    const tests = [
      {
        interval: '1m',
        input_series: input,
        alert_rule_test: [
          alert(
            'SyncmountUploadsFailed',
            { ...work, state: 'failed', severity: 'critical' },
            {
              summary: '2 files of work could not be stored',
              description:
                'They are kept on the machine. `syncmount status` says why, `syncmount uploads retry` tries again.',
            },
          ),
          alert(
            'SyncmountUploadsLate',
            { ...work, severity: 'warning' },
            { summary: 'A file of work has waited for its upload for 1h 10m 0s' },
          ),
          alert(
            'SyncmountMountGone',
            { job: 'syncmount', instance: 'gone', severity: 'warning' },
            { summary: 'The mount at gone does not answer' },
          ),
          { eval_time: '70m', alertname: 'SyncmountServiceAway', exp_alerts: [] },
        ],
      },
    ];
    expect(promtool(['test', 'rules'], { rule_files: [alerts], evaluation_interval: '1m', tests })).toEqual([
      0,
      expect.stringContaining('SUCCESS'),
    ]);
  });
});
