import { formatPciAddress, parsePciAddress } from '@k8s-gpu-mcp/core';
import type { SmiCapture } from '../recording.ts';
import type { SmiSource, UnreachableGpu } from './document.ts';

type FailureKind = NonNullable<SmiCapture['failure']>['kind'];

/**
 * What nvidia-smi prints instead of readings. Compared in lower case, the first that is contained in a line decides. Sources: the error
 * strings of NVML as `nvmlErrorString` documents them; NVIDIA/nvidia-docker#1671 and NVIDIA/dcgm-exporter#604 for how the tool prints them.
 */
const failures: readonly { readonly says: string; readonly kind: FailureKind }[] = [
  { says: 'driver/library version mismatch', kind: 'version-mismatch' },
  { says: "couldn't communicate with the nvidia driver", kind: 'no-driver' },
  { says: 'failed to initialize nvml: driver not loaded', kind: 'no-driver' },
  { says: "couldn't find libnvidia-ml", kind: 'no-driver' },
  { says: "couldn't find nvml.dll", kind: 'no-driver' },
  { says: 'no devices were found', kind: 'no-devices' },
  { says: 'failed to initialize nvml: insufficient permissions', kind: 'no-permission' },
  { says: 'failed to initialize nvml', kind: 'unknown' },
  { says: 'nvidia-smi has failed', kind: 'unknown' },
];

/** The failure that a line states, if it states one. */
export function failureKindOf(line: string): FailureKind | undefined {
  const lower = line.slice(0, 400).toLowerCase();
  return failures.find(({ says }) => lower.includes(says))?.kind;
}

const unreachableMark = 'unable to determine the device handle for';
/** `GPU 0000:0C:00.0: GPU is lost`, `GPU3: 0000:5F:00.0: Unknown Error`, `GPU0000:25:00.0: ...`, `GPU2: Unknown Error`, `gpu 0000:02:00.0: ...` */
const whichGpu = /^\s*gpu\s?(?:(\d{1,3}):\s)?\s?(?:([0-9a-f]{1,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]):)?/i;

/** A GPU that the tool cannot open: it says so in a line, prints the others and exits as if all were well. */
export function readUnreachable(text: string, line: number): UnreachableGpu | undefined {
  const lower = text.slice(0, 400).toLowerCase();
  const at = lower.indexOf(unreachableMark);
  if (at === -1) return undefined;
  const rest = lower.slice(at + unreachableMark.length);
  const [, index, address] = whichGpu.exec(rest) ?? [];
  const pci = address === undefined ? undefined : parsePciAddress(address);
  return {
    index: index === undefined ? null : Number(index),
    address: pci === undefined ? null : formatPciAddress(pci),
    state: rest.includes('lost')
      ? 'lost'
      : rest.includes('requires reset') || rest.includes('reset required')
        ? 'reset-required'
        : 'unreadable',
    ...(/unknown error|not found/.test(rest) ? { isUnopened: true } : {}),
    line,
  };
}

export const unreachableDetail = {
  lost: 'nvidia-smi: the GPU is lost',
  'reset-required': 'nvidia-smi: the GPU requires a reset',
  unreadable: 'nvidia-smi: unable to determine the device handle',
  /** Not for want of permission. */
  unopened: 'nvidia-smi: the driver lists the GPU and fails to open it',
} as const;

/** The GPUs that the lines of a text say cannot be reached; only its beginning is searched. */
export function unreachableIn(text: string, firstLine: number): UnreachableGpu[] {
  if (!text.slice(0, searchedLength).toLowerCase().includes(unreachableMark)) return [];
  return text
    .slice(0, searchedLength)
    .split('\n', searchedLines)
    .flatMap((line, position) => readUnreachable(line, firstLine + position) ?? []);
}

/** At most this many lines are searched: a failure is all there is, so it stands at the beginning. */
const searchedLines = 200;
const searchedLength = 65_536;

/**
 * An output that only says why there is none: a version mismatch, no driver, no devices, GPUs that do not answer. Undefined when it says
 * nothing of the kind.
 */
export function parseSmiFailure(text: string, source: SmiSource): SmiCapture | undefined {
  const lines = text.slice(0, searchedLength).split('\n', searchedLines);
  const unreachable: UnreachableGpu[] = [];
  let failure: SmiCapture['failure'];
  lines.forEach((text, position) => {
    const line = source.firstLine + position;
    const found = readUnreachable(text, line);
    if (found !== undefined) unreachable.push(found);
    const kind = failureKindOf(text);
    // The most telling of several: "unknown" gives way.
    if (kind !== undefined && (failure === undefined || failure.kind === 'unknown')) failure = { kind, line };
  });
  const first = failure?.line ?? unreachable[0]?.line;
  if (first === undefined) return undefined;
  return {
    file: source.file,
    line: first,
    format: 'nvidia-smi',
    at: null,
    driverVersion: null,
    computeApiVersion: null,
    attachedGpuCount: null,
    gpus: placeUnreachable(unreachable, [], source.file),
    ...(failure === undefined ? {} : { failure }),
    unread: [],
  };
}

/** The GPUs that could not be opened, with indexes that none of the others has. */
export function placeUnreachable(
  unreachable: readonly UnreachableGpu[],
  taken: readonly number[],
  file: string,
): SmiCapture['gpus'] {
  const used = new Set(taken);
  let next = 0;
  return unreachable.map(({ index, address, state, isUnopened, line }) => {
    let free = index ?? next;
    while (used.has(free)) free += 1;
    used.add(free);
    next = index === null ? free : next;
    return {
      ref: { index: free, uuid: null, pciAddress: address, name: null },
      readings: {},
      gaps: [],
      citations: { 'identity.uuid': { file, line } },
      state,
      stateDetail: unreachableDetail[isUnopened === true && state === 'unreadable' ? 'unopened' : state],
    };
  });
}
