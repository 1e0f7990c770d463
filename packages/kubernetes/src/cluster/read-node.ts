import type { ClusterNode, DeviceCounts, Gap } from '@k8s-gpu-mcp/core';
import type { KubernetesObject } from '../kubernetes-api.ts';
import { isRecord } from '../read-object.ts';
import {
  conditionStatusOf,
  deviceCountsOf,
  MalformedError,
  nameOf,
  recordOf,
  recordsOf,
  requiredName,
  textOf,
  textsOf,
  timeOf,
  wordOf,
} from './fields.ts';

const maximum = {
  labels: 1_024,
  labelCharacters: 63,
  annotations: 128,
  annotationCharacters: 512,
  taints: 256,
  conditions: 256,
  messageCharacters: 512,
};

/**
 * A node of core/v1. A capacity that cannot be read is null with a gap.
 *
 * @throws MalformedError when it is no node.
 */
export function readNode(object: KubernetesObject): { readonly node: ClusterNode; readonly gaps: Gap[] } {
  const { metadata } = object;
  const spec = recordOf(object['spec']);
  const status = recordOf(object['status']);
  const info = recordOf(status['nodeInfo']);
  const gaps: Gap[] = [];
  return {
    gaps,
    node: {
      name: requiredName(metadata.name, 'metadata.name'),
      uid: nameOf(metadata.uid),
      labels: textsOf(metadata.labels, maximum.labels, maximum.labelCharacters),
      annotations: textsOf(metadata.annotations, maximum.annotations, maximum.annotationCharacters),
      taints: recordsOf(spec['taints'], maximum.taints, 'spec.taints').map(({ key, value, effect }) => ({
        key: requiredName(key, 'key of a taint'),
        value: nameOf(value),
        effect: requiredName(effect, 'effect of a taint'),
      })),
      conditions: recordsOf(status['conditions'], maximum.conditions, 'status.conditions').map((each) => ({
        type: requiredName(each['type'], 'type of a condition'),
        status: conditionStatusOf(each['status']),
        reason: wordOf(each['reason']),
        lastTransitionAt: timeOf(each['lastTransitionTime']),
        message: textOf(each['message'], maximum.messageCharacters),
      })),
      isUnschedulable: spec['unschedulable'] === true,
      kernelVersion: nameOf(info['kernelVersion']),
      kubeletVersion: nameOf(info['kubeletVersion']),
      containerRuntimeVersion: nameOf(info['containerRuntimeVersion']),
      operatingSystem: nameOf(info['osImage']),
      bootId: nameOf(info['bootID']),
      capacity: countsOf(status['capacity'], 'capacity', gaps),
      allocatable: countsOf(status['allocatable'], 'allocatable', gaps),
    },
  };
}

function countsOf(quantities: unknown, field: string, gaps: Gap[]): DeviceCounts | null {
  if (!isRecord(quantities)) return null;
  try {
    return deviceCountsOf(quantities);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    gaps.push({ field: `node.${field}`, reason: 'error', detail: error.message });
    return null;
  }
}
