import type { DeviceShare, PodAllocation } from '../../cluster/allocation.ts';
import type { OperandPod } from '../../cluster/device-plugin.ts';
import type { ClusterEvent, ClusterNode } from '../../domain/cluster.ts';
import type { Detail } from '../answer.ts';
import { quarantine } from '../untrusted-text.ts';
import type { AgentGpu } from './agent-answers.ts';

/** Names and label values that the API server checks; a snapshot of anything else is made harmless all the same. */
export const clean = (text: string) => quarantine(text, 253);

const shownLabels: ReadonlySet<string> = new Set([
  'nvidia.com/gpu.product',
  'nvidia.com/gpu.count',
  'nvidia.com/gpu.replicas',
  'nvidia.com/gpu.sharing-strategy',
  'nvidia.com/gpu.clique',
  'nvidia.com/mig.strategy',
  'nvidia.com/mig.config',
  'nvidia.com/mig.config.state',
  'nvidia.com/gpu-driver-upgrade-state',
  'nvidia.com/gpu.deploy.device-plugin',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone',
]);
const gpuLabel =
  /^(?:nvidia\.com|amd\.com|feature\.node\.kubernetes\.io\/pci-|topology\.kubernetes\.io|node\.kubernetes\.io|kubernetes\.io\/(?:arch|os)$)/;

function labelsOf({ labels }: ClusterNode, detail: Detail) {
  const shown = Object.entries(labels).filter(([key]) =>
    detail === 'full' ? gpuLabel.test(key) : shownLabels.has(key),
  );
  return Object.fromEntries(shown.slice(0, 48).map(([key, value]) => [clean(key), quarantine(value, 63)]));
}

export function presentNode(node: ClusterNode, detail: Detail) {
  const isFull = detail === 'full';
  // Every condition but Ready is a problem when it is true.
  const telling = node.conditions.filter(({ type, status }) => type === 'Ready' || status !== 'False');
  const annotations = Object.entries(node.annotations).filter(([key]) => gpuLabel.test(key));
  return {
    isUnschedulable: node.isUnschedulable,
    conditions: (isFull ? node.conditions : telling).slice(0, isFull ? 24 : 8).map((condition) => ({
      type: quarantine(condition.type, 64),
      status: condition.status,
      reason: condition.reason === null ? null : quarantine(condition.reason, 64),
      lastTransitionAt: condition.lastTransitionAt,
      ...(isFull && condition.message !== null ? { message: quarantine(condition.message, 256) } : {}),
    })),
    taints: node.taints.slice(0, isFull ? 24 : 6).map(({ key, value, effect }) => ({
      key: clean(key),
      ...(value ? { value: quarantine(value, 63) } : {}),
      effect: quarantine(effect, 32),
    })),
    labels: labelsOf(node, detail),
    ...(isFull && annotations.length > 0
      ? {
          annotations: Object.fromEntries(
            annotations.slice(0, 16).map(([key, value]) => [clean(key), quarantine(value, 128)]),
          ),
        }
      : {}),
    kernelVersion: shortOrNull(node.kernelVersion),
    kubeletVersion: shortOrNull(node.kubeletVersion),
    containerRuntimeVersion: shortOrNull(node.containerRuntimeVersion),
    ...(isFull
      ? { operatingSystem: shortOrNull(node.operatingSystem), bootId: shortOrNull(node.bootId) }
      : {}),
  };
}

const shortOrNull = (text: string | null) => (text === null ? null : quarantine(text, 64));

export function presentOperand(
  { role, namespace, pod, isReady, reason, restartCount, version }: OperandPod,
  detail: Detail,
) {
  return {
    role,
    isReady,
    ...(version === null ? {} : { version: quarantine(version, 48) }),
    ...(isReady && detail === 'summary'
      ? {}
      : { namespace: clean(namespace), pod: clean(pod), reason: shortOrNull(reason), restartCount }),
  };
}

export function presentAgentGpu({ index, state, name, uuid, pciAddress, migDevices }: AgentGpu) {
  return {
    index: index ?? null,
    state,
    name: name ?? null,
    uuid: uuid ?? null,
    pciAddress: pciAddress ?? null,
    ...(migDevices.length > 0 ? { migDeviceCount: migDevices.length } : {}),
  };
}

/** Names of pods and owners are theirs to choose, within what the API server allows. */
export function presentPod(allocation: PodAllocation, detail: Detail, maximumIds: number) {
  const { namespace, pod, podUid, node, phase, isBeingDeleted, owner, takes, shares } = allocation;
  return {
    ...(detail === 'full' ? { podUid: quarantine(podUid, 64) } : {}),
    namespace: clean(namespace),
    pod: clean(pod),
    node: node === null ? null : clean(node),
    phase,
    ...(isBeingDeleted ? { isBeingDeleted } : {}),
    ...(owner ? { owner: presentOwner(owner, detail) } : {}),
    takes,
    shares: shares.slice(0, detail === 'full' ? 32 : 6).map((share) => presentShare(share, maximumIds)),
    ...(shares.length > 32 || (detail === 'summary' && shares.length > 6)
      ? { shareCount: shares.length }
      : {}),
  };
}

function presentOwner(
  { kind, name, chain, basis, isComplete }: NonNullable<PodAllocation['owner']>,
  detail: Detail,
) {
  return {
    kind: clean(kind),
    name: clean(name),
    ...(isComplete ? {} : { isComplete }),
    ...(basis === 'labels' ? { basis } : {}),
    ...(detail === 'full'
      ? { chain: chain.map((each) => ({ kind: clean(each.kind), name: clean(each.name) })) }
      : {}),
  };
}

/** For a list beside other things: who, and how much. */
export function presentPodLine({ namespace, pod, phase, takes, owner, shares }: PodAllocation) {
  const claimCount = shares.filter(({ kind }) => kind === 'claim').length;
  return {
    namespace: clean(namespace),
    pod: clean(pod),
    phase,
    takes,
    ...(claimCount > 0 ? { claimCount } : {}),
    ...(owner ? { owner: { kind: clean(owner.kind), name: clean(owner.name) } } : {}),
  };
}

function presentShare(share: DeviceShare, maximumIds: number) {
  const { container, containerKind, resource, kind, count, deviceIds, claim } = share;
  return {
    ...(container === null ? {} : { container: clean(container) }),
    ...(containerKind === null || containerKind === 'main' ? {} : { containerKind }),
    ...(resource === null ? {} : { resource: clean(resource) }),
    kind,
    count,
    // Null: nobody told which.
    deviceIds: deviceIds?.slice(0, maximumIds).map((id) => quarantine(id, 96)) ?? null,
    ...(deviceIds && deviceIds.length > maximumIds ? { deviceIdCount: deviceIds.length } : {}),
    ...(claim
      ? {
          claim: claim.name === null ? null : clean(claim.name),
          drivers: claim.drivers.slice(0, 4).map(clean),
          ...(claim.hasAdminAccess ? { hasAdminAccess: true } : {}),
          ...(claim.podCount > 1 ? { sharedByPods: claim.podCount } : {}),
        }
      : {}),
  };
}

/** The message is anybody's; it stands in its own field. */
export function presentEvent({ type, reason, count, lastAt, message }: ClusterEvent) {
  return { type, reason: quarantine(reason, 64), count, lastAt, message: quarantine(message, 120) };
}
