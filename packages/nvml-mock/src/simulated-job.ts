import { hexNoise, unitNoise } from './noise.ts';
import type { SimulatedGpu, SimulatedNode } from './simulated-node.ts';

/** A process that holds a GPU, or the launcher that started them. */
export interface SimulatedProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  readonly command: string;
  /** Seconds since boot. */
  readonly startedUptimeSeconds: number;
  /** `D` when it sleeps in a driver that does not come back. */
  readonly state: 'R' | 'S' | 'D';
  readonly containerId: string;
  readonly podUid: string;
  /** Absent for the launcher, which holds none. */
  readonly gpuIndex?: number;
  readonly gpuInstanceId: number | null;
}

const jobAgeSeconds = 6 * 3600;

/**
 * The training job of a node: a launcher and one process for each GPU at work, in one pod. Each instance of a divided GPU that has
 * something in its memory belongs to a pod of its own.
 */
export function processesOn(node: SimulatedNode): readonly SimulatedProcess[] {
  const { seed } = node;
  const firstPid = 20_000 + Math.floor(unitNoise(seed, 'pid') * 60_000);
  const startedUptimeSeconds = (node.startedAt - node.bootedAt) / 1000 - jobAgeSeconds;
  const job = podOf(seed, 'job');
  const launcher: SimulatedProcess = {
    pid: firstPid,
    parentPid: 1,
    name: 'torchrun',
    command: `/usr/bin/python3 /usr/local/bin/torchrun --nproc-per-node ${node.gpus.length} train.py`,
    startedUptimeSeconds,
    state: 'S',
    ...job,
    gpuInstanceId: null,
  };
  const workers = node.gpus.flatMap((gpu): readonly SimulatedProcess[] => {
    const { index, condition } = gpu;
    const pid = condition.pid ?? firstPid + 1 + index;
    const started = { name: 'python3', startedUptimeSeconds: startedUptimeSeconds + 2 + index * 0.04 };
    if (condition.migDevices) {
      return gpu.migDevices.filter(isInUse).map((device, position) => ({
        ...started,
        pid: firstPid + 100 + index * 10 + position,
        parentPid: 1,
        command: '/usr/bin/python3 serve.py',
        state: 'S',
        ...podOf(seed, `instance ${index} ${position}`),
        gpuIndex: index,
        gpuInstanceId: device.gpuInstanceId,
      }));
    }
    if (condition.idle) return [];
    return [
      {
        ...started,
        pid,
        parentPid: firstPid,
        command: `/usr/bin/python3 -u train.py --local-rank ${index}`,
        state: condition.failure === 'hung' || condition.holderStuck ? 'D' : 'R',
        ...job,
        gpuIndex: index,
        gpuInstanceId: null,
      },
    ];
  });
  return [launcher, ...workers];
}

/** An instance without a process has a few MiB of the driver's own. */
const isInUse = ({ memoryUsedBytes }: SimulatedGpu['migDevices'][number]) =>
  (memoryUsedBytes ?? 0) > 100 * 1024 * 1024;

function podOf(seed: number, name: string) {
  return {
    containerId: hexNoise(64, seed, name, 'container'),
    // `5eed` and `fa4e` give it away, as in the UUIDs of GPUs.
    podUid: `5eed${hexNoise(4, seed, name, 'pod')}-fa4e-4000-8000-${hexNoise(12, seed, name, 'uid')}`,
  };
}
