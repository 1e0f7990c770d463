import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { tellMissing } from '../missing.ts';
import { skipReason } from '../tools/tools.ts';
import { chartDirectory, HelmError, render, type Values, withChartCopy, withoutTokens } from './helm.ts';

tellMissing(skipReason('helm-3'));

const isMissing = skipReason('helm-3') !== undefined;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly enum?: readonly Json[];
  readonly definitions?: Readonly<Record<string, Schema>>;
}

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const valuesOf = async (chart: string) => parse(await readFile(join(chart, 'values.yaml'), 'utf8')) as Json;
const schemaOf = async (chart: string) =>
  JSON.parse(await readFile(join(chart, 'values.schema.json'), 'utf8')) as Schema;

/** Free maps and lists are leaves: what is in them is their owner's. */
const freeMaps = ['requests', 'limits', 'updateStrategy'];
function leavesOf(value: Json, path: readonly string[] = []): readonly (readonly [string, Json])[] {
  const isFree = freeMaps.includes(path.at(-1) ?? '');
  if (!isObject(value) || Object.keys(value).length === 0 || isFree) return [[path.join('.'), value]];
  return Object.entries(value).flatMap(([key, one]) => leavesOf(one, [...path, key]));
}

/** What a value is changed to, where flipping, adding one or another word will not do. */
const samples: Readonly<Record<string, Json>> = {
  nameOverride: 'gpus',
  fullnameOverride: 'gpus',
  commonLabels: { team: 'sre' },
  'image.digest': `sha256:${'0'.repeat(64)}`,
  imagePullSecrets: [{ name: 'registry' }],
  'transport.http.addr': '127.0.0.1',
  'podResources.directory': '/data/kubelet/pod-resources',
  'recorder.hostPath': '/other',
  'recorder.sizeLimit': '1Gi',
  'operator.reset.driverRoot': '/run/nvidia/driver',
  'agent.runAsUser': 0,
  'agent.nodeSelector': { pool: 'gpu' },
  'agent.affinity': { nodeAffinity: {} },
  'agent.tolerations': [],
  'agent.updateStrategy': { type: 'OnDelete' },
  'agent.resources.requests': { cpu: '1' },
  'agent.resources.limits': { memory: '1Gi' },
  'agent.podAnnotations': { 'example.com/note': 'a' },
  'agent.podLabels': { 'example.com/note': 'a' },
  'agent.serviceAccount.annotations': { 'example.com/note': 'a' },
  'agent.healthThresholds': { 'thermal.hot-neighbour': { aboveMedianCelsius: 20 } },
  'agent.extraArgs': ['--nvml-idle-exit=60'],
  'agent.extraEnv': [{ name: 'TZ', value: 'UTC' }],
  'agent.extraVolumes': [{ name: 'a', emptyDir: {} }],
  'agent.extraVolumeMounts': [{ name: 'a', mountPath: '/a' }],
  'gateway.replicas': 3,
  'gateway.deadline': '20s',
  'gateway.allowedHosts': ['gpu.example.com'],
  'gateway.allowedOrigins': ['https://example.com'],
  'gateway.service.annotations': { 'example.com/note': 'a' },
  'gateway.nodeSelector': { pool: 'system' },
  'gateway.affinity': { nodeAffinity: {} },
  'gateway.tolerations': [{ operator: 'Exists' }],
  'gateway.resources.requests': { cpu: '1' },
  'gateway.resources.limits': { memory: '1Gi' },
  'gateway.podAnnotations': { 'example.com/note': 'a' },
  'gateway.podLabels': { 'example.com/note': 'a' },
  'gateway.serviceAccount.annotations': { 'example.com/note': 'a' },
  'gateway.extraArgs': ['--kubeconfig=/tmp/config'],
  'gateway.extraEnv': [{ name: 'TZ', value: 'UTC' }],
  'gateway.extraVolumes': [{ name: 'a', emptyDir: {} }],
  'gateway.extraVolumeMounts': [{ name: 'a', mountPath: '/a' }],
  'rbac.customOwners': [{ apiGroup: 'kubeflow.org', resources: ['pytorchjobs'] }],
  'networkPolicy.clients': [{ podSelector: {} }],
  'networkPolicy.apiServer.cidrs': ['10.0.0.1/32'],
  'networkPolicy.apiServer.ports': [8443],
  'networkPolicy.prometheus': [{ podSelector: { matchLabels: { app: 'prometheus' } } }],
  'metrics.serviceMonitor.interval': '1m',
  'metrics.serviceMonitor.labels': { release: 'prometheus' },
  'metrics.prometheusRule.labels': { release: 'prometheus' },
};

