// What the trial puts into the cluster, as objects for `kubectl apply -f -`. Only kinds and fields that Kubernetes 1.20 and later have.
const name = 'k8s-gpu-mcp-server';
export const port = 8080;
export const gpuResource = 'nvidia.com/gpu';

const labelsOf = (component, instance = 'trial') => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/component': component,
  'app.kubernetes.io/instance': instance,
});
const selectorText = (labels) =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
export const agentSelector = selectorText(labelsOf('agent'));
export const gatewaySelector = selectorText(labelsOf('gateway'));

const unprivileged = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};
const probe = (path) => ({ httpGet: { path, port: 'http' }, periodSeconds: 2, timeoutSeconds: 2 });

/** The checkout and Node.js of the machine that the nodes are; nothing where the image has them. */
function fromHost({ hostPath, nodeBinary }) {
  if (hostPath === undefined) return { volumes: [], volumeMounts: [] };
  // A Node.js that is not static needs its loader and libraries from the same machine.
  const paths = { app: [hostPath, '/app'], node: [nodeBinary, '/node'], lib: ['/lib'], lib64: ['/lib64'] };
  return {
    volumes: Object.entries(paths).map(([volume, [path]]) => ({ name: volume, hostPath: { path } })),
    volumeMounts: Object.entries(paths).map(([volume, [path, at = path]]) => ({
      name: volume,
      mountPath: at,
      readOnly: true,
    })),
  };
}

function podSpec(options, { container, volumes = [], ...rest }) {
  const host = fromHost(options);
  const { volumeMounts = [], ...own } = container;
  return {
    terminationGracePeriodSeconds: 5,
    ...rest,
    containers: [
      {
        image: options.image,
        imagePullPolicy: 'IfNotPresent',
        securityContext: unprivileged,
        ...own,
        volumeMounts: [...host.volumeMounts, ...volumeMounts],
      },
    ],
    volumes: [...host.volumes, ...volumes],
  };
}

const nodeNameVariable = {
  name: 'K8S_GPU_MCP_NODE_NAME',
  valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } },
};
/** By environment, so that `kubectl exec -i POD -- /agent` has the same GPUs. */
const agentEnvironment = ({ isMock, scenario }) => [
  nodeNameVariable,
  ...(isMock
    ? [
        { name: 'K8S_GPU_MCP_BACKEND', value: 'mock' },
        { name: 'K8S_GPU_MCP_SCENARIO', value: scenario },
      ]
    : [
        { name: 'NVIDIA_VISIBLE_DEVICES', value: 'all' },
        { name: 'NVIDIA_DRIVER_CAPABILITIES', value: 'utility' },
      ]),
];
const tokenVolume = (volume, secretName) => ({ name: volume, secret: { secretName } });
const tokenMount = (volume) => ({ name: volume, mountPath: `/run/${volume}`, readOnly: true });
const onGpuNodes = ({ nodeSelector, runtimeClass }) => ({
  nodeSelector,
  ...(runtimeClass === undefined ? {} : { runtimeClassName: runtimeClass }),
  tolerations: [{ operator: 'Exists' }],
});

function secrets(tokens) {
  return Object.entries(tokens).map(([component, token]) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `${component}-token`, labels: labelsOf(`${component}-token`) },
    stringData: { token },
  }));
}

/** The gateway reads; `namespace` is in the names of what is not in a namespace. */
function gatewayRights(namespace) {
  const metadata = { name: `${namespace}-gateway` };
  const subjects = [{ kind: 'ServiceAccount', name: 'gateway', namespace }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name };
  const rbac = 'rbac.authorization.k8s.io/v1';
  return [
    {
      apiVersion: rbac,
      kind: 'Role',
      metadata: { name: 'gateway' },
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }],
    },
    {
      apiVersion: rbac,
      kind: 'RoleBinding',
      metadata: { name: 'gateway' },
      subjects,
      roleRef: { ...roleRef, kind: 'Role', name: 'gateway' },
    },
    {
      apiVersion: rbac,
      kind: 'ClusterRole',
      metadata,
      rules: [
        { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
        { apiGroups: [''], resources: ['events'], verbs: ['list'] },
        {
          apiGroups: ['apps'],
          resources: ['replicasets', 'statefulsets', 'daemonsets', 'deployments'],
          verbs: ['get'],
        },
        { apiGroups: ['batch'], resources: ['jobs', 'cronjobs'], verbs: ['get'] },
        { apiGroups: ['resource.k8s.io'], resources: ['resourceclaims'], verbs: ['list'] },
      ],
    },
    { apiVersion: rbac, kind: 'ClusterRoleBinding', metadata, subjects, roleRef },
  ];
}

