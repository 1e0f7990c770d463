import { conditionStatus, field, fieldAt, nodeName } from './fields.ts';

/** What a Node object says of itself. */
export interface NodeFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly hasGpu: boolean;
  /** The Ready condition is False or Unknown. */
  readonly isDown: boolean;
}

const maximumLabels = 512;
const labelKey = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,316}$/;

/** Labels that Kubernetes would accept: no others can be selected by. Without a prototype, so that `constructor` is not a label. */
export function labelsOf(node: unknown): Readonly<Record<string, string>> {
  const labels: Record<string, string> = Object.create(null);
  const given = fieldAt(node, 'metadata', 'labels');
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return Object.freeze(labels);
  let count = 0;
  for (const key in given) {
    const value = field(given, key);
    if (!labelKey.test(key) || typeof value !== 'string' || value.length > 63) continue;
    if (++count > maximumLabels) break;
    labels[key] = value;
  }
  return Object.freeze(labels);
}

/**
 * Labels by which NVIDIA's own parts and clouds mark nodes with NVIDIA GPUs, and the values that say so; null: any. One is enough. The
 * chart runs agents on the same nodes.
 */
export const gpuNodeLabels: Readonly<Record<string, string | null>> = {
  // GPU Feature Discovery, the GPU Operator
  'nvidia.com/gpu.present': 'true',
  // Node Feature Discovery: PCI vendor, or class (3D, VGA) and vendor
  'feature.node.kubernetes.io/pci-10de.present': 'true',
  'feature.node.kubernetes.io/pci-0302_10de.present': 'true',
  'feature.node.kubernetes.io/pci-0300_10de.present': 'true',
  // GKE, AKS
  'cloud.google.com/gke-accelerator': null,
  'kubernetes.azure.com/accelerator': 'nvidia',
  // EKS: the cluster autoscaler, Karpenter, Auto Mode
  'k8s.amazonaws.com/accelerator': null,
  'karpenter.k8s.aws/instance-gpu-manufacturer': 'nvidia',
  'eks.amazonaws.com/instance-gpu-manufacturer': 'nvidia',
};

const isLabelled = (labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(gpuNodeLabels).some(
    ([key, value]) => labels[key] !== undefined && (value === null || labels[key] === value),
  );

/** Names under which NVIDIA's device plugin offers GPUs: whole, time-sliced, and parts (MIG, strategy `mixed`). */
const isGpuResource = (name: string): boolean =>
  name === 'nvidia.com/gpu' || name === 'nvidia.com/gpu.shared' || name.startsWith('nvidia.com/mig-');

/** A whole quantity above zero; extended resources have no others. */
const isPositive = (quantity: unknown): boolean =>
  typeof quantity === 'number' ? quantity > 0 : typeof quantity === 'string' && /^0*[1-9]/.test(quantity);

function offersGpu(resources: unknown): boolean {
  if (typeof resources !== 'object' || resources === null) return false;
  let seen = 0;
  for (const name in resources) {
    if (++seen > maximumLabels) return false;
    if (isGpuResource(name) && isPositive(field(resources, name))) return true;
  }
  return false;
}

/** Null for an object that is not a node. Never throws. */
export function readNode(node: unknown): NodeFacts | null {
  const name = nodeName(fieldAt(node, 'metadata', 'name'));
  if (name === undefined) return null;
  const labels = labelsOf(node);
  const ready = conditionStatus(node, 'Ready');
  return {
    name,
    labels,
    // Capacity too: a node whose GPUs are all unhealthy has an allocatable of 0, and is the one that is asked about.
    hasGpu:
      isLabelled(labels) ||
      offersGpu(fieldAt(node, 'status', 'allocatable')) ||
      offersGpu(fieldAt(node, 'status', 'capacity')),
    isDown: ready === 'False' || ready === 'Unknown',
  };
}
