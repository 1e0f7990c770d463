import type { Values } from './helm.ts';

/** Choices that people make, each as the values that make it. Every two of them are rendered together. */
export const choices = {
  'GPU request': { 'gpu.runtimeClass.enabled': false, 'gpu.resourceRequest.enabled': true },
  DRA: { 'gpu.runtimeClass.enabled': false, 'gpu.dra.enabled': true },
  mock: { 'gpu.mock.enabled': true },
  stdio: { 'transport.mode': 'stdio' },
  kmsg: { 'kernelLog.source': 'kmsg' },
  'no kernel log': { 'kernelLog.source': 'none' },
  hostPID: { hostPID: true },
  'pod resources': { 'podResources.enabled': true },
  'recorder in memory': { 'recorder.enabled': true },
  'recorder in emptyDir': { 'recorder.enabled': true, 'recorder.storage': 'emptyDir' },
  'recorder on the host': { 'recorder.enabled': true, 'recorder.storage': 'hostPath' },
  'operator that kills': { mode: 'operator' },
  'operator that resets': {
    mode: 'operator',
    'operator.kill.enabled': false,
    'operator.reset.enabled': true,
  },
  'operator that does both': {
    mode: 'operator',
    'operator.reset.enabled': true,
    'operator.confirmWithoutElicitation': true,
  },
  'given tokens': {
    'auth.agent.existingSecret': 'agents',
    'auth.gateway.existingSecret': 'people',
    'auth.gateway.key': 'mcp',
  },
  'TLS of agents': { 'tls.agent.secretName': 'agent-certificate' },
  'TLS of the gateway': { 'tls.gateway.secretName': 'gateway-certificate' },
  'no gateway': { 'gateway.enabled': false },
  'three gateways apart': { 'gateway.replicas': 3, 'gateway.antiAffinity': 'hard' },
  'own service accounts': {
    'agent.serviceAccount': { create: false, name: 'gpu-agents' },
    'gateway.serviceAccount': { create: false, name: 'gpu-gateway' },
  },
  'no RBAC': { 'rbac.create': false },
  'rights in the namespace': { 'rbac.clusterWide': false, 'rbac.client.create': false },
  'no network policy': { 'networkPolicy.enabled': false },
  'network policy with addresses': {
    'networkPolicy.apiServer': { cidrs: ['10.0.0.1/32'], ports: [6443] },
    'networkPolicy.clients': [{ namespaceSelector: { matchLabels: { team: 'sre' } } }],
  },
  metrics: { 'metrics.serviceMonitor.enabled': true, 'metrics.prometheusRule.enabled': true },
  "GPU Operator's label": { 'gpuOperator.deployClient': true },
  'not root': { 'agent.runAsUser': 1000, 'kernelLog.source': 'none' },
  'own thresholds': { 'agent.healthThresholds': { 'thermal.hot-neighbour': { aboveMedianCelsius: 20 } } },
  'own names': {
    fullnameOverride: 'gpus',
    'image.digest': `sha256:${'0'.repeat(64)}`,
    commonLabels: { team: 'sre' },
  },
} as const satisfies Readonly<Record<string, Values>>;

export type Choice = keyof typeof choices;

/** Objects of nobody's chart that these values name. */
export const outsideObjects = [
  ...[
    'agents',
    'people',
    'registry',
    'agent-certificate',
    'gateway-certificate',
    'gpu-tokens',
    'gpu-agent-operator',
  ].map((name) => `Secret ${name}`),
  ...['gpu-agents', 'gpu-gateway'].map((name) => `ServiceAccount ${name}`),
];

/** Two choices set one value differently: there is no such pair. */
export function excludeEachOther(one: Values, other: Values): boolean {
  return Object.entries(one).some(
    ([path, value]) => path in other && JSON.stringify(other[path]) !== JSON.stringify(value),
  );
}

/** What the chart refuses, and the words that a person needs to put it right. */
export interface Contradiction {
  readonly name: string;
  readonly values: Values;
  readonly sentence: RegExp;
}

/** Pairs of choices that do not go together. */
export const contradictoryChoices: readonly (readonly [Choice, Choice, RegExp])[] = [
  ['mock', 'operator that kills', /operator.*real GPUs.*gpu\.mock\.enabled/],
  ['mock', 'operator that resets', /operator.*real GPUs.*gpu\.mock\.enabled/],
  ['mock', 'operator that does both', /operator.*real GPUs.*gpu\.mock\.enabled/],
  ['mock', "GPU Operator's label", /gpuOperator\.deployClient.*gpu\.mock\.enabled/],
  ['GPU request', 'DRA', /exactly one way.*gpu\.resourceRequest\.enabled and gpu\.dra\.enabled/],
  ['GPU request', 'mock', /gpu\.mock.*gpu\.resourceRequest\.enabled=false/],
  ['DRA', 'mock', /gpu\.mock.*gpu\.dra\.enabled=false/],
  ['stdio', 'recorder in memory', /recorder\.enabled.*transport\.mode=stdio/],
  ['stdio', 'recorder in emptyDir', /recorder\.enabled.*transport\.mode=stdio/],
  ['stdio', 'recorder on the host', /recorder\.enabled.*transport\.mode=stdio/],
  ['stdio', 'TLS of agents', /tls\.agent.*transport\.mode=stdio/],
  ['stdio', 'TLS of the gateway', /tls\.gateway.*transport\.mode=stdio/],
  ['stdio', 'metrics', /metrics\.serviceMonitor.*transport\.mode=stdio/],
  ['stdio', 'operator that does both', /confirmWithoutElicitation.*transport\.mode=stdio/],
  ['no gateway', 'TLS of the gateway', /tls\.gateway.*gateway\.enabled=false/],
  ['no gateway', 'metrics', /metrics\.prometheusRule.*gateway\.enabled=false/],
  ['three gateways apart', 'operator that kills', /gateway\.replicas.*mode=operator.*one process/],
  ['three gateways apart', 'operator that resets', /gateway\.replicas.*mode=operator.*one process/],
  ['three gateways apart', 'operator that does both', /gateway\.replicas.*mode=operator.*one process/],
  ['not root', 'pod resources', /agent\.runAsUser.*podResources\.enabled.*root/],
  ['not root', 'recorder on the host', /agent\.runAsUser.*recorder\.storage=hostPath.*root/],
  ['not root', 'operator that kills', /agent\.runAsUser.*operator\.kill\.enabled.*root/],
  ['not root', 'operator that resets', /agent\.runAsUser.*operator\.reset\.enabled.*root/],
  ['not root', 'operator that does both', /agent\.runAsUser.*operator\.kill\.enabled.*root/],
];

