import {
  type Gap,
  GpuError,
  type GpuProvider,
  makeSample,
  type NodeDescription,
  type ProviderManifest,
} from '@k8s-gpu-mcp/core';
import { unreachableDetail } from '../nvidia-smi/failure.ts';
import type { DriverFailure } from '../recordings.ts';
import { recordedSections } from './merge-run.ts';
import type { RecordedGpu, RecordedNode } from './recorded-gpus.ts';

/** What says where a GPU is, and nothing of how it is. */
const placing: ReadonlySet<string> = new Set(['identity', 'topology']);

/** Files that show no readings, and no failure to get any, answer for nothing else: nobody asked a GPU how it is. */
function manifestOf({ gpus }: RecordedNode, failures: readonly DriverFailure[]): ProviderManifest {
  const told = new Set(gpus.flatMap(({ newest }) => Object.keys(newest.readings)));
  const isAsked =
    failures.length > 0 ||
    gpus.some(({ newest }) => newest.state !== undefined) ||
    [...told].some((section) => !placing.has(section));
  return {
    contractVersion: 1,
    backend: 'replay',
    vendor: 'nvidia',
    simulated: false,
    sections: isAsked ? recordedSections : recordedSections.filter((section) => told.has(section)),
    mig: true,
  };
}

const failureErrors = {
  'version-mismatch': [
    'DRIVER_MISMATCH',
    'nvidia-smi says that the kernel module and the user-space library differ',
  ],
  'no-driver': ['DRIVER_NOT_LOADED', 'nvidia-smi could not reach the driver'],
  'no-permission': ['NO_PERMISSION', 'nvidia-smi was not allowed to ask the driver'],
  'no-devices': ['UNAVAILABLE', 'nvidia-smi found no devices'],
  unknown: ['UNAVAILABLE', 'nvidia-smi failed and does not say why'],
} as const satisfies Record<DriverFailure['kind'], readonly [GpuError['code'], string]>;

const hint = 'Add a capture of this machine: nvidia-smi -q -x > FILE.';

/** The newest capture of each GPU behind the port that live adapters have. */
export function createReplayProvider(node: RecordedNode, failures: readonly DriverFailure[]): GpuProvider {
  const manifest = manifestOf(node, failures);
  const isClaimed = ({ field }: Pick<Gap, 'field'>) =>
    manifest.sections.some((section) => field === section || field.startsWith(`${section}.`));
  return {
    manifest,
    async describeNode(signal) {
      refuseAborted(signal);
      const failure = failures.at(-1);
      if (node.gpus.length === 0 && failure && failure.kind !== 'no-devices') throw failureError(failure);
      if (node.gpus.length === 0 && !failure) {
        throw new GpuError('UNAVAILABLE', 'the files hold no output of nvidia-smi', { hint });
      }
      return structuredClone(describe(node, failure));
    },
    async readGpu(gpu, sections, signal) {
      refuseAborted(signal);
      const found = node.gpus.find(({ ref }) => ref.index === gpu.index);
      if (!found) {
        throw new GpuError('GPU_NOT_FOUND', `the files hold no GPU ${gpu.index}`, {
          gpuId: String(gpu.index),
        });
      }
      const error = stateError(found);
      if (error) throw error;
      const { readings, gaps, citations } = found.newest;
      const asked = new Set<string>(sections);
      const cited = Object.entries(citations).filter(([field]) => asked.has(field.split('.', 1)[0] ?? ''));
      const sample = makeSample(found.ref, sections, readings, gaps.filter(isClaimed));
      return structuredClone(cited.length > 0 ? { ...sample, citations: Object.fromEntries(cited) } : sample);
    },
    async close() {},
  };
}

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off');
}

function failureError({ kind, citation }: DriverFailure): GpuError {
  const [code, what] = failureErrors[kind];
  return new GpuError(code, `${what} (${citation.file}, line ${citation.line})`);
}

function stateError({ ref, newest, isMissing }: RecordedGpu): GpuError | undefined {
  const gpuId = String(ref.index);
  const { state, stateDetail = '' } = newest;
  const isGone = stateDetail === unreachableDetail.unopened;
  if (state === 'lost') return new GpuError('GPU_LOST', stateDetail, { gpuId });
  if (state === 'reset-required') return new GpuError('RESET_REQUIRED', stateDetail, { gpuId });
  // The driver counts it and cannot open it, or no longer counts it: that is a fault, and not that it may not be read.
  if (state === 'unreadable' && isGone) return new GpuError('GPU_NOT_FOUND', stateDetail, { gpuId });
  if (state === 'unreadable') return new GpuError('UNAVAILABLE', stateDetail, { gpuId });
  if (!isMissing) return undefined;
  return new GpuError('GPU_NOT_FOUND', 'the newest capture no longer lists this GPU', { gpuId });
}

function describe(
  { gpus, driverVersion, computeApiVersion, unshownCount }: RecordedNode,
  failure: DriverFailure | undefined,
): NodeDescription {
  const facts = {
    driverVersion,
    libraryVersion: null,
    computeApiVersion,
    driverBranch: null,
    confidentialComputingEnabled: null,
  };
  const gap = (field: string, gpu?: number): Gap => ({
    ...(gpu === undefined ? {} : { gpu }),
    field,
    reason: 'not-observable',
    detail: 'not in the file',
  });
  const refs = gpus.map(({ ref }) => ref);
  const more = unshownCount === 1 ? '1 more GPU than' : `${unshownCount} more GPUs than`;
  return {
    ...facts,
    gpus: refs,
    gaps: [
      // Read by the rules on the node: nothing that the files show is then the whole of it.
      ...(refs.length === 0 && failure?.kind === 'no-devices'
        ? [{ field: 'gpus', reason: 'error', detail: failureErrors['no-devices'][1] } as const]
        : []),
      ...(unshownCount > 0 ? [{ ...gap('gpus'), detail: `nvidia-smi counts ${more} the files show` }] : []),
      ...gpus.flatMap(({ ref, isCut }) =>
        isCut ? [{ ...gap('gpus', ref.index), detail: 'the output ends in the middle of this GPU' }] : [],
      ),
      ...Object.entries(facts).flatMap(([field, value]) => (value === null ? [gap(field)] : [])),
      ...refs.flatMap(({ index, uuid, pciAddress, name }) =>
        Object.entries({ uuid, pciAddress, name }).flatMap(([field, value]) =>
          value === null ? [gap(field, index)] : [],
        ),
      ),
    ],
  };
}
