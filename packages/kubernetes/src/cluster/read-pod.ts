import { type ClusterPod, type PodClaim, type PodPhase, podPhases } from '@k8s-gpu-mcp/core';
import type { KubernetesObject } from '../kubernetes-api.ts';
import {
  conditionStatusOf,
  nameOf,
  ownerReferencesOf,
  recordOf,
  recordsOf,
  requiredName,
  textOf,
  textsOf,
  timeOf,
  wordOf,
} from './fields.ts';
import { readContainers } from './read-container.ts';

const maximum = { labels: 256, labelCharacters: 63, conditions: 128, messageCharacters: 2_000, claims: 256 };

/**
 * A pod of core/v1. `owner` is null yet: what is above the pod's own references is not in it.
 *
 * @throws MalformedError when it is no pod.
 */
export function readPod(object: KubernetesObject): ClusterPod {
  const { metadata } = object;
  const spec = recordOf(object['spec']);
  const status = recordOf(object['status']);
  return {
    namespace: requiredName(metadata.namespace, 'metadata.namespace'),
    name: requiredName(metadata.name, 'metadata.name'),
    uid: requiredName(metadata.uid, 'metadata.uid'),
    node: nameOf(spec['nodeName']),
    phase: phaseOf(status['phase']),
    labels: textsOf(metadata.labels, maximum.labels, maximum.labelCharacters),
    staticPodUid: nameOf(metadata.annotations?.['kubernetes.io/config.hash']),
    ownerReferences: ownerReferencesOf(metadata.ownerReferences),
    owner: null,
    reason: wordOf(status['reason']),
    conditions: recordsOf(status['conditions'], maximum.conditions, 'status.conditions').map((each) => ({
      type: requiredName(each['type'], 'type of a condition'),
      status: conditionStatusOf(each['status']),
      reason: wordOf(each['reason']),
      lastTransitionAt: timeOf(each['lastTransitionTime']),
      message: textOf(each['message'], maximum.messageCharacters),
    })),
    createdAt: timeOf(metadata.creationTimestamp),
    startedAt: timeOf(status['startTime']),
    deletionRequestedAt: timeOf(metadata.deletionTimestamp),
    containers: readContainers(spec, status),
    claims: readClaims(spec, status),
  };
}

function phaseOf(value: unknown): PodPhase {
  return podPhases.find((phase) => phase === value) ?? 'Unknown';
}

/** A claim is named in the spec, or made from a template: then the status says which it became. */
function readClaims(
  spec: Readonly<Record<string, unknown>>,
  status: Readonly<Record<string, unknown>>,
): readonly PodClaim[] {
  const made = new Map(
    recordsOf(status['resourceClaimStatuses'], maximum.claims, 'status.resourceClaimStatuses').map((each) => [
      each['name'],
      nameOf(each['resourceClaimName']),
    ]),
  );
  return recordsOf(spec['resourceClaims'], maximum.claims, 'spec.resourceClaims').map((each) => ({
    name: requiredName(each['name'], 'name of a claim'),
    claimName: nameOf(each['resourceClaimName']) ?? made.get(each['name']) ?? null,
  }));
}
