import { type Finding, strongestAction, worstVerdict } from '../domain/verdict.ts';
import { type AgentXid, marksUnhealthy } from './agent-inventory.ts';
import type { AllocatableFacts, ResourceRow } from './allocatable-facts.ts';
import { gpus, isForVirtualMachines } from './allocatable-hardware.ts';
import { allocatableFinding } from './allocatable-rules.ts';
import { migStrategyOf, replicasOf } from './device-names.ts';
import type { DevicePluginFacts } from './device-plugin.ts';

/** From the device plugin to what pods ask for. */
export function kubeletFindings(facts: AllocatableFacts): readonly Finding[] {
  return [...pluginFindings(facts), ...facts.resources.flatMap((row) => rowFindings(row, facts))];
}

const pluginRoles: ReadonlySet<string> = new Set(['device-plugin', 'dra-driver']);

function pluginFindings({ plugin, resources, agentInventory, node }: AllocatableFacts): readonly Finding[] {
  if (!plugin) return [];
  const findings: Finding[] = [];
  const { operands, heldBackBy } = plugin;
  const hasCapacity = resources.some(({ capacity }) => (capacity ?? 0) > 0);
  const hardware = agentInventory?.libraryGpuCount ?? agentInventory?.pciGpuCount ?? null;
  if (heldBackBy !== null)
    findings.push(
      allocatableFinding('cluster.device-plugin-held-back', {
        what: 'The GPU operator keeps the device plugin away from this node by a label.',
        evidence: [{ field: 'node.labels.nvidia.com/gpu.deploy.device-plugin', value: heldBackBy }],
      }),
    );
  else if (
    !operands.some(({ role }) => pluginRoles.has(role)) &&
    !hasCapacity &&
    (hardware ?? 0) > 0 &&
    node.capacity &&
    !isForVirtualMachines(node)
  )
    findings.push(
      allocatableFinding('cluster.device-plugin-absent', {
        what: `The node has ${gpus(hardware ?? 0)}, and no pod of a device plugin runs on it: the kubelet knows of none.`,
        evidence: [
          { field: 'hardwareGpuCount', value: hardware },
          { field: 'plugin.operands', value: 0 },
        ],
        confidence: 'medium',
      }),
    );
  const upgrade = upgradeOf(plugin);
  if (upgrade !== null)
    findings.push(
      allocatableFinding('cluster.driver-upgrade', {
        what: upgrade.isFailed
          ? 'The upgrade of the driver by the GPU operator has failed on this node.'
          : 'The GPU operator upgrades the driver of this node: until it is done its GPUs come and go.',
        evidence: [
          { field: 'node.labels.nvidia.com/gpu-driver-upgrade-state', value: plugin.driverUpgradeState },
        ],
        ...(upgrade.isFailed ? { action: 'update-software' as const } : {}),
      }),
    );
  const patience = isUpgrading(plugin) ? { action: 'monitor' as const } : {};
  for (const { role, isReady, reason, restartCount } of operands) {
    if (isReady || role === 'feature-discovery') continue;
    const isPlugin = pluginRoles.has(role);
    findings.push(
      allocatableFinding(isPlugin ? 'cluster.device-plugin-not-ready' : 'cluster.operand-not-ready', {
        what: isPlugin
          ? `The ${role} pod is not ready: it cannot tell the kubelet of the GPUs.`
          : `The ${role} pod of the GPU software is not ready.`,
        evidence: [
          { field: `plugin.operands.${role}.isReady`, value: false },
          { field: `plugin.operands.${role}.reason`, value: reason },
          { field: `plugin.operands.${role}.restartCount`, value: restartCount },
        ],
        ...patience,
      }),
    );
  }
  return findings;
}

/** Null while none is under way: one that only waits for its turn changes nothing yet. */
function upgradeOf({ driverUpgradeState: state }: DevicePluginFacts): { readonly isFailed: boolean } | null {
  return state === null || state === 'upgrade-required' ? null : { isFailed: state === 'upgrade-failed' };
}
const isUpgrading = (plugin: DevicePluginFacts | null) =>
  plugin !== null && upgradeOf(plugin)?.isFailed === false;
