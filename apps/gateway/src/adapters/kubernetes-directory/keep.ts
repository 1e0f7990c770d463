import type { KubernetesObject } from '@k8s-gpu-mcp/kubernetes';

/** Of a pod or node, what the directory reads: managed fields, annotations, volumes and image lists are most of an object's bytes. */
export function keepForDirectory(object: KubernetesObject): KubernetesObject {
  const { managedFields: _fields, annotations: _annotations, ...metadata } = object.metadata;
  const {
    volumes: _volumes,
    initContainers: _inits,
    affinity: _affinity,
    ...spec
  } = recordOf(object['spec']);
  const { images: _images, ...status } = recordOf(object['status']);
  return { metadata, spec, status };
}

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
