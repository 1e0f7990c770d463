import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCommandLine } from '@k8s-gpu-mcp/command-line';
import { describe, expect, it } from 'vitest';
import { parseCommandLine as parseAgent } from '../../../apps/agent/src/cli/command-line.ts';
import { resolveConfig as resolvePlugin } from '../../../apps/bridge/src/kubectl/config.ts';
import { program as plugin } from '../../../apps/bridge/src/kubectl/options.ts';
import { parseCommandLine as parseBridge } from '../../../apps/bridge/src/options.ts';
import { tellMissing } from '../missing.ts';
import { noCertificates } from '../stand-in-cluster/certificate.ts';
import type { KubernetesObject as ClusterObject } from '../stand-in-cluster/json.ts';
import { skipReason } from '../tools/tools.ts';
import { clusterWith } from './cluster-with.ts';
import {
  type Helm,
  helmVersions,
  namespace,
  type RenderOptions,
  render,
  type Values,
  withChartCopy,
} from './helm.ts';
import type { KubernetesObject } from './kubernetes-objects.ts';
import { choices, outsideObjects } from './value-choices.ts';

tellMissing(...helmVersions.map(skipReason));

/** NOTES.txt is shown by an installation only; in a copy of the chart it is text in an object, rendered by the same helm. */
const notesObject = `apiVersion: v1
kind: ConfigMap
metadata:
  name: notes
data:
  notes: {{ tpl (.Files.Get "notes-copy.txt") . | toJson }}
`;

const rendered = (helm: Helm, values: Values, more: Pick<RenderOptions, 'kubeconfig'> = {}) =>
  withChartCopy(async (chart) => {
    await rename(join(chart, 'templates', 'NOTES.txt'), join(chart, 'notes-copy.txt'));
    await writeFile(join(chart, 'templates', 'notes.yaml'), notesObject);
    const objects = await render({ helm, chart, values, ...more });
    const data = objects.find(({ metadata }) => metadata.name === 'notes')?.['data'] as
      | { notes?: string }
      | undefined;
    const notes = data?.notes ?? '';
    return { notes, objects };
  });

/** What a command of the notes names must be there. */
function missingNames(notes: string, objects: readonly KubernetesObject[]): readonly string[] {
  const named = [
    ...[...notes.matchAll(/get secret -n \S+ (\S+)/g)].map(([, name]) => `Secret ${name}`),
    ...[...notes.matchAll(/daemonset\/(\S+)/g)].map(([, name]) => `DaemonSet ${name}`),
    ...[...notes.matchAll(/--role (\S+)/g)].map(([, name]) => `Role ${name}`),
  ];
  const known = [...outsideObjects, ...objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)];
  return named.filter((one) => !known.includes(one));
}

/** What the programs say of the command lines in the notes. */
function commandProblems(notes: string): readonly string[] {
  const problems: string[] = [];
  const check = (line: string, parse: () => unknown) => {
    try {
      parse();
    } catch (error) {
      problems.push(`${line}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for (const [line, args = ''] of notes.matchAll(/kubectl mcp (.+)/g))
    check(line, () => {
      const parsed = parseCommandLine(plugin, args.trim().split(/\s+/));
      if (parsed.kind === 'command') resolvePlugin(parsed.command, parsed.flags, {});
    });
  for (const [line, args = ''] of notes.matchAll(/-- \/agent (.+)/g))
    check(line, () => parseAgent(args.trim().split(/\s+/)));
  for (const [line = ''] of notes.matchAll(/\{ "mcpServers".*\}/g))
    check(line, () => {
      const { mcpServers } = JSON.parse(line) as { mcpServers: { gpu: { args: string[] } } };
      const [, , ...args] = mcpServers.gpu.args;
      const parsed = parseBridge(args, {}, '0');
      if (parsed.kind === 'print') throw new Error(parsed.text);
    });
  return problems;
}

const cases: readonly (readonly [string, Values, readonly RegExp[]])[] = [
  ['by default', {}, [/kubectl mcp health/, /"mcpServers"/, /helm test gpu/, /SYSLOG/]],
  ['with mock', choices.mock, [/simulated/]],
  ['with stdio', choices.stdio, [/-- \/agent health/, /"--via", "exec"/]],
  ['of an operator', choices['operator that does both'], [/operator-token/]],
  ['with TLS', choices['TLS of the gateway'], [/ca\.crt/]],
  ['with given tokens', choices['given tokens'], [/secret -n gpu-diagnostics people .*\.data\.mcp/]],
  ['without a gateway', choices['no gateway'], [/port 8080/]],
  ['with DRA', choices.DRA, [/resource\.kubernetes\.io\/admin-access=true/]],
  ['with nothing that asks for a privilege', choices['no kernel log'], [/kubectl mcp health/]],
];

describe.each(helmVersions)('the notes under %s', (helm) => {
  it.skipIf(skipReason(helm) !== undefined).concurrent.each(cases)('%s', async (_name, values, words) => {
    const { notes, objects } = await rendered(helm, values);
    for (const word of words) expect(notes).toMatch(word);
    expect(notes).toContain(`-n ${namespace}`);
    expect(notes).not.toMatch(/<no value>|%!|\{\{/);
    expect(missingNames(notes, objects)).toEqual([]);
    expect(commandProblems(notes)).toEqual([]);
  });
});

describe('the check of the notes', () => {
  it('sees names that are not there and commands that do not work', () => {
    const notes = [
      'kubectl get secret -n here gone -o yaml',
      'kubectl exec daemonset/gone -- /agent helth',
      'kubectl mcp health --gateway-namspace here',
      '{ "mcpServers": { "gpu": { "args": ["-y", "k8s-gpu-mcp-bridge", "--vai", "exec"] } } }',
    ].join('\n');
    expect(missingNames(notes, [])).toEqual(['Secret gone', 'DaemonSet gone']);
    expect(commandProblems(notes)).toHaveLength(3);
  });
});

describe.skipIf((skipReason('helm-3') ?? noCertificates) !== undefined)('what the cluster lacks', () => {
  const notesIn = (objects: readonly ClusterObject[]) =>
    clusterWith(objects, async (kubeconfig) => (await rendered('helm-3', {}, { kubeconfig })).notes);
  const node = (labels: Readonly<Record<string, string>>): ClusterObject => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node-1', labels },
  });
  const runtimeClass: ClusterObject = {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'nvidia' },
    handler: 'nvidia',
  };

  it('is told: the RuntimeClass, and nodes with a label of GPU nodes', async () => {
    const notes = await notesIn([node({ 'kubernetes.io/os': 'linux' })]);
    expect(notes).toContain('There is no RuntimeClass nvidia');
    expect(notes).toContain('No node carries a label of GPU nodes');
  });

  it('is nothing where both are there', async () => {
    const notes = await notesIn([node({ 'nvidia.com/gpu.present': 'true' }), runtimeClass]);
    expect(notes).not.toContain('There is no RuntimeClass');
    expect(notes).not.toContain('No node carries a label');
  });
});