const isServing = (plugin: DevicePluginFacts | null) =>
  plugin?.operands.some(({ role, isReady }) => role === 'device-plugin' && isReady) ?? false;

function rowFindings(row: ResourceRow, facts: AllocatableFacts): readonly Finding[] {
  const { resource, capacity, allocatable, requested } = row;
  const findings: Finding[] = [];
  const evidence = [
    { field: `capacity.${resource}`, value: capacity },
    { field: `allocatable.${resource}`, value: allocatable },
  ];
  if (capacity !== null && allocatable !== null && capacity > allocatable)
    findings.push(
      // One of one: by a plugin that is there it was marked, else it is simply away.
      allocatable === 0 && (capacity > 1 || (facts.plugin !== null && !isServing(facts.plugin)))
        ? allocatableFinding('cluster.all-devices-withdrawn', {
            what: `The kubelet knows ${capacity} ${resource} and gives out none: the device plugin went away, or marked all unhealthy at once.`,
            evidence,
            ...(isUpgrading(facts.plugin) ? { action: 'monitor' as const } : {}),
          })
        : unhealthy(row, capacity - allocatable, facts),
    );
  findings.push(...againstHardware(row, facts));
  if (requested !== null && allocatable !== null && requested > allocatable)
    findings.push(
      allocatableFinding('cluster.requested-above-allocatable', {
        what: `Pods on the node hold ${requested} ${resource}, of which it gives out only ${allocatable}: devices went away under them.`,
        evidence: [...evidence, { field: `requested.${resource}`, value: requested }],
      }),
    );
  else if (requested !== null && requested > 0 && requested === allocatable)
    findings.push(
      allocatableFinding('cluster.all-requested', {
        what: `All ${allocatable} ${resource} are requested: another pod that asks for one has to wait.`,
        evidence: [...evidence, { field: `requested.${resource}`, value: requested }],
      }),
    );
  return findings;
}

/** An Xid that the plugin heeds explains the mark, and says how bad it is; without one the plugin may simply never have taken it back. */
function unhealthy(
  { resource, capacity, allocatable }: ResourceRow,
  count: number,
  facts: AllocatableFacts,
): Finding {
  const xids = facts.agentInventory?.xids?.filter(({ xid }) => marksUnhealthy(xid)) ?? null;
  const evidence = [
    { field: `capacity.${resource}`, value: capacity },
    { field: `allocatable.${resource}`, value: allocatable },
  ];
  const marked = `${count} of ${capacity} ${resource} ${count === 1 ? 'is' : 'are'} marked unhealthy by the device plugin`;
  if (xids && xids.length > 0)
    return allocatableFinding('cluster.devices-unhealthy', {
      what: `${marked}, as it does after an Xid: ${describeXids(xids)}.`,
      evidence: [...evidence, ...xids.slice(0, 4).map(xidEvidence)],
      verdict: worstVerdict(['warning', ...xids.map(({ verdict }) => verdict)]),
      action: strongestAction(xids.map(({ action }) => action)),
    });
  return allocatableFinding('cluster.devices-unhealthy', {
    what:
      xids === null
        ? `${marked}; whether an Xid explains it is not known.`
        : `${marked}, and the kernel log shows no Xid for it: the plugin keeps a mark until it starts again.`,
    evidence,
    ...(xids === null ? { action: 'monitor' as const } : {}),
    confidence: xids === null ? 'low' : 'medium',
  });
}

const xidEvidence = ({ xid, gpu, lastAt }: AgentXid) => ({
  field: gpu === null ? 'kernelLog.xid' : `kernelLog.xid of GPU ${gpu}`,
  value: xid,
  ...(lastAt === null ? {} : { at: lastAt }),
});

