import { formatPciAddress, type PciGpu, parsePciAddress } from '@k8s-gpu-mcp/core';

const header =
  /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ([A-Z0-9][^:[]{2,60}?)(?: \[([0-9a-f]{4})\])?: (.*)$/;
const ids = /\[([0-9a-f]{4}):([0-9a-f]{4})\]/g;
const classes: Readonly<Record<string, PciGpu['deviceClass']>> = {
  '0300': 'vga',
  '0302': '3d',
  'VGA compatible controller': 'vga',
  '3D controller': '3d',
};
/** GPUs of these vendors are reported: what a board's own display chip is does not matter here. */
const vendorNames: readonly (readonly [name: string, id: string])[] = [
  ['NVIDIA', '10de'],
  ['Advanced Micro Devices', '1002'],
];

/** The port has no word for a driver that is not known: without `-k` a GPU counts as held by the driver of its vendor. */
const usualDrivers: Readonly<Record<string, string>> = { '10de': 'nvidia', '1002': 'amdgpu' };

export interface LspciReading {
  readonly gpus: readonly PciGpu[];
  /** Devices of any class, so that a list without GPUs is told from no list. */
  readonly deviceCount: number;
  /** False for one GPU alone (`lspci -s`): of the others it says nothing. */
  readonly isWholeBus: boolean;
  /** Whether it says which kernel driver has a device (`-k`, `-v`). */
  readonly tellsDrivers: boolean;
}

/**
 * The GPUs in an output of `lspci`. Without `-nn` the vendor comes from its name and the device number is empty. `rev ff` and `Unknown header type
 * 7f` are what lspci prints for a device that answers every read with ones.
 */
export function parseLspci(lines: readonly string[], maximumGpus = 1024): LspciReading {
  const gpus = new Map<string, PciGpu>();
  let deviceCount = 0;
  let current: string | undefined;
  for (const line of lines) {
    const match = header.exec(line.slice(0, 500));
    if (match) {
      deviceCount += 1;
      const gpu = gpuOf(match);
      current = gpu?.pciAddress;
      if (gpu && (gpus.size < maximumGpus || gpus.has(gpu.pciAddress))) gpus.set(gpu.pciAddress, gpu);
      continue;
    }
    const known = current === undefined ? undefined : gpus.get(current);
    const told = known && detailOf(line);
    if (known && told) gpus.set(known.pciAddress, { ...known, ...told });
  }
  const tellsDrivers = lines.some((line) => /^\s{1,32}Kernel (?:driver in use|modules): /.test(line));
  const sorted = [...gpus.values()]
    .map((gpu) => (tellsDrivers ? gpu : { ...gpu, driver: usualDrivers[gpu.vendorId] ?? null }))
    .sort((a, b) => (a.pciAddress < b.pciAddress ? -1 : 1));
  return { gpus: sorted, deviceCount, isWholeBus: deviceCount > 1 || gpus.size === 0, tellsDrivers };
}

function gpuOf([, location = '', className = '', classId, rest = '']: RegExpExecArray): PciGpu | undefined {
  const deviceClass = classes[classId ?? className.trim()];
  const address = parsePciAddress(location);
  if (deviceClass === undefined || !address) return undefined;
  const [, vendorId, deviceId] = [...rest.matchAll(ids)].at(-1) ?? [];
  const vendor = vendorId ?? vendorNames.find(([name]) => rest.startsWith(name))?.[1];
  if (vendor === undefined) return undefined;
  return {
    pciAddress: formatPciAddress(address),
    vendorId: vendor,
    deviceId: deviceId ?? '',
    deviceClass,
    driver: null,
    respondsOnBus: !/\(rev ff\)/.test(rest),
    numaNode: null,
    currentSpeedGigatransfersPerSecond: null,
    maxSpeedGigatransfersPerSecond: null,
    currentLinkWidthLanes: null,
    maxLinkWidthLanes: null,
  };
}

function detailOf(line: string): Partial<PciGpu> | undefined {
  const text = line.trimStart().slice(0, 300);
  const driver = /^Kernel driver in use: ([\w-]{1,64})/.exec(text)?.[1];
  if (driver !== undefined) return { driver };
  if (text.startsWith('!!! Unknown header type')) return { respondsOnBus: false };
  const node = /^(?:[^,]{1,80}, )?.{0,80}NUMA node:? (\d{1,4})/.exec(text)?.[1];
  if (node !== undefined) return { numaNode: Number(node) };
  const link = /^Lnk(Cap|Sta):.{0,80}?Speed (\d{1,3}(?:\.\d)?)GT\/s.{0,40}?Width x(\d{1,2})/.exec(text);
  if (!link) return undefined;
  const [speed, width] = [Number(link[2]), Number(link[3])];
  return link[1] === 'Cap'
    ? { maxSpeedGigatransfersPerSecond: speed, maxLinkWidthLanes: width }
    : { currentSpeedGigatransfersPerSecond: speed, currentLinkWidthLanes: width };
}
