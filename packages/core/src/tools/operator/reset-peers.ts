import type { GpuReading } from '../../domain/gpu.ts';
import { pciDeviceKey } from '../../domain/pci-address.ts';

export interface ResetPeers {
  /** GPUs other than the one asked for that must be reset in the same go, in index order. Null when that could not be told. */
  readonly peers: readonly GpuReading[] | null;
  readonly reason: string;
}

/** Families whose NVLink is not reset link by link. Source: NVIDIA's NVML architecture list; NVLink came with Pascal. */
const preAmpere = ['kepler', 'maxwell', 'pascal', 'volta', 'turing'];

/**
 * Which NVLink peers must go along. Before Ampere: all that are connected. Ampere with NVSwitch: all on the switches, unless Fabric
 * Manager runs and can take one GPU out. Ampere without switches, and Hopper and newer: none. Source: the manual page of nvidia-smi,
 * `--gpu-reset`.
 */
export function resetPeers(
  target: GpuReading,
  readings: readonly GpuReading[],
  fabricManagerRuns: boolean | null,
): ResetPeers {
  const others = readings.filter(({ gpu }) => gpu.index !== target.gpu.index);
  if (others.length === 0) return { peers: [], reason: 'It is the only GPU of this node.' };
  // A GPU that needs a reset often does not tell; a node's GPUs are of one family.
  const architecture = target.identity?.architecture ?? sharedArchitecture(others);
  if (architecture === null)
    return { peers: null, reason: 'Which family the GPU belongs to could not be read.' };
  const isPreAmpere = preAmpere.includes(architecture);
  if (!isPreAmpere && architecture !== 'ampere')
    return { peers: [], reason: `GPUs of the ${architecture} family are reset one by one.` };
  const linked = connected(target, readings);
  if (linked === null) return { peers: null, reason: 'The NVLinks of the GPU could not be read.' };
  if (isPreAmpere) {
    return linked.length > 0
      ? { peers: linked, reason: 'GPUs before Ampere are reset together with all that NVLink connects.' }
      : { peers: [], reason: 'No NVLink connects it to another GPU.' };
  }
  const onSwitch = linked.filter(hasSwitchLink);
  if (onSwitch.length === 0) return { peers: [], reason: 'No NVSwitch connects it to another GPU.' };
  if (fabricManagerRuns)
    return { peers: [], reason: 'Fabric Manager runs and takes this GPU out by itself.' };
  if (fabricManagerRuns === null)
    return { peers: null, reason: 'Whether Fabric Manager runs could not be told.' };
  return {
    peers: onSwitch,
    reason: 'Fabric Manager does not run, so all GPUs on the NVSwitches go together.',
  };
}

function sharedArchitecture(readings: readonly GpuReading[]): string | null {
  const known = new Set(readings.flatMap(({ identity }) => identity?.architecture ?? []));
  const [only] = known;
  return known.size === 1 && only !== undefined ? only : null;
}

const hasSwitchLink = ({ nvlink }: GpuReading) =>
  nvlink?.links?.some((link) => link.remoteDeviceType === 'switch') === true;

/** Everything reachable over NVLink; a link is known from either end, and all switches of a node are one fabric. */
function connected(target: GpuReading, readings: readonly GpuReading[]): readonly GpuReading[] | null {
  const reached = new Set([target]);
  const queue = [target];
  const onSwitch = readings.filter(hasSwitchLink);
  // A GPU without readable links is on the switches if all the others are.
  const assumed = !target.nvlink?.links && onSwitch.length > 0 && onSwitch.length === readings.length - 1;
  for (let reading = queue.shift(); reading; reading = queue.shift()) {
    const here = reading;
    const viaSwitch = hasSwitchLink(here) || (here === target && assumed) ? onSwitch : [];
    const viaLink = readings.filter((other) => linksTo(here, other) || linksTo(other, here));
    for (const next of [...viaSwitch, ...viaLink]) {
      if (reached.has(next)) continue;
      reached.add(next);
      queue.push(next);
    }
  }
  reached.delete(target);
  const told = target.nvlink?.links || reached.size > 0;
  return told ? readings.filter((reading) => reached.has(reading)) : null;
}

function linksTo({ nvlink }: GpuReading, { gpu }: GpuReading): boolean {
  const key = pciDeviceKey(gpu.pciAddress);
  if (key === undefined) return false;
  return nvlink?.links?.some((link) => pciDeviceKey(link.remotePciAddress) === key) === true;
}