function describeXids(xids: readonly AgentXid[]): string {
  const told = [...new Set(xids.map(({ xid, gpu }) => `${xid}${gpu === null ? '' : ` on GPU ${gpu}`}`))];
  return `Xid ${told.slice(0, 4).join(', ')}${told.length > 4 ? ` and ${told.length - 4} more` : ''}`;
}

/** Resources of NVIDIA only: what other plugins offer of a GPU is not known here. */
function againstHardware(
  row: ResourceRow,
  { plugin, agentInventory, node }: AllocatableFacts,
): readonly Finding[] {
  const { resource, capacity, expected } = row;
  if (capacity === null || expected === null || capacity === expected) return [];
  const evidence = [
    { field: `expected.${resource}`, value: expected },
    { field: `capacity.${resource}`, value: capacity },
    { field: 'usableGpuCount', value: agentInventory?.usableGpuCount ?? null },
  ];
  const hasDra = plugin?.operands.some(({ role }) => role === 'dra-driver') ?? false;
  // Only GPU feature discovery tells of replicas. Without its labels, several units for each GPU look like time-slicing.
  if (capacity > expected && expected > 0 && capacity % expected === 0 && !isDiscovered(node))
    return [
      allocatableFinding('cluster.gpus-shared', {
        what: `The kubelet counts ${capacity / expected} units of ${resource} for each GPU: as with sharing in time, which no label here tells.`,
        evidence,
        confidence: 'low',
      }),
    ];
  if (capacity > expected)
    return [
      allocatableFinding('cluster.capacity-above-hardware', {
        what: `The kubelet counts ${capacity} ${resource}, and the hardware that answers makes ${expected}: the count is from before, and pods can be given what is not there.`,
        evidence,
        confidence: 'medium',
      }),
    ];
  if (capacity > 0)
    return [
      allocatableFinding('cluster.capacity-below-hardware', {
        what: `The kubelet counts ${capacity} ${resource}, and the hardware that answers makes ${expected}: the device plugin has not looked since, or is told to leave some out.`,
        evidence,
        confidence: 'medium',
      }),
    ];
  // Without the plugin there is no capacity, and that is told above; with DRA there need be none.
  if (!isServing(plugin) || hasDra) return [];
  return [
    allocatableFinding('cluster.plugin-not-registered', {
      what: `The device plugin is ready and the kubelet knows no ${resource}: they have lost each other, as after a restart of the kubelet, or the plugin found no GPU.`,
      evidence,
      confidence: 'medium',
    }),
  ];
}

/** What makes the numbers differ without a fault, and what keeps pods away. */
export function placementFindings(facts: AllocatableFacts): readonly Finding[] {
  return [...cutFindings(facts), ...nodeFindings(facts)];
}

const isDiscovered = ({ labels }: AllocatableFacts['node']) =>
  ['nvidia.com/gpu.replicas', 'nvidia.com/gpu.count', 'nvidia.com/gpu.product'].some((key) =>
    Object.hasOwn(labels, key),
  );

