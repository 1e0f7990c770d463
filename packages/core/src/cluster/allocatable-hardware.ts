import { type Action, type Finding, isDisruptive, strongestAction } from '../domain/verdict.ts';
import type { AllocatableFacts } from './allocatable-facts.ts';
import { allocatableFinding } from './allocatable-rules.ts';

/** Whether the GPU operator keeps the GPUs of a node for virtual machines. Source: NVIDIA GPU operator with KubeVirt. */
export function isForVirtualMachines({ labels }: AllocatableFacts['node']): boolean {
  const key = 'nvidia.com/gpu.workload.config';
  return Object.hasOwn(labels, key) && /^vm-(?:passthrough|vgpu)$/.test(labels[key] ?? '');
}

/** `3 GPUs`, `1 GPU`. */
export const gpus = (count: number) => `${count} GPU${count === 1 ? '' : 's'}`;

/** From the PCI bus to the device files: what the agent's own counts show. */
export function hardwareFindings({ agentInventory, node }: AllocatableFacts): readonly Finding[] {
  if (!agentInventory) return [];
  const { pciGpuCount, driverGpuCount, libraryGpuCount, usableGpuCount, deviceNodeCount } = agentInventory;
  const findings: Finding[] = [];
  const compare = (more: number | null, less: number | null) =>
    more !== null && less !== null && more > less ? more - less : 0;
  const unbound = compare(pciGpuCount, driverGpuCount);
  // There the driver of the virtual machines' host has them.
  if (unbound > 0 && !isForVirtualMachines(node))
    findings.push(
      allocatableFinding('cluster.gpu-without-driver', {
        what: `The PCI bus has ${gpus(pciGpuCount ?? 0)}, of which ${unbound} ${unbound === 1 ? 'is' : 'are'} not bound to the vendor driver.`,
        evidence: [
          { field: 'layers.pci-bus', value: pciGpuCount },
          { field: 'layers.kernel-driver', value: driverGpuCount },
        ],
      }),
    );
  const unlisted = compare(driverGpuCount, libraryGpuCount);
  if (unlisted > 0)
    findings.push(
      allocatableFinding('cluster.gpu-missing-from-library', {
        what: `The driver sees fewer GPUs than the PCI bus: ${gpus(driverGpuCount ?? 0)} bound to it, ${libraryGpuCount} in its list.`,
        evidence: [
          { field: 'layers.kernel-driver', value: driverGpuCount },
          { field: 'layers.nvml', value: libraryGpuCount },
        ],
        action: confirmedAction(agentInventory.faults, ['gpu.missing-from-driver', 'gpu.config-space-dead']),
      }),
    );
  const silent = compare(libraryGpuCount, usableGpuCount);
  if (silent > 0)
    findings.push(
      allocatableFinding('cluster.gpu-not-answering', {
        what: `${silent} of the ${gpus(libraryGpuCount ?? 0)} that the driver lists ${silent === 1 ? 'does' : 'do'} not answer.`,
        evidence: [
          { field: 'layers.nvml', value: libraryGpuCount },
          { field: 'usableGpuCount', value: usableGpuCount },
        ],
        action: confirmedAction(agentInventory.faults, ['gpu.lost', 'gpu.hung', 'gpu.config-space-dead']),
      }),
    );
  const fileless = compare(libraryGpuCount, deviceNodeCount);
  // No file at all: the agent was given none, as containers are. It says nothing of other pods.
  if (fileless > 0 && deviceNodeCount !== 0)
    findings.push(
      allocatableFinding('cluster.device-files-missing', {
        what: `The driver lists ${gpus(libraryGpuCount ?? 0)}, and there are device files of ${deviceNodeCount}.`,
        evidence: [
          { field: 'layers.nvml', value: libraryGpuCount },
          { field: 'layers.device-files', value: deviceNodeCount },
        ],
      }),
    );
  return findings;
}

/**
 * A difference of two counts does not by itself justify what disturbs the node. The agent has weighed its evidence: what it asks for in
 * findings of the same kind stands.
 */
function confirmedAction(
  faults: readonly { readonly ruleId: string; readonly action: Action }[],
  ruleIds: readonly string[],
): Action {
  const own = strongestAction(
    faults.filter(({ ruleId }) => ruleIds.includes(ruleId)).map(({ action }) => action),
  );
  return isDisruptive(own) ? own : 'monitor';
}
