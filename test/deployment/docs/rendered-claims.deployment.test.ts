// What the pages say of the chart, against what the chart renders.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { chartDirectory, helmVersions, render, type Values } from '../chart/helm.ts';
import { type PodTemplate, podTemplatesOf } from '../chart/kubernetes-objects.ts';
import { podSecurityViolations } from '../chart/pod-security.ts';
import { tellMissing } from '../missing.ts';
import { skipReason, tool } from '../tools/tools.ts';
import { commandLinesOf } from './commands.ts';
import { codeBlocksOf, readPage, tablesOf } from './markdown.ts';

tellMissing(...helmVersions.map(skipReason));

const claim = { 'gpu.runtimeClass.enabled': false };
const operator = { mode: 'operator', 'operator.kill.enabled': false };

/** The rows of the table of privileges by their first cell, and what to set for each; beside it only what is said to need nothing. */
const optionsOfRow: Readonly<Record<string, readonly Values[]>> = {
  '`kernelLog.source=none`, no other option': [{}],
  '`kernelLog.source=syslog` (default)': [{ 'kernelLog.source': 'syslog' }],
  '`kernelLog.source=kmsg`': [{ 'kernelLog.source': 'kmsg' }],
  '`hostPID=true`': [{ hostPID: true }],
  '`podResources.enabled=true`': [{ 'podResources.enabled': true }],
  '`recorder.storage=memory`, `emptyDir`': ['memory', 'emptyDir'].map((storage) => ({
    'recorder.enabled': true,
    'recorder.storage': storage,
  })),
  '`recorder.storage=hostPath`': [{ 'recorder.enabled': true, 'recorder.storage': 'hostPath' }],
  '`gpu.runtimeClass.enabled`, `gpu.resourceRequest.enabled`': [
    {},
    { ...claim, 'gpu.resourceRequest.enabled': true },
  ],
  '`gpu.dra.enabled`': [{ ...claim, 'gpu.dra.enabled': true }],
  '`mode=operator`, `operator.kill.enabled`': [{ ...operator, 'operator.kill.enabled': true }],
  '`operator.reset.enabled`': [{ ...operator, 'operator.reset.enabled': true }],
};
const privileges =
  tablesOf(readPage('docs/security.md')).find(({ head }) => head[0] === 'option')?.rows ?? [];

async function podOf(component: string, values: Values): Promise<PodTemplate> {
  const objects = await render({ values: { 'kernelLog.source': 'none', ...values } });
  const pod = podTemplatesOf(objects).find(({ owner }) => owner.metadata.name.endsWith(`-${component}`));
  if (pod === undefined) throw new Error(`no pod of ${component}`);
  return pod;
}

const profileOf = (pod: PodTemplate) =>
  (['restricted', 'baseline'] as const).find((profile) => podSecurityViolations(pod, profile).length === 0) ??
  'privileged';

/** What the words of a row say that the agent has, and what it has. */
const said = (option: string, words: string) => ({
  isRoot: /\broot\b/.test(words),
  isPrivileged: /\bprivileged\b/.test(words),
  capabilities: Array.from(words.matchAll(/CAP_([A-Z_]+)/g), ([, name = '']) => name),
  hostPID: /hostPID/.test(option + words),
  hasHostPath: /host path|host directory|driver's root/.test(words),
});
function given({ spec }: PodTemplate): ReturnType<typeof said> {
  const context = spec.containers?.[0]?.securityContext;
  return {
    isRoot: context?.runAsUser === 0,
    isPrivileged: context?.privileged === true,
    capabilities: [...(context?.capabilities?.add ?? [])],
    hostPID: spec.hostPID === true,
    hasHostPath: (spec.volumes ?? []).some((volume) => 'hostPath' in volume),
  };
}

describe.skipIf(skipReason('helm-3') !== undefined)('the privileges of security.md', () => {
  test('every row is known here', () => {
    expect(privileges.map(([option]) => option)).toEqual(Object.keys(optionsOfRow));
  });

  test.each(privileges)('%s', async (option = '', words = '', _lost = '', passes = '') => {
    for (const values of optionsOfRow[option] ?? []) {
      const pod = await podOf('agent', values);
      // Kubernetes gives privileged containers every capability: naming one adds nothing.
      const { capabilities, ...rest } = given(pod);
      expect({ ...rest, capabilities: rest.isPrivileged ? [] : capabilities }).toEqual(said(option, words));
      expect(`\`${profileOf(pod)}\``).toBe(passes.split(';')[0]);
      expect(profileOf(await podOf('gateway', values))).toBe('restricted');
    }
  });

  test('a privilege that is not told would be found', async () => {
    expect(given(await podOf('agent', { hostPID: true }))).not.toEqual(
      said('`kernelLog.source=none`', 'user 65532'),
    );
  });
});

const folder = mkdtempSync(join(tmpdir(), 'documented-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The values of every `helm install`, `upgrade` and `template` of a page, as it gives them. */
const documented = ['kubernetes', 'security', 'quickstart'].flatMap((name) =>
  commandLinesOf(readPage(`docs/${name}.md`))
    .filter((line) => /^helm (?:install|upgrade|template) /.test(line))
    .map(
      (line) =>
        [name, line, Array.from(line.matchAll(/--set \S+/g), ([set]) => set.split(' ')).flat()] as const,
    ),
);

describe.each(helmVersions)('%s renders what the pages install', (helm) => {
  const run = (args: readonly string[]) =>
    promisify(execFile)(tool(helm) ?? '', [
      'template',
      'r',
      chartDirectory,
      '--api-versions',
      'resource.k8s.io/v1',
      ...args,
    ]);

  test.skipIf(skipReason(helm) !== undefined).each(documented)(
    'docs/%s.md: %s',
    async (_name, _line, sets) => {
      await expect(run(sets)).resolves.toMatchObject({ stdout: expect.stringContaining('kind: DaemonSet') });
    },
  );

  test.skipIf(skipReason(helm) !== undefined)('the values file of kubernetes.md', async () => {
    const [values] = codeBlocksOf(readPage('docs/kubernetes.md')).filter(({ text }) =>
      text.startsWith('networkPolicy:'),
    );
    const file = join(folder, `${helm}.yaml`);
    writeFileSync(file, values?.text ?? 'no: values');
    const { stdout } = await run(['--values', file]);
    expect(stdout).toContain('--allowed-host=gpu-mcp.example.com');
    expect(stdout).toContain('kubernetes.io/metadata.name: ingress-nginx');
  });

  test.skipIf(skipReason(helm) !== undefined)('a command that the chart refuses would be found', async () => {
    await expect(run(['--set', 'gpu.resourceRequest.enabled=true'])).rejects.toThrow(
      /set all but one to false/,
    );
  });
});
