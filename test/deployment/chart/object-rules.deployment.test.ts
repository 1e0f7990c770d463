import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from './kubernetes-objects.ts';
import { releaseProblems } from './object-rules.ts';

const namespace = 'gpu-diagnostics';
const labels = { 'app.kubernetes.io/name': 'agent' };
const container = {
  name: 'agent',
  image: 'example.org/agent:1',
  ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
  livenessProbe: { httpGet: { path: '/livez', port: 'http' } },
  env: [{ name: 'A', value: '1' }],
  volumeMounts: [{ name: 'token', mountPath: '/run/agent-token' }],
  resources: { requests: { cpu: '20m', memory: '160Mi' }, limits: { memory: '0.5Gi' } },
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
};
interface Changes {
  readonly container?: object;
  readonly pod?: object;
  readonly spec?: object;
  readonly service?: object;
  readonly secret?: object;
  readonly policy?: object;
  readonly more?: readonly KubernetesObject[];
}

function release({
  container: ofContainer,
  pod,
  spec,
  service,
  secret,
  policy,
  more = [],
}: Changes): readonly KubernetesObject[] {
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'agent', labels },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: 'agent',
            containers: [{ ...container, ...ofContainer }],
            volumes: [
              {
                name: 'token',
                secret: { secretName: 'agent-token', items: [{ key: 'token', path: 'token' }] },
              },
            ],
            ...pod,
          },
        },
        ...spec,
      },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agent' } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'agent-token' },
      stringData: { token: 'x' },
      ...secret,
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'agent' },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 'http', protocol: 'TCP' }], ...service },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'agent' },
      spec: { podSelector: { matchLabels: labels }, policyTypes: ['Ingress', 'Egress'], ...policy },
    },
    ...more,
  ];
}
const problemsOf = (changes: Changes, outside: readonly string[] = []) =>
  releaseProblems(release(changes), { namespace, outside }).join('\n');
const rbac = 'rbac.authorization.k8s.io';
const tokenVolume = { name: 'token', secret: { secretName: 'agent-token' } };