const request = { 'gpu.runtimeClass.enabled': false, 'gpu.resourceRequest.enabled': true };
const dra = { 'gpu.runtimeClass.enabled': false, 'gpu.dra.enabled': true };
const reset = { mode: 'operator', 'operator.reset.enabled': true };
const scraped = { 'metrics.serviceMonitor.enabled': true };
/** What else is chosen, for values that only mean something then. The longest beginning counts. */
const circumstances: Readonly<Record<string, Values>> = {
  'gpu.resourceRequest.': request,
  // With the default way beside it, it is refused.
  'gpu.resourceRequest.enabled': {},
  'gpu.dra.': dra,
  'gpu.dra.enabled': {},
  'gpu.mock.scenario': { 'gpu.mock.enabled': true },
  'podResources.directory': { 'podResources.enabled': true },
  'recorder.': { 'recorder.enabled': true },
  'recorder.enabled': {},
  'recorder.hostPath': { 'recorder.enabled': true, 'recorder.storage': 'hostPath' },
  'recorder.sizeLimit': { 'recorder.enabled': true, 'recorder.storage': 'emptyDir' },
  'operator.': reset,
  'operator.reset.enabled': { mode: 'operator' },
  'auth.agent.key': { 'auth.agent.existingSecret': 'tokens' },
  'auth.gateway.key': { 'auth.gateway.existingSecret': 'tokens' },
  'auth.operator.': { mode: 'operator' },
  'auth.operator.key': { mode: 'operator', 'auth.operator.existingSecret': 'tokens' },
  'auth.agentOperator.': { mode: 'operator' },
  'auth.agentOperator.key': { mode: 'operator', 'auth.agentOperator.existingSecret': 'tokens' },
  'agent.runAsUser': { 'kernelLog.source': 'none' },
  'agent.serviceAccount.create': { 'agent.serviceAccount.name': 'gpu-agents' },
  'gateway.serviceAccount.create': { 'gateway.serviceAccount.name': 'gpu-gateway' },
  'gpu.mock.enabled': {},
  'networkPolicy.prometheus': scraped,
  'metrics.serviceMonitor.': scraped,
  'metrics.serviceMonitor.enabled': {},
  'metrics.prometheusRule.labels': { 'metrics.prometheusRule.enabled': true },
};
const circumstancesOf = (path: string): Values =>
  Object.entries(circumstances)
    .filter(([beginning]) => path.startsWith(beginning))
    .sort(([a], [b]) => b.length - a.length)[0]?.[1] ?? {};

/** What a schema says by itself, before what it refers to. */
function resolved(schema: Schema, root: Schema): Schema {
  const named =
    schema.$ref === undefined ? undefined : root.definitions?.[schema.$ref.replace('#/definitions/', '')];
  const parts = [...(named === undefined ? [] : [named]), ...(schema.allOf ?? [])];
  return Object.assign({}, ...parts.map((part) => resolved(part, root)), schema);
}

function schemaAt(root: Schema, path: string): Schema | undefined {
  return path
    .split('.')
    .reduce<Schema | undefined>(
      (schema, key) => (schema === undefined ? undefined : resolved(schema, root).properties?.[key]),
      root,
    );
}

function otherThan(path: string, value: Json, root: Schema): Json {
  if (path in samples) return samples[path] ?? null;
  const choices = resolved(schemaAt(root, path) ?? {}, root).enum;
  if (choices !== undefined) return choices.find((choice) => choice !== value) ?? null;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string') return `${value === '' ? '' : `${value}-`}other`;
  throw new Error(`tell in the samples what ${path} may be`);
}

