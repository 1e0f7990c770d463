import { isIPv4, isIPv6 } from 'node:net';
import { conditionStatus, field, fieldAt, list, nodeName, text } from './fields.ts';
import { notReadyReason } from './not-ready-reason.ts';

export interface AgentPodOptions {
  /** For pods whose containers name no port `http` (with scheme https: `https`, else `http`). */
  readonly port: number;
  readonly scheme: 'http' | 'https';
  /**
   * The DaemonSet whose pods may receive the token. Without it no pod may: a label selector finds whatever carries the labels, and what all
   * found pods have in common proves nothing.
   */
  readonly daemonSetName?: string;
  /** Of that DaemonSet. Needed when the pods come from more than one namespace, where another DaemonSet may have its name. */
  readonly namespace?: string;
}

/** What one pod says of the node that it is on. */
export interface AgentPod {
  readonly node: string;
  readonly instance: string;
  /** Null unless it is ready. */
  readonly url: string | null;
  readonly notReadyBecause: string | null;
  /** Deleted, or run to its end: it is not asked any more, but its node still has, or had, an agent. */
  readonly isLeaving: boolean;
  readonly mayReceiveToken: boolean;
  /** Milliseconds since 1970; 0 when unknown. */
  readonly createdAt: number;
}

function portOf(pod: unknown, { port, scheme }: AgentPodOptions): number {
  const ports = list(fieldAt(pod, 'spec', 'containers')).flatMap((container) =>
    list(field(container, 'ports')),
  );
  for (const name of [scheme, 'http']) {
    for (const candidate of ports) {
      const number = field(candidate, 'containerPort');
      const protocol = field(candidate, 'protocol') ?? 'TCP';
      if (field(candidate, 'name') !== name || protocol !== 'TCP') continue;
      if (typeof number === 'number' && Number.isInteger(number) && number > 0 && number < 65_536) {
        return number;
      }
    }
  }
  return port;
}

/** As it stands in a URL. An address with a zone is of use on its own node only. */
function hostOf(pod: unknown): string | undefined {
  const address = text(fieldAt(pod, 'status', 'podIP'), 64);
  if (address === undefined || address.includes('%')) return undefined;
  if (isIPv4(address)) return address;
  return isIPv6(address) ? `[${address}]` : undefined;
}

/**
 * Anyone who may create pods in the namespace can write owner references, and can mount the Secret with the token too: this check keeps the
 * token from pods that only happen to carry the labels, not from an administrator of the namespace.
 */
function isOfDaemonSet(pod: unknown, { daemonSetName, namespace }: AgentPodOptions): boolean {
  if (daemonSetName === undefined || daemonSetName === '') return false;
  if (namespace !== undefined && fieldAt(pod, 'metadata', 'namespace') !== namespace) return false;
  const controllers = list(fieldAt(pod, 'metadata', 'ownerReferences')).filter(
    (owner) => field(owner, 'controller') === true,
  );
  const [controller] = controllers;
  return (
    controllers.length === 1 &&
    field(controller, 'apiVersion') === 'apps/v1' &&
    field(controller, 'kind') === 'DaemonSet' &&
    field(controller, 'name') === daemonSetName
  );
}

/** Null for an object that is not a pod on a node (yet). Never throws. */
export function readAgentPod(pod: unknown, options: AgentPodOptions): AgentPod | null {
  const node = nodeName(fieldAt(pod, 'spec', 'nodeName'));
  if (node === undefined) return null;
  const uid = text(fieldAt(pod, 'metadata', 'uid'), 128);
  const created = Date.parse(text(fieldAt(pod, 'metadata', 'creationTimestamp'), 64) ?? '');
  const common = {
    node,
    instance: uid ?? `unknown:${node}`,
    mayReceiveToken: isOfDaemonSet(pod, options),
    createdAt: Number.isNaN(created) ? 0 : created,
  };
  const phase = fieldAt(pod, 'status', 'phase');
  const isDeleted = (fieldAt(pod, 'metadata', 'deletionTimestamp') ?? null) !== null;
  if (isDeleted || phase === 'Succeeded' || phase === 'Failed') {
    return {
      ...common,
      url: null,
      notReadyBecause: isDeleted
        ? 'the agent pod is stopping, and no other runs on this node yet'
        : phase === 'Failed'
          ? 'the agent pod has failed, and no other runs on this node yet'
          : 'the agent pod has ended, and no other runs on this node yet',
      isLeaving: true,
    };
  }
  const host = hostOf(pod);
  const isReady = phase === 'Running' && conditionStatus(pod, 'Ready') === 'True';
  if (!isReady || host === undefined || uid === undefined) {
    return { ...common, url: null, notReadyBecause: notReadyReason(pod), isLeaving: false };
  }
  const url = `${options.scheme}://${host}:${portOf(pod, options)}/mcp`;
  return { ...common, url: new URL(url).href, notReadyBecause: null, isLeaving: false };
}

/** Positive when `a` speaks for the node rather than `b`: ready before starting before leaving, then of the DaemonSet, then the newer. */
export function compareAgentPods(a: AgentPod, b: AgentPod): number {
  const rank = (pod: AgentPod) => (pod.url !== null ? 2 : pod.isLeaving ? 0 : 1);
  return (
    rank(a) - rank(b) ||
    Number(a.mayReceiveToken) - Number(b.mayReceiveToken) ||
    a.createdAt - b.createdAt ||
    (a.instance < b.instance ? -1 : a.instance > b.instance ? 1 : 0)
  );
}
