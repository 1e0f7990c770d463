import { accountOf, type GpuHolder, type HolderShare } from '../diagnosis/gpu-holders.ts';
import type { GpuReading } from '../domain/gpu.ts';
import type { Detail } from './answer.ts';
import { quarantine } from './untrusted-text.ts';

const maximumAccounted = 10;

/** Who has the memory of one GPU, and of its MIG instances. */
export function presentHolderGpu(reading: GpuReading, detail: Detail) {
  const { gpu, state, stateDetail, processes, mig } = reading;
  const account = accountOf(reading);
  const row = {
    index: gpu.index,
    ...(detail === 'full' ? { uuid: gpu.uuid } : {}),
    state,
    ...(stateDetail === undefined ? {} : { stateDetail }),
    processCount: account.processCount,
    memoryUsedBytes: account.usedBytes,
    attributedBytes: account.attributedBytes,
    unattributedBytes: account.unattributedBytes,
    ...(mig?.devices?.length
      ? {
          migDevices: mig.devices.map(({ uuid, gpuInstanceId, profile, memoryUsedBytes }) => ({
            uuid,
            gpuInstanceId,
            profile,
            memoryUsedBytes,
          })),
        }
      : {}),
  };
  if (detail === 'summary') return row;
  return {
    ...row,
    toleratedBytes: account.toleratedBytes,
    accountingEnabled: processes?.accountingEnabled ?? null,
    ...(processes?.accounted?.length ? { accounted: processes.accounted.slice(0, maximumAccounted) } : {}),
  };
}

/** What a process calls itself is its own choice: it stands only in its own fields, made harmless. */
export function presentHolder({ pid, kinds, shares, process }: GpuHolder, detail: Detail) {
  const isFull = detail === 'full';
  const gpus = shares.map((share) => presentShare(share, detail));
  if (!process) {
    return { pid, startedAt: null, user: null, name: null, command: null, kinds, gpus };
  }
  const { container, podUid, slurmJobId } = process;
  return {
    pid,
    startedAt: process.startedAt,
    user: process.userName === null ? uidOf(process.userId) : quarantine(process.userName, 32),
    name: quarantine(process.name, 32),
    command: process.command === null ? null : quarantine(process.command, isFull ? 512 : 96),
    ...(container ? { container: { id: quarantine(container.id, 64), runtime: container.runtime } } : {}),
    ...(podUid === null ? {} : { podUid: quarantine(podUid, 64) }),
    ...(slurmJobId === null ? {} : { slurmJobId: quarantine(slurmJobId, 32) }),
    ...(isFull || isAbnormal(process.state) ? { state: quarantine(process.state, 4) } : {}),
    ...(isFull ? { parentPid: process.parentPid, startTicks: process.startTicks } : {}),
    kinds,
    gpus,
  };
}

const uidOf = (userId: number | null) => (userId === null ? null : `uid ${userId}`);
const isAbnormal = (state: string) => state === 'Z' || state === 'D' || state === 'X';

function presentShare(share: HolderShare, detail: Detail) {
  const { gpu, gpuInstanceId, computeInstanceId, memoryUsedBytes, smPercent, ...rest } = share;
  return {
    index: gpu,
    ...(gpuInstanceId === null ? {} : { gpuInstanceId }),
    ...(computeInstanceId === null ? {} : { computeInstanceId }),
    memoryUsedBytes,
    smPercent,
    ...(detail === 'full' ? rest : {}),
  };
}
