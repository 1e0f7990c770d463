import type { Gap } from '../domain/gap.ts';
import type { NodeDescription } from '../domain/gpu.ts';
import type { Candidate, PublishedRule } from './rule.ts';

const rules = {
  'driver.version-mismatch': {
    title: 'Driver and library differ',
    threshold: 'the version of the kernel module is not the one in the version of the library',
    appliesTo: 'NVIDIA drivers',
    verdict: 'warning',
    action: 'update-software',
    confidence: 'high',
    source: 'NVML NVML_ERROR_LIB_RM_VERSION_MISMATCH; NVIDIA driver README (both come from one release)',
    note: 'Compared only where both are told in full, such as 580.95.05 and 13.580.95.05.',
  },
  'driver.unusable': {
    title: 'Driver unusable for a mismatch',
    threshold: 'the library refuses to work with the loaded kernel module',
    appliesTo: 'NVIDIA drivers',
    verdict: 'critical',
    action: 'update-software',
    confidence: 'high',
    source:
      'NVML NVML_ERROR_LIB_RM_VERSION_MISMATCH; leptonai/gpud (NVML that cannot be initialised is unhealthy); NVIDIA/k8s-device-plugin#1431',
    note: 'In a container it can be the library of the container alone.',
  },
  'gpu.missing-all': {
    title: 'No GPU found',
    threshold: 'nvidia-smi was run and found no devices',
    appliesTo: 'captures of nvidia-smi',
    verdict: 'critical',
    action: 'monitor',
    confidence: 'medium',
    source: 'aws/eks-node-monitoring-agent#241 (no GPU taken for healthy); leptonai/gpud (GPU count)',
    note: 'What the PCI bus and the kernel log show of the same machine decides on a reboot.',
  },
  'gpu.unreadable-rest': {
    title: 'Capture that is not whole',
    threshold: 'more GPUs counted than shown, or an output that ends in the middle of a GPU',
    appliesTo: 'captures of nvidia-smi',
    verdict: 'unknown',
    action: 'none',
    confidence: 'high',
    source: 'NVIDIA/NVSentinel#155, aws/eks-node-monitoring-agent#241 (unreadable taken for healthy)',
  },
  'driver.confidential-computing': {
    title: 'Confidential computing is on',
    threshold: 'the driver says so',
    appliesTo: 'products with confidential computing (Hopper and newer)',
    verdict: 'ok',
    action: 'none',
    confidence: 'high',
    source: 'NVIDIA confidential computing deployment guide (profiling and some readings are withheld)',
    note: 'A choice: told, because it explains readings that are missing.',
  },
} as const satisfies Record<string, Omit<PublishedRule, 'id'>>;

/** The table as published. */
export const nodeRules: readonly PublishedRule[] = Object.entries(rules).map(([id, row]) => ({ id, ...row }));

function candidate(ruleId: keyof typeof rules, rest: Pick<Candidate, 'what' | 'evidence'>): Candidate {
  const { verdict, action, confidence, source } = rules[ruleId];
  return { ruleId, verdict, action, confidence, source, ...rest };
}

/** No program of this environment can use the GPUs until it is mended. */
export const driverUnusable: Candidate = candidate('driver.unusable', {
  what: 'The kernel module and the user-space library of the driver are of different releases, so no program can use the GPUs: finish the update and load the new module, or reboot.',
  evidence: [{ field: 'gpuBackend', value: 'DRIVER_MISMATCH' }],
});

const driverRelease = /^\d{3}(?:\.\d{1,4}){1,2}$/;
const libraryRelease = /^\d{1,2}\.(\d{3}(?:\.\d{1,4}){1,2})$/;

/** What the driver's description of the node tells by itself. Pure. */
export function nodeObservations(node: NodeDescription): readonly Candidate[] {
  const { driverVersion, libraryVersion, confidentialComputingEnabled } = node;
  const library = libraryRelease.exec(libraryVersion ?? '')?.[1];
  const observations: Candidate[] = [];
  if (driverRelease.test(driverVersion ?? '') && library !== undefined && library !== driverVersion) {
    observations.push(
      candidate('driver.version-mismatch', {
        what: 'The library is of another release than the kernel driver: it was updated and the driver was not reloaded, or a container brought its own.',
        evidence: [
          { field: 'node.driverVersion', value: driverVersion },
          { field: 'node.libraryVersion', value: libraryVersion },
        ],
      }),
    );
  }
  if (confidentialComputingEnabled === true) {
    observations.push(
      candidate('driver.confidential-computing', {
        what: 'Confidential computing is on: some readings are withheld.',
        evidence: [{ field: 'node.confidentialComputingEnabled', value: true }],
      }),
    );
  }
  return [...observations, ...node.gaps.flatMap(ofUnshownGpus)];
}

/** GPUs that a node is known to have, or to lack, and that nobody could read. */
function ofUnshownGpus({ field, reason, detail, gpu }: Gap): Candidate[] {
  if (field !== 'gpus') return [];
  const isNone = reason === 'error';
  const what =
    gpu === undefined
      ? 'More GPUs are counted than the files show, so nothing can be said of the health of the others.'
      : 'The output ends in the middle of this GPU, so what follows of it is not known.';
  const found = candidate(isNone ? 'gpu.missing-all' : 'gpu.unreadable-rest', {
    what: isNone ? 'The driver answered, and found no GPU at all.' : what,
    evidence: [{ field, value: detail }],
  });
  return [gpu === undefined ? found : { ...found, gpu }];
}