/** Further ones, of values that are no choice of their own. */
export const contradictions: readonly Contradiction[] = [
  ...contradictoryChoices.map(([one, other, sentence]) => ({
    name: `${one}, ${other}`,
    values: { ...choices[one], ...choices[other] },
    sentence,
  })),
  {
    name: 'no way to the GPUs',
    values: { 'gpu.runtimeClass.enabled': false },
    sentence:
      /exactly one of gpu\.runtimeClass\.enabled, gpu\.resourceRequest\.enabled and gpu\.dra\.enabled.*gpu\.mock\.enabled/,
  },
  {
    name: 'two ways to the GPUs: RuntimeClass and request',
    values: { 'gpu.resourceRequest.enabled': true },
    sentence: /exactly one way.*gpu\.runtimeClass\.enabled and gpu\.resourceRequest\.enabled/,
  },
  {
    name: 'two ways to the GPUs: RuntimeClass and DRA',
    values: { 'gpu.dra.enabled': true },
    sentence: /exactly one way.*gpu\.runtimeClass\.enabled and gpu\.dra\.enabled/,
  },
  {
    name: 'reset in read-only mode',
    values: { 'operator.reset.enabled': true },
    sentence: /operator\.reset\.enabled.*mode=operator/,
  },
  {
    name: 'unasked confirmation in read-only mode',
    values: { 'operator.confirmWithoutElicitation': true },
    sentence: /operator\.confirmWithoutElicitation.*mode=operator/,
  },
  {
    name: 'an operator that can do nothing',
    values: { mode: 'operator', 'operator.kill.enabled': false },
    sentence: /operator\.kill\.enabled.*operator\.reset\.enabled/,
  },
  {
    name: 'syslog without root',
    values: { 'agent.runAsUser': 1000 },
    sentence: /agent\.runAsUser is 1000.*kernelLog\.source=syslog.*root/,
  },
  {
    name: 'kmsg without root',
    values: { 'agent.runAsUser': 1000, 'kernelLog.source': 'kmsg' },
    sentence: /agent\.runAsUser is 1000.*kernelLog\.source=kmsg.*root/,
  },
  {
    name: 'one Secret and key for two tokens',
    values: { 'auth.agent.existingSecret': 'tokens', 'auth.gateway.existingSecret': 'tokens' },
    sentence: /auth\.agent and auth\.gateway.*same Secret and key \(tokens\/token\)/,
  },
  {
    name: "the reader's token for the operator",
    values: {
      mode: 'operator',
      'auth.gateway.existingSecret': 'tokens',
      'auth.operator.existingSecret': 'tokens',
    },
    sentence: /auth\.gateway and auth\.operator.*same Secret and key/,
  },
  {
    name: "the agents' token for their operator",
    values: {
      mode: 'operator',
      'auth.agent.existingSecret': 'tokens',
      'auth.agentOperator.existingSecret': 'tokens',
    },
    sentence: /auth\.agent and auth\.agentOperator.*same Secret and key/,
  },
  {
    name: 'no service account for the gateway',
    values: { 'gateway.serviceAccount.create': false },
    sentence: /gateway\.serviceAccount\.create is false.*gateway\.serviceAccount\.name/,
  },
  {
    name: 'no service account for the agents',
    values: { 'agent.serviceAccount.create': false },
    sentence: /agent\.serviceAccount\.create is false.*agent\.serviceAccount\.name/,
  },
  {
    name: 'an argument of the chart in extraArgs',
    values: { 'agent.extraArgs': ['--allow-unauthenticated'] },
    sentence: /agent\.extraArgs must not set --allow-unauthenticated/,
  },
  {
    name: 'an argument of the chart in extraArgs of the gateway',
    values: { 'gateway.extraArgs': ['--port=1'] },
    sentence: /gateway\.extraArgs must not set --port/,
  },
  {
    name: 'a variable of the chart in extraEnv',
    values: { 'agent.extraEnv': [{ name: 'K8S_GPU_MCP_MODE', value: 'operator' }] },
    sentence: /agent\.extraEnv must not set K8S_GPU_MCP_MODE/,
  },
  {
    name: 'arguments of an agent that sleeps',
    values: { 'transport.mode': 'stdio', 'agent.extraArgs': ['--nvml-idle-exit=60'] },
    sentence: /agent\.extraArgs.*transport\.mode=stdio/,
  },
];