/** A person who may do what the bridge needs and nothing else, and one who may do nothing. Their tokens last as long as the Secrets. */
function callers(namespace) {
  const rbac = 'rbac.authorization.k8s.io';
  const login = (account) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
    metadata: { name: `${account}-login`, annotations: { 'kubernetes.io/service-account.name': account } },
  });
  return [
    login('caller'),
    login('stranger'),
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata: { name: 'caller' },
      rules: [
        { apiGroups: [''], resources: ['services', 'pods'], verbs: ['get', 'list'] },
        // A WebSocket begins with a GET: most API servers ask for the verb get, newer ones for create too.
        { apiGroups: [''], resources: ['pods/portforward', 'pods/exec'], verbs: ['get', 'create'] },
        { apiGroups: [''], resources: ['secrets'], resourceNames: ['gateway-token'], verbs: ['get'] },
      ],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name: 'caller' },
      subjects: [{ kind: 'ServiceAccount', name: 'caller', namespace }],
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'caller' },
    },
  ];
}

function agents(options) {
  const labels = labelsOf('agent');
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: podSpec(options, {
          ...onGpuNodes(options),
          serviceAccountName: 'agent',
          automountServiceAccountToken: false,
          container: {
            name: 'agent',
            command: options.agent,
            args: [
              '--port',
              String(port),
              '--addr',
              '0.0.0.0',
              '--auth-token-file',
              '/run/agent-token/token',
            ],
            env: agentEnvironment(options),
            ports: [{ name: 'http', containerPort: port }],
            readinessProbe: probe('/readyz'),
            livenessProbe: { ...probe('/healthz'), periodSeconds: 10 },
            volumeMounts: [tokenMount('agent-token')],
          },
          volumes: [tokenVolume('agent-token', 'agent-token')],
        }),
      },
    },
  };
}

/** Waits for an exec: nobody asks it over HTTP, so the gateway's selector must not find it. */
function sleepingAgent(options) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'sleeping-agent', labels: labelsOf('agent', 'trial-exec') },
    spec: podSpec(options, {
      ...onGpuNodes(options),
      serviceAccountName: 'agent',
      automountServiceAccountToken: false,
      restartPolicy: 'Never',
      container: {
        name: 'agent',
        command: [
          ...options.node,
          '-e',
          'process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1e9)',
        ],
        env: agentEnvironment(options),
      },
    }),
  };
}

function gateway(options) {
  const labels = labelsOf('gateway');
  const args = [
    ...['--port', String(port), '--addr', '0.0.0.0', '--auth-token-file', '/run/gateway-token/token'],
    ...['--selector', agentSelector, '--agent-daemonset', 'agent'],
    ...['--agent-token-file', '/run/agent-token/token'],
  ];
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'gateway', labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: podSpec(options, {
            serviceAccountName: 'gateway',
            container: {
              name: 'gateway',
              command: options.gateway,
              args,
              ports: [{ name: 'http', containerPort: port }],
              readinessProbe: probe('/readyz'),
              livenessProbe: { ...probe('/healthz'), periodSeconds: 10 },
              volumeMounts: [tokenMount('gateway-token'), tokenMount('agent-token')],
            },
            volumes: ['gateway-token', 'agent-token'].map((each) => tokenVolume(each, each)),
          }),
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: 'gateway',
        labels,
        annotations: { 'k8s-gpu-mcp/token-secret': 'gateway-token/token' },
      },
      spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    },
  ];
}

/** Everything but the pods that fail. `tokens` are of the agents and of the gateway. */
export function trialObjects(options, tokens) {
  const accounts = ['agent', 'gateway', 'caller', 'stranger'].map((account) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: account },
  }));
  return [
    ...accounts,
    ...secrets(tokens),
    ...gatewayRights(options.namespace),
    ...callers(options.namespace),
    agents(options),
    ...gateway(options),
    sleepingAgent(options),
  ];
}

/** A pod that runs JavaScript to its end, as the node's user would; with `gpus`, on a node that has them. */
export function workload(options, { name: podName, script, memory, gpus = 0 }) {
  const resources = {
    ...(memory === undefined ? {} : { memory }),
    ...(gpus === 0 ? {} : { [gpuResource]: String(gpus) }),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: podName },
    spec: podSpec(options, {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      nodeSelector: options.nodeSelector,
      tolerations: [{ operator: 'Exists' }],
      container: { name: 'main', command: [...options.node, '-e', script], resources: { limits: resources } },
    }),
  };
}

/** A job whose two pods end as `workload` does. */
export function failingJob(options, { name: jobName, script }) {
  const { spec } = workload(options, { name: jobName, script });
  const template = { metadata: { labels: { 'app.kubernetes.io/instance': jobName } }, spec };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: jobName },
    spec: { parallelism: 2, completions: 2, backoffLimit: 0, template },
  };
}