describe('what a schema cannot say', () => {
  it('has nothing to say about a good release', () => {
    expect(problemsOf({})).toBe('');
    expect(problemsOf({ container: { livenessProbe: { httpGet: { port: 8080 } } } })).toBe('');
    expect(
      problemsOf({ pod: { volumes: [{ name: 'token', secret: { secretName: 'mine' } }] } }, ['Secret mine']),
    ).toBe('');
  });

  const faults: readonly (readonly [string, Changes, RegExp])[] = [
    [
      'privileged without escalation',
      { container: { securityContext: { privileged: true, allowPrivilegeEscalation: false } } },
      /privileged does not go with/,
    ],
    [
      'SYS_ADMIN without escalation',
      {
        container: {
          securityContext: { allowPrivilegeEscalation: false, capabilities: { add: ['SYS_ADMIN'] } },
        },
      },
      /SYS_ADMIN does not go with/,
    ],
    [
      'a capability with the prefix',
      { container: { securityContext: { capabilities: { add: ['CAP_SYSLOG'] } } } },
      /capability CAP_SYSLOG/,
    ],
    [
      'root where root is refused',
      { pod: { securityContext: { runAsNonRoot: true, runAsUser: 0 } } },
      /runAsNonRoot does not go with/,
    ],
    [
      'a dangling Secret',
      { pod: { volumes: [{ name: 'token', secret: { secretName: 'gone' } }] } },
      /there is no Secret gone/,
    ],
    [
      'a Secret of a variable',
      { container: { env: [{ name: 'T', valueFrom: { secretKeyRef: { name: 'gone', key: 'a' } } }] } },
      /no Secret gone/,
    ],
    [
      'a key that the Secret lacks',
      { secret: { stringData: { key: 'x' } } },
      /Secret agent-token has no token/,
    ],
    ['a ConfigMap', { container: { envFrom: [{ configMapRef: { name: 'gone' } }] } }, /no ConfigMap gone/],
    ['a service account', { pod: { serviceAccountName: 'gone' } }, /no ServiceAccount gone/],
    ['an image pull secret', { pod: { imagePullSecrets: [{ name: 'gone' }] } }, /no Secret gone/],
    [
      'a claim template',
      { pod: { resourceClaims: [{ name: 'gpus', resourceClaimTemplateName: 'gone' }] } },
      /there is no ResourceClaimTemplate gone/,
    ],
    [
      'a claim that no container uses',
      { pod: { resourceClaims: [{ name: 'gpus', resourceClaimName: 'a' }] } },
      /gpus is used by no container/,
    ],
    [
      'a claim of the container',
      { container: { resources: { claims: [{ name: 'gpus' }] } } },
      /gpus is not one of the pod's/,
    ],
    [
      'a mount without a volume',
      { container: { volumeMounts: [{ name: 'gone', mountPath: '/a' }] } },
      /there is no volume gone/,
    ],
    [
      'two volumes of one name',
      { pod: { volumes: [tokenVolume, tokenVolume] } },
      /two volumes are named token/,
    ],
    [
      'a volume of two sources',
      { pod: { volumes: [{ ...tokenVolume, emptyDir: {} }] } },
      /not exactly one source/,
    ],
    [
      'a volume that nobody mounts',
      { pod: { volumes: [tokenVolume, { name: 'idle', emptyDir: {} }] } },
      /idle is mounted nowhere/,
    ],
    [
      'one mount path twice',
      { container: { volumeMounts: [container.volumeMounts[0] ?? {}, container.volumeMounts[0] ?? {}] } },
      /two volumes are mounted at/,
    ],
    [
      'a long port name',
      { container: { ports: [{ name: 'http-for-metrics', containerPort: 8080 }] } },
      /port name http-for-metrics/,
    ],
    [
      'a port out of range',
      { container: { ports: [{ name: 'http', containerPort: 80800 }] } },
      /80800 is no port/,
    ],
    [
      'a probe of no port',
      { container: { livenessProbe: { httpGet: { port: 'https' } } } },
      /there is no port https/,
    ],
    [
      'a probe of two kinds',
      { container: { livenessProbe: { httpGet: { port: 'http' }, exec: {} } } },
      /exactly one handler/,
    ],
    [
      'a variable set twice',
      {
        container: {
          env: [
            { name: 'A', value: '1' },
            { name: 'A', value: '2' },
          ],
        },
      },
      /variable A is set twice/,
    ],
    [
      'a field that no pod has',
      { container: { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.node' } } }] } },
      /no field spec.node/,
    ],
    [
      'a request above the limit',
      { container: { resources: { requests: { memory: '1Gi' }, limits: { memory: '512Mi' } } } },
      /memory: the request is above/,
    ],
    [
      'a GPU request without a limit',
      { container: { resources: { requests: { 'nvidia.com/gpu': 1 } } } },
      /requested without a limit/,
    ],
    [
      'a selector that misses',
      { spec: { selector: { matchLabels: { app: 'other' } } } },
      /does not match its pods/,
    ],
    [
      'a version in a selector',
      { spec: { selector: { matchLabels: { ...labels, 'app.kubernetes.io/version': '1' } } } },
      /which an upgrade changes/,
    ],
    ['an empty selector', { spec: { selector: {} } }, /selector is empty/],
    [
      'rollingUpdate with OnDelete',
      { spec: { updateStrategy: { type: 'OnDelete', rollingUpdate: {} } } },
      /does not go with OnDelete/,
    ],
    [
      'an update that cannot move',
      { spec: { updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } } },
      /neither take a pod away/,
    ],
    ['a Service of no port', { service: { ports: [{ port: 80, targetPort: 'https' }] } }, /no port https/],
    [
      'a container port without protocol',
      { container: { ports: [{ name: 'http', containerPort: 8080 }] } },
      /8080 names no protocol/,
    ],
    [
      'an amount that is a number',
      { container: { resources: { limits: { 'nvidia.com/gpu': 1 } } } },
      /nvidia.com\/gpu: server-side apply/,
    ],
    [
      'a Service port without protocol',
      { service: { ports: [{ port: 80, targetPort: 'http' }] } },
      /80 names no/,
    ],
    ['a Service of no pod', { service: { selector: { app: 'other' } } }, /selects no pod/],
    [
      'a label value',
      { more: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', labels: { a: 'b+1' } } }] },
      /label value a/,
    ],
    [
      'a name with capitals',
      { more: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'Config' } }] },
      /name "Config" is not valid/,
    ],
    [
      'another namespace',
      { more: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'other' } }] },
      /namespace other/,
    ],
    [
      'one object twice',
      { more: [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agent' } }] },
      /two objects are ServiceAccount/,
    ],
    [
      'a binding of no Role',
      {
        more: [
          {
            apiVersion: `${rbac}/v1`,
            kind: 'RoleBinding',
            metadata: { name: 'b' },
            roleRef: { apiGroup: rbac, kind: 'Role', name: 'gone' },
          },
        ],
      },
      /no Role gone/,
    ],
    [
      'a Role of everything',
      {
        more: [
          {
            apiVersion: `${rbac}/v1`,
            kind: 'Role',
            metadata: { name: 'r' },
            rules: [{ apiGroups: [''], resources: ['*'], verbs: ['get'] }],
          },
        ],
      },
      /a rule with \*/,
    ],
    [
      'a toleration with a needless value',
      { pod: { tolerations: [{ operator: 'Exists', value: 'a' }] } },
      /Exists has a value/,
    ],
    [
      'a policy of no pod',
      { policy: { podSelector: { matchLabels: { app: 'other' } } } },
      /NetworkPolicy agent: it selects no pod/,
    ],
    [
      'a policy of a bad CIDR',
      { policy: { egress: [{ to: [{ ipBlock: { cidr: '10.0.0.300/8' } }] }] } },
      /is no CIDR/,
    ],
    [
      'egress that is not in force',
      { policy: { policyTypes: ['Ingress'], egress: [] } },
      /egress is not one of policyTypes/,
    ],
    ['a Service token of no Secret', { more: [serviceWithToken('gone/token')] }, /no Secret gone/],
    [
      'a Service token of no key',
      { more: [serviceWithToken('agent-token/key')] },
      /Secret agent-token has no key/,
    ],
  ];
  it.each(faults)('refuses %s', (_name, changes, problem) => {
    expect(problemsOf(changes)).toMatch(problem);
  });
});

function serviceWithToken(reference: string): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'gateway', annotations: { 'k8s-gpu-mcp/token-secret': reference } },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] },
  };
}
