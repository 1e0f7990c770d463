import type { Citation } from '@k8s-gpu-mcp/core';
import type { CapturedGpu, SmiCapture } from '../recording.ts';

/** One output that tells of GPUs: a run of nvidia-smi, or a list or matrix that completes one. */
export interface Capture extends Citation {
  readonly format: SmiCapture['format'] | 'topology';
  readonly at: string | null;
  readonly driverVersion: string | null;
  readonly computeApiVersion: string | null;
  readonly attachedGpuCount: number | null;
  readonly gpus: readonly CapturedGpu[];
  /** Position among all captures of the call. */
  readonly order: number;
}

/** Which output is believed first where several of one run tell the same leaf: the one with most digits. */
export const formatRank: Readonly<Record<Capture['format'], number>> = {
  'nvidia-smi -q -x': 0,
  'nvidia-smi -q': 1,
  'nvidia-smi': 2,
  'nvidia-smi -L': 3,
  topology: 4,
};

/** Lists and matrices tell no time and are no run of their own. */
export const isRun = ({ format }: Capture) => formatRank[format] < formatRank['nvidia-smi -L'];

/** Whether the index of a GPU is printed, not only its place in the list. */
export const printsIndex = ({ format, attachedGpuCount, gpus }: Capture) =>
  formatRank[format] >= formatRank['nvidia-smi'] || attachedGpuCount === gpus.length;

/** The UUID, unless the person who gave the file has masked it: then it names no GPU. */
export function tellingUuid(uuid: string | null): string | undefined {
  return uuid === null || /^[A-Za-z]{0,4}-?[0x*.-]*$/i.test(uuid) ? undefined : uuid.toLowerCase();
}
