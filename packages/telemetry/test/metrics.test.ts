import { describe, expect, test } from '@jest/globals';
import { createMetrics, METRICS } from '../src/index.js';
import type { MetricRow } from '../src/index.js';

describe('metrics', () => {
  test('are told in the text format', async () => {
    const metrics = createMetrics({ withProcess: false });
    metrics.increment('conclave_rpc_total', { method: 'Secrets/Get', status: 'OK' });
    metrics.increment('conclave_rpc_total', { method: 'Secrets/Get', status: 'OK' }, 2);
    metrics.set('conclave_raft_term', {}, 7);
    metrics.observe('conclave_rpc_seconds', { method: 'Secrets/Get' }, 0.003);
    const text = await metrics.text();
    expect(metrics.contentType).toContain('text/plain');
    expect(text).toContain('conclave_rpc_total{method="Secrets/Get",status="OK"} 3');
    expect(text).toContain('conclave_raft_term 7');
    expect(text).toContain('conclave_rpc_seconds_bucket{le="0.005",method="Secrets/Get"} 1');
    expect(text).toContain('conclave_rpc_seconds_bucket{le="0.0025",method="Secrets/Get"} 0');
    expect(text).toContain('# HELP conclave_raft_term Current term.');
  });

  test('two registries share nothing; clearing forgets', async () => {
    const [first, second] = [
      createMetrics({ withProcess: false }),
      createMetrics({ withProcess: false }),
    ];
    first.set('conclave_raft_term', {}, 7);
    expect(await second.text()).toContain('conclave_raft_term 0');
    first.clear();
    expect(await first.text()).toContain('conclave_raft_term 0');
  });

  test('a label with too many values loses the newest ones, and says so', async () => {
    const metrics = createMetrics({ withProcess: false });
    for (let count = 0; count < 300; count += 1) {
      metrics.increment('conclave_rpc_total', { method: `m${count}`, status: 'OK' });
    }
    metrics.increment('conclave_rpc_total', { method: 'm0', status: 'OK' });
    const text = await metrics.text();
    expect(text).toContain('conclave_metric_series_dropped_total 44');
    expect(text).toContain('conclave_rpc_total{method="m0",status="OK"} 2');
    expect(text).not.toContain('"m256"');
  });

  test('a label value has a bounded length and cannot break the format', async () => {
    const metrics = createMetrics({ withProcess: false });
    metrics.increment('conclave_rpc_total', { method: `a"\n${'x'.repeat(500)}`, status: 'OK' });
    const line = (await metrics.text()).split('\n').find((text) => text.includes('xxx'));
    expect(line?.length).toBeLessThan(200);
    expect(line).toContain('a\\"\\nx');
  });

  test('those of the process are there when asked for', async () => {
    expect(await createMetrics({ withProcess: true }).text()).toContain('conclave_process_cpu');
    expect(await createMetrics({ withProcess: false }).text()).not.toContain('process_cpu');
  });

  test('names follow the rules: sorted, prefix, unit or total at the end', () => {
    const rows: Readonly<Record<string, MetricRow>> = METRICS;
    expect(Object.keys(rows)).toEqual(Object.keys(rows).sort());
    for (const [name, row] of Object.entries(rows)) {
      expect(name).toMatch(/^conclave_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(row.kind === 'counter');
      if (row.kind === 'histogram') expect(name).toMatch(/_seconds$/);
      expect(row.help).toMatch(/\.$/);
    }
  });
});
