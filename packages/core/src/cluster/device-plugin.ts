import type { ClusterNode, ClusterPod } from '../domain/cluster.ts';

/** Parts of the software that makes GPUs usable on a node and runs as pods. */
export type OperandRole =
  | 'device-plugin'
  | 'dra-driver'
  | 'driver'
  | 'toolkit'
  | 'validator'
  | 'feature-discovery'
  | 'mig-manager';

/** Sources: charts and manifests of the NVIDIA device plugin, GPU operator and DRA driver, the AMD device plugin, and GKE. */
const roles: readonly { readonly role: OperandRole; readonly names: RegExp }[] = [
  { role: 'dra-driver', names: /dra-driver/ },
  { role: 'validator', names: /operator-validator/ },
  { role: 'device-plugin', names: /(?:nvidia|gpu|amd|amdgpu|intel)[a-z-]{0,40}device-plugin/ },
  { role: 'feature-discovery', names: /gpu-feature-discovery/ },
  { role: 'toolkit', names: /nvidia-container-toolkit/ },
  { role: 'mig-manager', names: /nvidia-mig-manager/ },
  { role: 'driver', names: /nvidia-driver-daemonset|nvidia-gpu-driver|amdgpu-driver/ },
];

export interface OperandPod {
  readonly role: OperandRole;
  readonly namespace: string;
  readonly pod: string;
  readonly isReady: boolean;
  /** Word of the kubelet for what keeps it; null when it told none. */
  readonly reason: string | null;
  readonly restartCount: number;
  /** As its labels tell it; null when they do not. */
  readonly version: string | null;
  /** When its longest-running container started, ISO 8601; null while none runs. */
  readonly startedAt: string | null;
}

export interface DevicePluginFacts {
  /** On the node, of roles in the order above. */
  readonly operands: readonly OperandPod[];
  /** Of the operator: `paused-for-driver-upgrade`, `false`; null when no label holds the plugin back. */
  readonly heldBackBy: string | null;
  /** `pending`, `rebooting`, `failed`; null when no label tells, or it is done. */
  readonly migConfigState: string | null;
  readonly driverUpgradeState: string | null;
}

/** What runs on the node to serve its GPUs, by the names of the DaemonSets that own the pods. Pure. */
export function devicePluginFacts(node: ClusterNode, pods: readonly ClusterPod[]): DevicePluginFacts {
  const operands = pods.flatMap((pod) => operandOf(pod) ?? []);
  const label = (key: string) => (Object.hasOwn(node.labels, key) ? (node.labels[key] ?? null) : null);
  const deploy = label('nvidia.com/gpu.deploy.device-plugin');
  const all = label('nvidia.com/gpu.deploy.operands');
  const migState = label('nvidia.com/mig.config.state');
  const upgrade = label('nvidia.com/gpu-driver-upgrade-state');
  return {
    operands: operands.sort((a, b) => order(a.role) - order(b.role) || (a.pod < b.pod ? -1 : 1)),
    heldBackBy: deploy !== null && deploy !== 'true' ? deploy : all === 'false' ? all : null,
    migConfigState: migState === 'success' ? null : migState,
    driverUpgradeState: upgrade === 'upgrade-done' ? null : upgrade,
  };
}

const order = (role: OperandRole) => roles.findIndex((row) => row.role === role);

function operandOf(pod: ClusterPod): OperandPod | undefined {
  // A job of somebody called `device-plugin-test` is no device plugin.
  const set = pod.ownerReferences.find(({ kind }) => kind === 'DaemonSet');
  const isStatic = pod.staticPodUid !== null;
  if (!set && !isStatic) return undefined;
  const name = (set?.name ?? pod.name).slice(0, 253);
  const row = roles.find(({ names }) => names.test(name));
  if (!row) return undefined;
  const lasting = pod.containers.filter(({ kind }) => kind === 'main' || kind === 'sidecar');
  const isReady = pod.phase === 'Running' && lasting.length > 0 && lasting.every((each) => each.isReady);
  const waiting = pod.containers.map(({ state }) => (state?.kind === 'waiting' ? state.reason : null));
  const starts = lasting.flatMap(({ state }) => (state?.kind === 'running' ? (state.startedAt ?? []) : []));
  return {
    role: row.role,
    namespace: pod.namespace,
    pod: pod.name,
    isReady,
    reason: isReady ? null : (waiting.find((reason) => reason !== null) ?? pod.reason),
    restartCount: pod.containers.reduce((sum, each) => sum + each.restartCount, 0),
    version: versionOf(pod.labels),
    startedAt: starts.sort()[0] ?? null,
  };
}

/** Labels that charts put on pods: a version, or name and version of the chart. */
function versionOf(labels: ClusterPod['labels']): string | null {
  for (const key of ['app.kubernetes.io/version', 'helm.sh/chart']) {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (value) return value;
  }
  return null;
}
