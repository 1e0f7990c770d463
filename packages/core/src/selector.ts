import type { GpuReading, GpuRef } from './domain/gpu.ts';
import { pciDeviceKey } from './domain/pci-address.ts';
import { GpuError } from './errors.ts';
import type { GpuReader } from './gpu-reader.ts';

/** What a caller may write for `gpu`: an index, a UUID or a unique prefix of one, a PCI address in any spelling, or a MIG UUID. */
export type GpuSelector =
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'pci'; readonly key: string }
  | { readonly kind: 'uuid'; readonly prefix: string }
  | { readonly kind: 'mig'; readonly uuid: string };

const minimumPrefixLength = 4;
const uuidPrefix = /^(?:gpu-)?[0-9a-f][0-9a-f-]{3,35}$/;
const migUuid = /^mig-(?:[0-9a-f-]{36}|gpu-[0-9a-f-]{36}\/\d{1,2}\/\d{1,2})$/;

const listHint = 'get_gpu_inventory lists the GPUs of this node.';

/** @throws GpuError INVALID_INPUT when the text is none of the spellings. */
export function parseGpuSelector(selector: string | number): GpuSelector {
  const text = String(selector).trim().toLowerCase();
  if (/^\d{1,4}$/.test(text)) return { kind: 'index', index: Number(text) };
  const key = pciDeviceKey(text);
  if (key !== undefined) return { kind: 'pci', key };
  if (migUuid.test(text)) return { kind: 'mig', uuid: text };
  if (uuidPrefix.test(text)) return { kind: 'uuid', prefix: text.replace(/^gpu-/, '') };
  throw new GpuError(
    'INVALID_INPUT',
    `gpu = ${JSON.stringify(selector).slice(0, 80)} is not an index (0), a UUID or at least ${minimumPrefixLength} of its characters (GPU-1a2b), a PCI address (0000:3b:00.0) or a MIG UUID (MIG-...).`,
    { hint: listHint },
  );
}

/** The GPU that a selector names, among those of this node. A MIG UUID names the GPU that holds the instance. */
export async function resolveGpu(
  selector: string | number,
  gpus: readonly GpuRef[],
  reader: GpuReader,
  signal: AbortSignal,
): Promise<GpuRef> {
  const parsed = parseGpuSelector(selector);
  const { matches, unidentified } =
    parsed.kind === 'mig'
      ? await holdersOf(parsed.uuid, gpus, reader, signal)
      : { matches: gpus.filter(matcher(parsed)), unidentified: gpus.filter(lacks(parsed)) };
  const [match, second] = matches;
  if (match && !second) return match;
  const asked = `gpu = ${JSON.stringify(selector)}`;
  if (second) {
    throw new GpuError(
      'INVALID_INPUT',
      `${asked} matches GPUs ${listIndices(matches)}: give more characters.`,
      { hint: listHint },
    );
  }
  const where = `this node has ${describeRange(gpus)}`;
  const message =
    unidentified.length > 0
      ? `${asked} matches none of the GPUs that could be identified, but GPU ${listIndices(unidentified)} could not be; ${where}.`
      : `${asked} is not on this node; ${where}.`;
  throw new GpuError('GPU_NOT_FOUND', message, { gpuId: String(selector) });
}

function matcher(selector: Exclude<GpuSelector, { kind: 'mig' }>): (gpu: GpuRef) => boolean {
  switch (selector.kind) {
    case 'index':
      return (gpu) => gpu.index === selector.index;
    case 'pci':
      return (gpu) => pciDeviceKey(gpu.pciAddress) === selector.key;
    case 'uuid':
      return (gpu) => gpu.uuid?.toLowerCase().replace(/^gpu-/, '').startsWith(selector.prefix) === true;
  }
}

/** A GPU without what the selector names might be the one that is meant. */
function lacks(selector: Exclude<GpuSelector, { kind: 'mig' }>): (gpu: GpuRef) => boolean {
  switch (selector.kind) {
    case 'index':
      return () => false;
    case 'pci':
      return (gpu) => gpu.pciAddress === null;
    case 'uuid':
      return (gpu) => gpu.uuid === null;
  }
}

async function holdersOf(
  uuid: string,
  gpus: readonly GpuRef[],
  reader: GpuReader,
  signal: AbortSignal,
): Promise<{ matches: GpuRef[]; unidentified: GpuRef[] }> {
  const readings = await reader.readGpus(gpus, ['mig'], signal);
  const holds = (reading: GpuReading) =>
    reading.mig?.devices?.some((device) => device.uuid?.toLowerCase() === uuid) === true;
  return {
    matches: readings.filter(holds).map(({ gpu }) => gpu),
    unidentified: readings.filter(({ state }) => state !== 'ok').map(({ gpu }) => gpu),
  };
}

const listIndices = (gpus: readonly GpuRef[]) => gpus.map((gpu) => gpu.index).join(', ');

function describeRange(gpus: readonly GpuRef[]): string {
  if (gpus.length === 0) return 'no GPUs';
  return gpus.length === 1 ? 'one GPU, index 0' : `GPUs 0 to ${gpus.length - 1}`;
}
