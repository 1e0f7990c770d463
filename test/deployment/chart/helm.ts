import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { type ToolName, tool } from '../tools/tools.ts';
import type { KubernetesObject } from './kubernetes-objects.ts';

/** Nothing of the person who runs the tests: no kubeconfig, no settings; caches go where nobody looks. */
export const bareEnvironment = { HOME: join(tmpdir(), 'k8s-gpu-mcp-helm-home') };

export type Helm = Extract<ToolName, `helm-${string}`>;
export const helmVersions: readonly Helm[] = ['helm-3', 'helm-4'];
export const chartDirectory = resolve(import.meta.dirname, '../../../deployment/helm/k8s-gpu-mcp-server');
export const namespace = 'gpu-diagnostics';

/** Values by their dotted path, as JSON. */
export type Values = Readonly<Record<string, unknown>>;

export interface RenderOptions {
  readonly helm?: Helm;
  readonly chart?: string;
  readonly release?: string;
  readonly valuesFile?: string;
  readonly values?: Values;
  /** Beside those that every cluster has. */
  readonly apiVersions?: readonly string[];
  /** Of the cluster that `lookup` asks; without one it finds nothing. */
  readonly kubeconfig?: string;
}

/** What clusters with DRA and with the Prometheus Operator have. */
export const optionalApis = ['resource.k8s.io/v1', 'monitoring.coreos.com/v1'] as const;

/** What helm said when it refused. */
export class HelmError extends Error {
  override readonly name = 'HelmError';
}

const run = promisify(execFile);
const waiting: (() => void)[] = [];
let running = 0;

/** Two at a time: each is most of a core. */
async function helm(version: Helm, args: readonly string[]): Promise<string> {
  const program = tool(version);
  if (program === undefined) throw new Error(`${version} is not installed`);
  if (running >= 2) await new Promise<void>((turn) => waiting.push(turn));
  else running += 1;
  try {
    const { stdout } = await run(program, args, { maxBuffer: 2 ** 24, env: bareEnvironment });
    return stdout;
  } catch (error) {
    if (error instanceof Error && 'stderr' in error)
      throw new HelmError(`${'stdout' in error ? error.stdout : ''}${error.stderr}`);
    throw error;
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

const valueFlags = ({ valuesFile, values = {} }: RenderOptions) => [
  ...(valuesFile === undefined ? [] : ['--values', valuesFile]),
  ...Object.entries(values).flatMap(([path, value]) => ['--set-json', `${path}=${JSON.stringify(value)}`]),
];

/** @throws HelmError when the chart refuses the values. */
export async function render(options: RenderOptions = {}): Promise<readonly KubernetesObject[]> {
  const {
    helm: version = 'helm-3',
    chart = chartDirectory,
    release = 'gpu',
    apiVersions = optionalApis,
  } = options;
  const output = await helm(version, [
    ...['template', release, chart, '--namespace', namespace, '--kube-version', '1.34.0'],
    ...apiVersions.flatMap((api) => ['--api-versions', api]),
    ...(options.kubeconfig === undefined
      ? []
      : ['--dry-run=server', '--disable-openapi-validation', '--kubeconfig', options.kubeconfig]),
    ...valueFlags(options),
  ]);
  return objectsOf(output);
}

/** @throws HelmError with what lint found. */
export const lint = (options: RenderOptions): Promise<string> =>
  helm(options.helm ?? 'helm-3', [
    ...[
      'lint',
      '--strict',
      options.chart ?? chartDirectory,
      '--namespace',
      namespace,
      '--kube-version',
      '1.34.0',
    ],
    ...valueFlags(options),
  ]);

/** For what cannot be seen without changing the chart. */
export async function withChartCopy<T>(use: (copy: string) => Promise<T>): Promise<T> {
  const copy = await mkdtemp(join(tmpdir(), 'chart-'));
  try {
    await cp(chartDirectory, copy, { recursive: true });
    return await use(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Of every document, and of what a List holds. YAML 1.1, as Kubernetes reads it. */
export function objectsOf(text: string): readonly KubernetesObject[] {
  return parseAllDocuments(text, { version: '1.1', uniqueKeys: true }).flatMap((document) => {
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) throw problem;
    const object = document.toJS() as
      | (KubernetesObject & { readonly items?: readonly KubernetesObject[] })
      | null;
    if (object === null) return [];
    return object.kind === 'List' ? (object.items ?? []) : [object];
  });
}

/** The same object with every made-up token alike: what may differ between two renders is gone. */
export function withoutTokens(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Secret') return object;
  const hidden = (field: unknown) =>
    Object.fromEntries(
      Object.keys((field ?? {}) as Readonly<Record<string, string>>).map((key) => [key, 'TOKEN']),
    );
  return { ...object, data: hidden(object['data']), stringData: hidden(object['stringData']) };
}