function cutFindings({ node, resources, agentInventory, plugin }: AllocatableFacts): readonly Finding[] {
  const findings: Finding[] = [];
  const { labels } = node;
  const offered = resources.filter(({ capacity }) => (capacity ?? 0) > 0);
  const shared = offered.filter(({ kind }) => kind === 'shared');
  const [first] = shared;
  if (first)
    findings.push(
      allocatableFinding('cluster.gpus-shared', {
        what: `GPUs are shared: a unit of ${first.resource} is a share in time, not a GPU, without memory of its own.`,
        evidence: shared.slice(0, 4).map(({ resource }) => ({
          field: `replicas of ${resource}`,
          value: replicasOf(labels, resource),
        })),
      }),
    );
  const slices = offered.filter(
    ({ kind, resource }) => kind === 'mig' || resource.startsWith('nvidia.com/mig-'),
  );
  if (slices.length > 0)
    findings.push(
      allocatableFinding('cluster.mig-slices', {
        what: `GPUs are cut by MIG: ${slices
          .slice(0, 4)
          .map(({ resource, capacity }) => `${capacity} ${resource}`)
          .join(', ')} ${slices.length > 4 ? 'and more ' : ''}are offered in place of whole GPUs.`,
        evidence: [{ field: 'node.labels.nvidia.com/mig.strategy', value: migStrategyOf(labels) }],
      }),
    );
  const { migGpuCount = null, migDevices = null } = agentInventory ?? {};
  const migDeviceCount = migDevices && Object.values(migDevices).reduce((sum, count) => sum + count, 0);
  if ((migGpuCount ?? 0) > 0 && migDeviceCount === 0)
    findings.push(
      allocatableFinding('cluster.mig-without-instances', {
        what: `MIG is enabled on ${gpus(migGpuCount ?? 0)} and no MIG device was made: nothing of them can be given out.`,
        evidence: [
          { field: 'migGpuCount', value: migGpuCount },
          { field: 'migDeviceCount', value: 0 },
        ],
      }),
    );
  const product = Object.hasOwn(labels, 'nvidia.com/gpu.product')
    ? labels['nvidia.com/gpu.product']
    : undefined;
  if (product?.endsWith('-MIG-INVALID'))
    findings.push(
      allocatableFinding('cluster.mig-layout-invalid', {
        what: 'The GPUs are not cut alike, which the MIG strategy of the device plugin demands: it offers none of them.',
        evidence: [{ field: 'node.labels.nvidia.com/gpu.product', value: product }],
      }),
    );
  if (isForVirtualMachines(node))
    findings.push(
      allocatableFinding('cluster.gpus-for-virtual-machines', {
        what: 'The GPUs of this node are kept for virtual machines: containers are offered none.',
        evidence: [
          {
            field: 'node.labels.nvidia.com/gpu.workload.config',
            value: labels['nvidia.com/gpu.workload.config'] ?? null,
          },
        ],
      }),
    );
  if (plugin?.migConfigState)
    findings.push(
      allocatableFinding('cluster.mig-config-not-applied', {
        what: 'The MIG manager has not finished applying its configuration.',
        evidence: [{ field: 'node.labels.nvidia.com/mig.config.state', value: plugin.migConfigState }],
      }),
    );
  return findings;
}

const cordonTaint = 'node.kubernetes.io/unschedulable';

function nodeFindings({ node }: AllocatableFacts): readonly Finding[] {
  const findings: Finding[] = [];
  const ready = node.conditions.find(({ type }) => type === 'Ready');
  if (ready && ready.status !== 'True')
    findings.push(
      allocatableFinding('cluster.node-not-ready', {
        what:
          ready.status === 'Unknown'
            ? 'The node is not ready: its kubelet does not answer, and what it told of its devices may be old.'
            : 'The node is not ready: its kubelet says so itself.',
        evidence: [
          {
            field: 'node.conditions.Ready',
            value: ready.status,
            ...(ready.lastTransitionAt === null ? {} : { at: ready.lastTransitionAt }),
          },
        ],
      }),
    );
  if (node.isUnschedulable)
    findings.push(
      allocatableFinding('cluster.cordoned', {
        what: 'The node is cordoned: it keeps its pods and gets no new ones.',
        evidence: [{ field: 'node.isUnschedulable', value: true }],
      }),
    );
  const keeping = node.taints.filter(
    ({ key, effect }) => key !== cordonTaint && (effect === 'NoSchedule' || effect === 'NoExecute'),
  );
  if (keeping.length > 0)
    findings.push(
      allocatableFinding('cluster.tainted', {
        what: `The node has ${keeping.length} taint${keeping.length === 1 ? '' : 's'} that keep${keeping.length === 1 ? 's' : ''} away pods without a toleration.`,
        evidence: keeping
          .slice(0, 4)
          .map(({ key, effect }) => ({ field: `node.taints.${key}`, value: effect })),
      }),
    );
  return findings;
}
