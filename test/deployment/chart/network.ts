// Who may reach whom under a set of NetworkPolicies (https://kubernetes.io/docs/concepts/services-networking/network-policies/).
// Addresses count too: a policy that lets a pod reach 0.0.0.0/0 lets it reach other pods there.
import { BlockList, isIPv6 } from 'node:net';
import { type KubernetesObject, type LabelSelector, type Labels, selects } from './kubernetes-objects.ts';

export interface Endpoint {
  readonly address: string;
  /** Nothing for what is no pod. */
  readonly pod?: {
    readonly namespace: string;
    readonly labels: Labels;
    /** Beside that with its name, which every namespace has. */
    readonly namespaceLabels?: Labels;
    readonly ports?: Readonly<Record<string, number>>;
  };
}

export interface Connection {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly port: number;
  readonly protocol?: 'TCP' | 'UDP';
}

interface Peer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly {
    readonly port?: number | string;
    readonly endPort?: number;
    readonly protocol?: string;
  }[];
}

interface PolicySpec {
  readonly podSelector?: LabelSelector;
  readonly policyTypes?: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** `namespace` is that of policies that name none. */
export function isAllowed(
  objects: readonly KubernetesObject[],
  namespace: string,
  connection: Connection,
): boolean {
  const policies = objects
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .map((object) => ({
      namespace: object.metadata.namespace ?? namespace,
      spec: object['spec'] as PolicySpec,
    }));
  const { from, to } = connection;
  return passes('egress', from, to) && passes('ingress', to, from);

  function passes(direction: 'ingress' | 'egress', one: Endpoint, other: Endpoint): boolean {
    const inForce = policies.filter(
      (policy) =>
        policy.namespace === one.pod?.namespace &&
        selects(policy.spec.podSelector ?? {}, one.pod.labels) &&
        typesOf(policy.spec).includes(direction),
    );
    if (inForce.length === 0) return true;
    return inForce.some((policy) =>
      (policy.spec[direction] ?? []).some((rule) => {
        const peers = (direction === 'ingress' ? rule.from : rule.to) ?? [];
        const isPeer = peers.length === 0 || peers.some((peer) => matches(peer, other, policy.namespace));
        return isPeer && hasPort(rule, connection);
      }),
    );
  }
}

const typesOf = ({ policyTypes, egress }: PolicySpec): readonly string[] =>
  policyTypes?.map((type) => type.toLowerCase()) ?? ['ingress', ...(egress === undefined ? [] : ['egress'])];

function matches(
  { podSelector, namespaceSelector, ipBlock }: Peer,
  { pod, address }: Endpoint,
  namespace: string,
): boolean {
  if (ipBlock !== undefined)
    return contains(ipBlock.cidr, address) && !(ipBlock.except ?? []).some((one) => contains(one, address));
  if (pod === undefined) return false;
  const namespaceLabels = { 'kubernetes.io/metadata.name': pod.namespace, ...pod.namespaceLabels };
  const isNamespace =
    namespaceSelector === undefined
      ? pod.namespace === namespace
      : selects(namespaceSelector, namespaceLabels);
  return isNamespace && selects(podSelector ?? {}, pod.labels);
}

function contains(cidr: string, address: string): boolean {
  const [network = '', length = ''] = cidr.split('/');
  const list = new BlockList();
  list.addSubnet(network, Number(length), isIPv6(network) ? 'ipv6' : 'ipv4');
  return isIPv6(network) === isIPv6(address) && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** Ports are those of the pod that is reached: a Service's are translated before. */
function hasPort({ ports }: Rule, { to, port, protocol = 'TCP' }: Connection): boolean {
  if (ports === undefined || ports.length === 0) return true;
  return ports.some((one) => {
    if ((one.protocol ?? 'TCP') !== protocol) return false;
    if (one.port === undefined) return true;
    const wanted = typeof one.port === 'string' ? to.pod?.ports?.[one.port] : one.port;
    return wanted !== undefined && port >= wanted && port <= (one.endPort ?? wanted);
  });
}
