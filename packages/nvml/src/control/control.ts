import { dirname, join } from 'node:path';
import {
  type GpuControl,
  GpuError,
  type GpuRef,
  isGpuError,
  type ResetOutcome,
  type ResetReadiness,
  type ResetRequirement,
} from '@k8s-gpu-mcp/core';
import { findHolders } from './holders.ts';
import { privileges } from './requirements.ts';
import { runReset } from './run-reset.ts';
import { isTrustedDirectory, trustedProgram } from './trusted-file.ts';

/** Where drivers and their containers put the vendor's tool. Never looked for on PATH. */
export const nvidiaSmiCandidates: readonly string[] = [
  '/usr/bin/nvidia-smi',
  '/usr/local/nvidia/bin/nvidia-smi',
  '/run/nvidia/driver/usr/bin/nvidia-smi',
  '/home/kubernetes/bin/nvidia/bin/nvidia-smi',
];

export interface NvmlControlOptions {
  /**
   * What of this process may hold the driver open, which would block the reset: the provider and the event source. Each lets go, and stays
   * away until the function it resolves with is called.
   */
  readonly clients: readonly { suspend(): Promise<() => void> }[];
  /** Absolute paths, tried in order. Default `nvidiaSmiCandidates`. */
  readonly smiCandidates?: readonly string[];
  /** Default 120,000. */
  readonly resetDeadlineMilliseconds?: number;
  /** Default 10,000. */
  readonly closeDeadlineMilliseconds?: number;
  /** Default `/proc`, `/sys` and `/run`. */
  readonly procRoot?: string;
  readonly sysRoot?: string;
  readonly runRoot?: string;
}

/** Resets NVIDIA GPUs through the driver's own `nvidia-smi --gpu-reset`: NVML itself offers no such function. */
export function createNvmlControl(options: NvmlControlOptions): GpuControl {
  return new NvmlControl(options);
}

class NvmlControl implements GpuControl {
  readonly #options: NvmlControlOptions;
  readonly #roots: { readonly procRoot: string; readonly sysRoot: string; readonly runRoot: string };
  #resetting = false;

  constructor(options: NvmlControlOptions) {
    this.#options = options;
    const { procRoot = '/proc', sysRoot = '/sys', runRoot = '/run' } = options;
    this.#roots = { procRoot, sysRoot, runRoot };
  }

  async checkReset(gpus: readonly GpuRef[], signal: AbortSignal): Promise<ResetReadiness> {
    try {
      signal.throwIfAborted();
      const { procRoot } = this.#roots;
      const [tool, others, { holders, blindSpot }] = await Promise.all([
        this.#findTool(),
        privileges(this.#roots),
        findHolders({ procRoot, gpus }, signal),
      ]);
      const sight: ResetRequirement = {
        name: 'sight of every process',
        met: blindSpot === undefined ? true : null,
        detail: blindSpot ?? 'the open files of every process were read',
      };
      return { requirements: [tool.requirement, ...others, sight], holders };
    } catch (error) {
      if (isGpuError(error)) throw error;
      if (signal.aborted) throw new GpuError('TIMEOUT', 'checking for a reset was cut off', { cause: error });
      throw new GpuError('UNAVAILABLE', 'what a reset needs could not be checked', { cause: error });
    }
  }

  async reset(gpus: readonly GpuRef[]): Promise<ResetOutcome> {
    const names = gpus.map(nameForTool);
    if (names.length === 0) throw new GpuError('INVALID_INPUT', 'no GPU to reset');
    if (this.#resetting) throw new GpuError('UNAVAILABLE', 'another reset is under way');
    this.#resetting = true;
    try {
      const { path, requirement } = await this.#findTool();
      if (path === undefined) throw new GpuError('UNAVAILABLE', requirement.detail);
      const missing = (await privileges(this.#roots)).find(({ met }) => met === false);
      if (missing) throw new GpuError('NO_PERMISSION', `${missing.name} is missing: ${missing.detail}`);
      const libraryPath = await libraryPathOf(path);
      const comeBack = await this.#letGo();
      try {
        const { resetDeadlineMilliseconds: deadlineMilliseconds = 120_000 } = this.#options;
        return await runReset({ program: path, libraryPath, gpus: names, deadlineMilliseconds });
      } finally {
        comeBack();
      }
    } finally {
      this.#resetting = false;
    }
  }

  async #findTool(): Promise<{ readonly path?: string; readonly requirement: ResetRequirement }> {
    const name = 'nvidia-smi';
    const refusals: string[] = [];
    for (const candidate of this.#options.smiCandidates ?? nvidiaSmiCandidates) {
      if (!candidate.startsWith('/')) {
        refusals.push(`${candidate} is not an absolute path`);
        continue;
      }
      const trust = await trustedProgram(candidate);
      if ('path' in trust)
        return {
          path: trust.path,
          requirement: { name, met: true, detail: `${trust.path}, changeable by root only` },
        };
      refusals.push(trust.refusal);
    }
    return { requirement: { name, met: false, detail: `no trusted nvidia-smi: ${refusals.join('; ')}` } };
  }

  /** All of them or none: a client that comes late is told to come back at once. */
  async #letGo(): Promise<() => void> {
    const { clients, closeDeadlineMilliseconds = 10_000 } = this.#options;
    const leaving = clients.map((client) => client.suspend());
    const comeBack = () => {
      for (const left of leaving)
        left.then(
          (resume) => resume(),
          () => {},
        );
    };
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      const late = () => reject(new Error(`still open after ${closeDeadlineMilliseconds} ms`));
      timer = setTimeout(late, closeDeadlineMilliseconds);
    });
    try {
      await Promise.race([Promise.all(leaving), limit]);
      return comeBack;
    } catch (error) {
      comeBack();
      throw new GpuError(
        'UNAVAILABLE',
        'the server could not let go of the GPU itself, so nothing was reset',
        {
          cause: error,
        },
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

const pciAddress = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;
const uuid = /^GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The address names the slot, and is known even of a GPU that no longer tells its UUID. Nothing else reaches the command line. */
function nameForTool(gpu: GpuRef): string {
  if (gpu.pciAddress !== null && pciAddress.test(gpu.pciAddress)) return gpu.pciAddress;
  if (gpu.uuid !== null && uuid.test(gpu.uuid)) return gpu.uuid;
  throw new GpuError('NOT_SUPPORTED', `GPU ${gpu.index} has neither a PCI address nor a UUID to name it by`, {
    gpuId: String(gpu.index),
  });
}

/** Beside `bin` in a driver root of its own; the loader knows the system's directories. */
async function libraryPathOf(program: string): Promise<string | undefined> {
  if (dirname(program) === '/usr/bin') return undefined;
  const root = dirname(dirname(program));
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const directories = [join(root, 'lib64'), join(root, 'lib', `${arch}-linux-gnu`)];
  const trusted = await Promise.all(directories.map(isTrustedDirectory));
  const usable = directories.filter((_, index) => trusted[index]);
  return usable.length > 0 ? usable.join(':') : undefined;
}
