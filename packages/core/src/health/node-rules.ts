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
  return observations;
}
