import type { Gap, GpuSample } from '@k8s-gpu-mcp/core';
import { unknownGpu } from '../gpu-ref.ts';
import type { Operation } from '../protocol/protocol.ts';
import { gpuHung, suspectError } from './errors.ts';
import type { ExecutorView } from './outlook.ts';

/** Which other GPUs this one may be asked about: a hang there would take the one that is read along. */
export function withPeers(operation: Operation, view: ExecutorView): Operation {
  if (operation.kind !== 'read') return operation;
  const peers = othersThan(operation.index, view).filter((other) => reasonToAvoid(other, view) === undefined);
  return { ...operation, peers };
}

/** Says of each GPU that was not asked about why there is nothing of it. */
export function withPeerGaps(operation: Operation, result: unknown, view: ExecutorView): unknown {
  if (operation.kind !== 'read' || !operation.sections.includes('topology')) return result;
  const leftOut = othersThan(operation.index, view).filter((other) => !operation.peers.includes(other));
  if (leftOut.length === 0) return result;
  const gaps = leftOut.map((other): Gap => {
    const { reason, detail } = reasonToAvoid(other, view) ?? {
      reason: 'not-observable',
      detail: `GPU ${other} was not asked about: it did not answer when this GPU was read`,
    };
    return { gpu: operation.index, field: 'topology.peers', reason, detail };
  });
  const sample = result as GpuSample;
  return { ...sample, gaps: [...sample.gaps, ...gaps] } satisfies GpuSample;
}

function othersThan(index: number, { gpuCount }: ExecutorView): number[] {
  return Array.from({ length: gpuCount }, (_, other) => other).filter((other) => other !== index);
}

/** It hung, crashed, or is busy in another helper, which may be about to hang. */
function reasonToAvoid(
  index: number,
  { suspicions, slots, now }: ExecutorView,
): Pick<Gap, 'reason' | 'detail'> | undefined {
  const gpu = unknownGpu(index);
  const suspicion = suspicions.get(index);
  if (suspicion !== undefined) {
    const reason = suspicion.kind === 'hung' ? 'timeout' : 'error';
    return { reason, detail: suspectError(suspicion, now, gpu).message };
  }
  const busy = slots.find(({ job }) => job?.suspect === index)?.incident;
  return busy && { reason: 'timeout', detail: gpuHung(busy, now, gpu).message };
}
