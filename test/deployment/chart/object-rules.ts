import { type KubernetesObject, nameOf, podTemplatesOf, workloadOf } from './kubernetes-objects.ts';
import { nameProblems } from './name-rules.ts';
import { podProblems } from './pod-rules.ts';
import { referenceProblems } from './reference-rules.ts';

export interface Surroundings {
  readonly namespace: string;
  /** Objects that are not of the release but that values name: "Secret NAME". */
  readonly outside: readonly string[];
}

/** What a schema cannot say about the objects of a release: what the API server would refuse, or what would never start. */
export function releaseProblems(
  objects: readonly KubernetesObject[],
  { namespace, outside }: Surroundings,
): readonly string[] {
  return [
    ...objects.flatMap((object) => nameProblems(object, namespace)),
    ...objects.flatMap((object) => kindProblems(object).map((problem) => `${nameOf(object)}: ${problem}`)),
    ...podTemplatesOf(objects).flatMap(podProblems),
    ...referenceProblems(objects, outside, namespace),
  ];
}

function kindProblems(object: KubernetesObject): readonly string[] {
  switch (object.kind) {
    case 'DaemonSet':
    case 'Deployment':
      return workloadProblems(object);
    case 'Role':
    case 'ClusterRole':
      return roleProblems(object);
    case 'NetworkPolicy':
      return networkPolicyProblems(object);
    case 'ResourceClaim':
    case 'ResourceClaimTemplate':
      return claimProblems(object);
    default:
      return [];
  }
}

interface RollingUpdate {
  readonly maxUnavailable?: number | string;
  readonly maxSurge?: number | string;
}

function workloadProblems(object: KubernetesObject): readonly string[] {
  const spec = object['spec'] as {
    readonly updateStrategy?: { readonly type?: string; readonly rollingUpdate?: RollingUpdate };
    readonly strategy?: { readonly type?: string; readonly rollingUpdate?: RollingUpdate };
  };
  const { type = 'RollingUpdate', rollingUpdate } = spec.updateStrategy ?? spec.strategy ?? {};
  const isZero = (value: number | string | undefined) => value === 0 || value === '0%';
  const isSet = (value: number | string | undefined) => value !== undefined && !isZero(value);
  const { maxUnavailable, maxSurge } = rollingUpdate ?? {};
  const { restartPolicy = 'Always' } = workloadOf(object).template.spec as {
    readonly restartPolicy?: string;
  };
  return [
    ...(restartPolicy === 'Always' ? [] : ['restartPolicy must be Always']),
    ...(type !== 'RollingUpdate' && rollingUpdate !== undefined
      ? [`rollingUpdate does not go with ${type}`]
      : []),
    ...(isZero(maxUnavailable) && !isSet(maxSurge)
      ? ['an update can neither take a pod away nor add one']
      : []),
    ...(object.kind === 'DaemonSet' && isSet(maxUnavailable) && isSet(maxSurge)
      ? ['maxUnavailable and maxSurge exclude each other']
      : []),
  ];
}

interface PolicyRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

function roleProblems(object: KubernetesObject): readonly string[] {
  const rules = (object['rules'] ?? []) as readonly PolicyRule[];
  return rules.flatMap(({ apiGroups = [], resources = [], verbs, nonResourceURLs = [] }) => [
    ...(verbs.length === 0 ? ['a rule without verbs'] : []),
    ...(nonResourceURLs.length === 0 && (apiGroups.length === 0 || resources.length === 0)
      ? ['a rule without API groups or resources']
      : []),
    // The least that does the job is known, so a wildcard is never it.
    ...([...apiGroups, ...resources, ...verbs].includes('*') ? ['a rule with *'] : []),
  ]);
}

interface Peer {
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  readonly podSelector?: object;
  readonly namespaceSelector?: object;
}

function networkPolicyProblems(object: KubernetesObject): readonly string[] {
  const spec = object['spec'] as {
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly { readonly from?: readonly Peer[] }[];
    readonly egress?: readonly { readonly to?: readonly Peer[] }[];
  };
  const peers = [
    ...(spec.ingress ?? []).flatMap(({ from = [] }) => from),
    ...(spec.egress ?? []).flatMap(({ to = [] }) => to),
  ];
  return [
    ...(spec.policyTypes ?? [])
      .filter((type) => !['Ingress', 'Egress'].includes(type))
      .map((type) => `policy type ${type}`),
    ...(spec.egress !== undefined && !(spec.policyTypes ?? []).includes('Egress')
      ? ['egress is not one of policyTypes']
      : []),
    ...peers.flatMap((peer) => [
      ...(peer.ipBlock !== undefined && Object.keys(peer).length > 1
        ? ['an ipBlock stands beside a selector']
        : []),
      ...(Object.keys(peer).length === 0 ? ['a peer names nobody'] : []),
      ...(peer.ipBlock === undefined || isCidr(peer.ipBlock.cidr) ? [] : [`${peer.ipBlock.cidr} is no CIDR`]),
    ]),
  ];
}

function isCidr(text: string): boolean {
  const [address = '', length = ''] = text.split('/');
  const bits = Number(length);
  const is4 =
    /^\d{1,3}(?:\.\d{1,3}){3}$/.test(address) && address.split('.').every((part) => Number(part) <= 255);
  const is6 = address.includes(':') && /^[0-9a-f:]+$/i.test(address);
  return /^\d+$/.test(length) && ((is4 && bits <= 32) || (is6 && bits <= 128));
}

interface DeviceRequest {
  readonly exactly?: { readonly allocationMode?: string; readonly count?: number };
  readonly firstAvailable?: readonly object[];
}

function claimProblems(object: KubernetesObject): readonly string[] {
  const own = object['spec'] as { readonly spec?: object };
  const spec = (object.kind === 'ResourceClaimTemplate' ? own.spec : own) as {
    readonly devices?: { readonly requests?: readonly DeviceRequest[] };
  };
  return (spec.devices?.requests ?? []).flatMap(({ exactly, firstAvailable }) => [
    ...((exactly === undefined) === (firstAvailable === undefined)
      ? ['a request needs exactly or firstAvailable']
      : []),
    ...(exactly?.allocationMode === undefined || ['All', 'ExactCount'].includes(exactly.allocationMode)
      ? []
      : [`allocation mode ${exactly.allocationMode}`]),
    ...(exactly?.allocationMode === 'All' && exactly.count !== undefined
      ? ['All does not go with a count']
      : []),
  ]);
}