/** Leaves that change nothing in what is rendered, and that no template refuses either. */
async function unusedValues(chart: string, isAsked = (_path: string) => true): Promise<readonly string[]> {
  const root = await schemaOf(chart);
  const rendered = new Map<string, Promise<string>>();
  const textOf = (values: Values) => {
    const key = JSON.stringify(values);
    const known =
      rendered.get(key) ??
      render({ chart, values }).then((objects) => JSON.stringify(objects.map(withoutTokens)));
    rendered.set(key, known);
    return known;
  };
  const isUsed = async (path: string, value: Json) => {
    const around = circumstancesOf(path);
    const before = await textOf(around);
    try {
      return (await textOf({ ...around, [path]: otherThan(path, value, root) })) !== before;
    } catch (error) {
      // A sentence about this value: the template has read it.
      if (error instanceof HelmError && error.message.includes('execution error'))
        return error.message.includes(path);
      throw error;
    }
  };
  const leaves = leavesOf(await valuesOf(chart)).filter(([path]) => isAsked(path));
  const found = await Promise.all(
    leaves.map(async ([path, value]) => ((await isUsed(path, value)) ? [] : [path])),
  );
  return found.flat();
}

/** Where values.yaml and values.schema.json differ, and what the schema does not describe. */
function schemaDifferences(values: Json, root: Schema): readonly string[] {
  const differences: string[] = [];
  const visit = (value: Json, schema: Schema, path: string, isFree: boolean) => {
    const { properties, additionalProperties } = resolved(schema, root);
    if (!isObject(value) || properties === undefined) return;
    if (additionalProperties !== false) differences.push(`${path}: the schema lets unknown values pass`);
    for (const [key, one] of Object.entries(value)) {
      const own = properties[key];
      const at = path === '' ? key : `${path}.${key}`;
      if (own === undefined) differences.push(`${at} is not in the schema`);
      else visit(one, own, at, isFree || freeMaps.includes(key));
    }
    // Maps that are the owner's (resources, label selectors) have possible keys without a default.
    const isOwners = isFree || Object.keys(value).length === 0;
    for (const [key, own] of Object.entries(properties)) {
      const at = path === '' ? key : `${path}.${key}`;
      if (!resolved(own, root).description) differences.push(`${at} is not described`);
      // Helm's own, which every chart has.
      if (!isOwners && !(key in value) && at !== 'global') differences.push(`${at} is not in values.yaml`);
    }
  };
  visit(values, root, '', false);
  return differences;
}

describe('the values', () => {
  it('are described one by one in the schema, and it describes no others', async () => {
    expect(schemaDifferences(await valuesOf(chartDirectory), await schemaOf(chartDirectory))).toEqual([]);
  });

  it('that only one of the two has are found', async () => {
    const root = await schemaOf(chartDirectory);
    const values = (await valuesOf(chartDirectory)) as { readonly [key: string]: Json };
    expect(schemaDifferences({ ...values, unused: 1 }, root)).toEqual(['unused is not in the schema']);
    const { mode: _mode, ...rest } = values;
    expect(schemaDifferences(rest, root)).toEqual(['mode is not in values.yaml']);
    const undescribed = { ...root, properties: { ...root.properties, mode: {} } };
    expect(schemaDifferences(values, undescribed)).toEqual(['mode is not described']);
  });

  it.skipIf(isMissing)('are all used: each changes what is rendered', async () => {
    expect(await unusedValues(chartDirectory)).toEqual([]);
  });
});

describe.skipIf(isMissing)('a value that nothing uses', () => {
  it('is found', async () => {
    await withChartCopy(async (copy) => {
      await writeFile(join(copy, 'values.schema.json'), '{}');
      const values = (await valuesOf(copy)) as object;
      await writeFile(join(copy, 'values.yaml'), JSON.stringify({ ...values, idle: { switch: false } }));
      const isAsked = (path: string) => ['hostPID', 'gpu.runtimeClass.enabled', 'idle.switch'].includes(path);
      expect(await unusedValues(copy, isAsked)).toEqual(['idle.switch']);
    });
  });
});
