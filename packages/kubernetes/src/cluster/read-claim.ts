import type { ClaimedDevice, ClusterClaim } from '@k8s-gpu-mcp/core';
import type { KubernetesObject } from '../kubernetes-api.ts';
import { isRecord } from '../read-object.ts';
import { recordOf, recordsOf, requiredName } from './fields.ts';

/** The API allows 32 devices and 256 consumers. Source: Kubernetes API reference, ResourceClaim v1 resource.k8s.io. */
const MAXIMUM_DEVICES = 1_024;
const MAXIMUM_CONSUMERS = 1_024;

/**
 * A ResourceClaim of resource.k8s.io, v1, v1beta2 or v1beta1: their statuses are alike.
 *
 * @throws MalformedError when it is no claim.
 */
export function readClaim(object: KubernetesObject): ClusterClaim {
  const { metadata } = object;
  const status = recordOf(object['status']);
  const consumers = recordsOf(status['reservedFor'], MAXIMUM_CONSUMERS, 'status.reservedFor');
  return {
    namespace: requiredName(metadata.namespace, 'metadata.namespace'),
    name: requiredName(metadata.name, 'metadata.name'),
    uid: requiredName(metadata.uid, 'metadata.uid'),
    devices: isRecord(status['allocation']) ? readDevices(status['allocation']) : null,
    reservedForPodUids: consumers
      .filter(({ resource, apiGroup }) => resource === 'pods' && !apiGroup)
      .map(({ uid }) => requiredName(uid, 'uid of a consumer')),
  };
}

function readDevices(allocation: Readonly<Record<string, unknown>>): readonly ClaimedDevice[] {
  const { results } = recordOf(allocation['devices']);
  return recordsOf(results, MAXIMUM_DEVICES, 'status.allocation.devices.results').map((each) => ({
    request: requiredName(each['request'], 'request of a device'),
    driver: requiredName(each['driver'], 'driver of a device'),
    pool: requiredName(each['pool'], 'pool of a device'),
    device: requiredName(each['device'], 'name of a device'),
    hasAdminAccess: each['adminAccess'] === true,
  }));
}
