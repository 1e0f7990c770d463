import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { tellMissing } from '../missing.ts';
import { skipReason } from '../tools/tools.ts';
import { render } from './helm.ts';

const run = promisify(execFile);
const hasPromtool = await run('promtool', ['--version']).then(
  () => true,
  () => false,
);
const canRun = hasPromtool && skipReason('helm-3') === undefined;
const needs = canRun ? '' : ' (needs promtool and helm)';
tellMissing(
  hasPromtool ? undefined : 'promtool is not installed: apt-get install prometheus',
  skipReason('helm-3'),
);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}
interface Groups {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

async function renderedGroups(): Promise<Groups> {
  const objects = await render({ values: { 'metrics.prometheusRule.enabled': true } });
  const rule = objects.find(({ kind }) => kind === 'PrometheusRule');
  if (rule === undefined) throw new Error('no PrometheusRule is rendered');
  return rule['spec'] as Groups;
}

/** Runs promtool beside the rendered rules; its output, and whether it was content. */
async function promtool(rules: object, args: readonly string[], tests?: object): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'alerts-'));
  try {
    await writeFile(join(directory, 'rules.yaml'), JSON.stringify(rules));
    await writeFile(join(directory, 'tests.yaml'), JSON.stringify({ rule_files: ['rules.yaml'], ...tests }));
    const { stdout } = await run('promtool', args, { cwd: directory });
    return stdout;
  } catch (error) {
    if (error instanceof Error && 'stderr' in error)
      return `FAILED ${'stdout' in error ? error.stdout : ''}${error.stderr}`;
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const series = (name: string, values: string) => ({ series: name, values });
const alertsAt = (time: string, alertname: string, labels: readonly object[], rules: readonly Rule[]) => ({
  eval_time: time,
  alertname,
  exp_alerts: labels.map((exp_labels) => ({
    exp_labels,
    exp_annotations: Object.fromEntries(
      Object.entries(rules.find(({ alert }) => alert === alertname)?.annotations ?? {}).map(([key, text]) => [
        key,
        text.replaceAll('{{ $labels.node }}', 'gpu-1'),
      ]),
    ),
  })),
});

describe('the alert rules', () => {
  it.skipIf(!canRun)(`are what Prometheus reads${needs}`, async () => {
    expect(await promtool(await renderedGroups(), ['check', 'rules', 'rules.yaml'])).toMatch(
      /SUCCESS: [1-9]\d* rules? found/,
    );
    expect(
      await promtool({ groups: [{ name: 'a', rules: [{ alert: 'A', expr: 'sum by' }] }] }, [
        'check',
        'rules',
        'rules.yaml',
      ]),
    ).toMatch(/^FAILED/);
  });

  it.skipIf(skipReason('helm-3') !== undefined)(
    'ask for metrics that there are, and keep the templates of Prometheus',
    async () => {
      const documented = await readFile(resolve(import.meta.dirname, '../../../docs/metrics.md'), 'utf8');
      const { groups } = await renderedGroups();
      for (const { expr, annotations } of groups.flatMap(({ rules }) => rules)) {
        const names = expr.match(/\b(?:gpu|mcp|process|nodejs)_[a-z_]+/g) ?? [];
        expect(names.length, expr).toBeGreaterThan(0);
        for (const name of names)
          expect(documented, name).toContain(`\`${name.replace(/_(?:bucket|count|sum)$/, '')}\``);
        expect(Object.values(annotations).join(' ')).toMatch(/\{\{ \$labels\.\w+ \}\}/);
      }
    },
  );

  it.skipIf(!canRun)(
    `tell of a critical node and of one that is not asked, and of no other${needs}`,
    async () => {
      const rendered = await renderedGroups();
      const rules = rendered.groups.flatMap((group) => group.rules);
      const on = (node: string, more = '') => `instance="a:8080",node="${node}"${more}`;
      const critical = { severity: 'critical', node: 'gpu-1' };
      const warning = { severity: 'warning', node: 'gpu-1' };
      const testsWith = (expected: readonly object[]) => ({
        evaluation_interval: '1m',
        tests: [
          {
            interval: '1m',
            input_series: [
              series(`gpu_node_verdict{${on('gpu-1', ',verdict="critical"')}}`, '1x20'),
              series(`gpu_node_verdict_age_seconds{${on('gpu-1')}}`, '30x20'),
              // Critical long ago, and never asked since.
              series(`gpu_node_verdict{${on('gpu-2', ',verdict="critical"')}}`, '1x20'),
              series(`gpu_node_verdict_age_seconds{${on('gpu-2')}}`, '90000x20'),
              series(`gpu_node_verdict{${on('gpu-3', ',verdict="critical"')}}`, '0x20'),
              series(`gpu_node_verdict_age_seconds{${on('gpu-3')}}`, '30x20'),
              series(`mcp_node_health{${on('gpu-1')}}`, '0x20'),
              series(`mcp_node_health{${on('gpu-3')}}`, '1x20'),
            ],
            alert_rule_test: [
              alertsAt('10m', 'GpuNodeCritical', expected, rules),
              alertsAt('10m', 'GpuNodeNotAsked', [warning], rules),
              alertsAt('2m', 'GpuNodeNotAsked', [], rules),
            ],
          },
        ],
      });
      expect(await promtool(rendered, ['test', 'rules', 'tests.yaml'], testsWith([critical]))).toMatch(
        /SUCCESS/,
      );
      expect(await promtool(rendered, ['test', 'rules', 'tests.yaml'], testsWith([]))).toMatch(/^FAILED/);
    },
  );
});
