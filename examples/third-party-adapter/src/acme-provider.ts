// A vendor adapter in about 60 lines, for the imaginary Acme driver: a folder per GPU, a file per reading, as many Linux drivers have.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GpuError, type GpuProvider, type GpuRef, makeSample } from '@k8s-gpu-mcp/core';

export function createAcmeProvider(root: string): GpuProvider {
  const read = async (gpu: string, file: string) => (await readFile(join(root, gpu, file), 'utf8')).trim();

  async function list(): Promise<GpuRef[]> {
    const folders = await readdir(root).catch((cause) => {
      throw new GpuError('DRIVER_NOT_LOADED', `${root} is not there`, {
        cause,
        hint: 'Load the acme kernel module.',
      });
    });
    return Promise.all(
      folders.sort().map(async (folder, index) => ({
        index,
        uuid: await read(folder, 'uuid'),
        pciAddress: folder,
        name: await read(folder, 'product'),
      })),
    );
  }

  return {
    manifest: {
      contractVersion: 1,
      backend: 'acme',
      vendor: 'acme',
      simulated: false,
      sections: ['identity', 'memory', 'thermal'],
      mig: false,
    },

    async describeNode(signal) {
      if (signal.aborted) throw new GpuError('TIMEOUT', 'cancelled before it began');
      const unsupported = (field: string) =>
        ({ field, reason: 'unsupported', detail: 'Acme has none' }) as const;
      return {
        driverVersion: '1.2.3',
        libraryVersion: null,
        computeApiVersion: null,
        driverBranch: null,
        confidentialComputingEnabled: null,
        gpus: await list(),
        gaps: [
          unsupported('libraryVersion'),
          unsupported('computeApiVersion'),
          unsupported('driverBranch'),
          unsupported('confidentialComputingEnabled'),
        ],
      };
    },

    async readGpu({ index }, sections, signal) {
      if (signal.aborted) throw new GpuError('TIMEOUT', 'cancelled before it began');
      const gpu = (await list())[index];
      if (!gpu?.pciAddress) throw new GpuError('GPU_NOT_FOUND', `there is no GPU ${index}`);
      const folder = gpu.pciAddress;
      const number = async (file: string) => Number(await read(folder, file));
      const [totalBytes, usedBytes, millidegrees] = await Promise.all(
        ['memory_total', 'memory_used', 'temperature'].map(number),
      ).catch((cause: NodeJS.ErrnoException) => {
        throw new GpuError(
          cause.code === 'ENODEV' ? 'GPU_LOST' : 'NO_PERMISSION',
          `GPU ${index}: ${cause.code}`,
          { cause },
        );
      });
      return makeSample(gpu, sections, {
        identity: { name: gpu.name, uuid: gpu.uuid },
        memory: { totalBytes: totalBytes ?? null, usedBytes: usedBytes ?? null },
        thermal: { temperatureCelsius: millidegrees === undefined ? null : millidegrees / 1000 },
      });
    },

    async close() {},
  };
}
