// What the trial puts into the cluster beside the chart, as objects for `kubectl apply -f -`, and the names that the chart gives.
export const gpuResource = 'nvidia.com/gpu';

const chartName = 'k8s-gpu-mcp-server';
/** One that serves over HTTP behind a gateway, and one whose agents sleep until somebody runs them. */
export const releases = { http: 'trial', stdio: 'trial-exec' };
/** The first part of the names of a release's objects. */
export const fullName = (release) => `${release}-${chartName}`;

const selectorOf = (release, component) =>
  [
    `app.kubernetes.io/name=${chartName}`,
    `app.kubernetes.io/instance=${release}`,
    `app.kubernetes.io/component=${component}`,
  ].join(',');
export const agentSelector = selectorOf(releases.http, 'agent');
export const gatewaySelector = selectorOf(releases.http, 'gateway');
export const sleepingAgentSelector = selectorOf(releases.stdio, 'agent');

/** A person who may do what the bridge needs and nothing else, and one who may do nothing. Their tokens last as long as the Secrets. */
export function callers(namespace) {
  const account = (name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  const login = (name) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
    metadata: { name: `${name}-login`, annotations: { 'kubernetes.io/service-account.name': name } },
  });
  const rbac = 'rbac.authorization.k8s.io';
  const binding = (release) => ({
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata: { name: `caller-${release}` },
    subjects: [{ kind: 'ServiceAccount', name: 'caller', namespace }],
    roleRef: { apiGroup: rbac, kind: 'Role', name: `${fullName(release)}-client` },
  });
  return [
    ...['caller', 'stranger'].flatMap((name) => [account(name), login(name)]),
    ...Object.values(releases).map(binding),
  ];
}

const container = ({ image, node }, script, resources) => ({
  name: 'main',
  image,
  imagePullPolicy: 'IfNotPresent',
  command: [...node, '-e', script],
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  },
  ...(Object.keys(resources).length === 0 ? {} : { resources: { limits: resources } }),
});

/** A pod that runs JavaScript to its end, as the node's user would; with `gpus`, on a node that has them. */
export function workload(options, { name, script, memory, gpus = 0 }) {
  const resources = {
    ...(memory === undefined ? {} : { memory }),
    ...(gpus === 0 ? {} : { [gpuResource]: String(gpus) }),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 5,
      automountServiceAccountToken: false,
      nodeSelector: options.nodeSelector,
      tolerations: [{ operator: 'Exists' }],
      containers: [container(options, script, resources)],
    },
  };
}

/** A job whose two pods end as `workload` does. */
export function failingJob(options, { name, script }) {
  const { spec } = workload(options, { name, script });
  const template = { metadata: { labels: { 'app.kubernetes.io/instance': name } }, spec };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { parallelism: 2, completions: 2, backoffLimit: 0, template },
  };
}
