import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  createBusyMetrics,
  createMetricsApp,
  familiesOf,
  type MetricFamily,
} from '../../../test/metrics-fixture.ts';

const page = readFileSync(new URL('../../../../../docs/metrics.md', import.meta.url), 'utf8');

/** Rows of the tables: name, type, labels. */
function documented(text: string): ReadonlyMap<string, MetricFamily> {
  const rows = text.matchAll(/^\| `([a-z_]+)` \| ([a-z]+) \|([^|]*)\|/gm);
  return new Map(
    [...rows].map(([, name = '', type = '', labels = '']) => [
      name,
      { type, labels: [...labels.matchAll(/`([a-z_]+)`/g)].map(([, label = '']) => label).sort() },
    ]),
  );
}

async function served(): Promise<ReadonlyMap<string, MetricFamily>> {
  const { metrics } = await createBusyMetrics();
  const { app } = await createMetricsApp(metrics);
  const headers = { host: 'localhost' };
  await app.request('/healthz', { headers });
  return familiesOf(await (await app.request('/metrics', { headers })).text());
}
const sorted = (families: ReadonlyMap<string, MetricFamily>) =>
  [...families].sort(([a], [b]) => (a < b ? -1 : 1));

describe('docs/metrics.md', () => {
  it('names every metric with its type and labels, and no other', async () => {
    expect(sorted(documented(page))).toEqual(sorted(await served()));
  });

  it('uses no other names in its alerts and sentences', async () => {
    const families = await served();
    const used = page.match(/\b(?:mcp|gpu_node)_[a-z_]+\b/g) ?? [];
    expect(used.length).toBeGreaterThan(families.size);
    expect([...new Set(used)].filter((name) => !families.has(name))).toEqual([]);
  });

  it('would not pass with a name less, a name more, or another label', async () => {
    const expected = sorted(await served());
    const row = '| `mcp_http_sessions` | gauge | |';
    expect(page).toContain(row);
    for (const fault of [
      '',
      `${row} x |\n| \`mcp_lost_total\` | counter | |`,
      row.replace('| |', '| `node` |'),
    ]) {
      expect(sorted(documented(page.replace(row, fault)))).not.toEqual(expected);
    }
  });
});
