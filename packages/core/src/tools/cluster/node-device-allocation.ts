import { z } from 'zod';
import { awaitWithin } from '../../await-within.ts';
import { deviceOfId, kindOfId } from '../../cluster/device-names.ts';
import { GpuError, isGpuError } from '../../errors.ts';
import { gapReasonOf } from '../../gpu-reader.ts';
import type { ContainerDevices, PodResources, PodResourcesReading } from '../../ports/cluster.ts';
import { type Clock, type Logger, silentLogger, systemClock } from '../../ports/runtime.ts';
import { detailArgument } from '../arguments.ts';
import { cursorArgument, limitArgument, pageOf, parseCursor } from '../paging.ts';
import { makeTool } from '../run-tool.ts';
import { defineTool, type GpuTool } from '../tool.ts';
import { quarantine } from '../untrusted-text.ts';
import { clusterAnswerSchema, makeClusterAnswer, objectNameArgument } from './cluster-answer.ts';
import { clean } from './present-cluster.ts';

export interface NodeAllocationPorts {
  readonly podResources: PodResources;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface NodeAllocationOptions {
  readonly nodeName: string;
  /** Default 10,000. */
  readonly deadlineMilliseconds?: number;
}

const maximumIds = 128;

/** `get_pod_gpu_allocation` of an agent: what the kubelet of this node gave to which container, and nothing else. */
export function createNodeAllocationTool(
  ports: NodeAllocationPorts,
  options: NodeAllocationOptions,
): GpuTool {
  const { podResources, clock = systemClock, logger = silentLogger } = ports;
  const { nodeName, deadlineMilliseconds = 10_000 } = options;
  const definition = defineTool({
    name: 'get_pod_gpu_allocation',
    title: 'GPU allocation of pods on this node',
    description:
      'Which container on this node was given which device (GPU, MIG slice, time-sliced share, DRA claim), from the pod-resources socket of the kubelet.',
    inputSchema: z.strictObject({
      namespace: objectNameArgument.describe('Default: all namespaces.').optional(),
      pod: objectNameArgument.describe('Only pods of this name.').optional(),
      limit: limitArgument('Containers', 20),
      cursor: cursorArgument,
      detail: detailArgument,
    }),
    outputSchema: clusterAnswerSchema({
      containers: z.array(z.looseObject({ namespace: z.string(), pod: z.string(), container: z.string() })),
      total: z.number().optional(),
      nextCursor: z.string().optional(),
    }),
    async handle({ namespace, pod, limit, cursor, detail }, signal) {
      const offset = parseCursor(cursor);
      const { containers, allocatable, gaps } = await read(podResources, clock, logger, signal);
      const isRead = containers !== null;
      const holding = (containers ?? []).filter(
        (each) =>
          (each.devices.length > 0 || each.claims.length > 0) &&
          (namespace === undefined || each.namespace === namespace) &&
          (pod === undefined || each.pod === pod),
      );
      const { items, page } = pageOf(holding, offset, limit);
      const devices = new Set(
        holding.flatMap((each) => each.devices.flatMap(({ deviceIds }) => deviceIds.map(deviceOfId))),
      );
      return makeClusterAnswer(clock, detail, {
        node: nodeName,
        verdict: isRead ? 'ok' : 'unknown',
        summary: isRead
          ? `The kubelet has given ${devices.size} devices to ${holding.length} containers.`
          : 'The pod-resources socket of the kubelet could not be read, so who has which device is not known.',
        payload: {
          containers: items.map(presentContainer),
          allocatable:
            allocatable?.slice(0, 24).map(({ resourceName, deviceIds }) => ({
              resource: clean(resourceName),
              count: deviceIds.length,
            })) ?? null,
        },
        gaps,
        coverage: { node: null, pods: false, claims: null, events: null, agent: null, podResources: isRead },
        nextSteps: [],
        page,
      });
    },
  });
  return makeTool(definition, { clock, logger, deadlineMilliseconds });
}

async function read(
  podResources: PodResources,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<PodResourcesReading> {
  try {
    return await awaitWithin(
      podResources.list(signal),
      signal,
      clock,
      () => new GpuError('TIMEOUT', 'no answer of the kubelet within the deadline'),
    );
  } catch (thrown) {
    const error = isGpuError(thrown) ? thrown : new GpuError('INTERNAL', 'reading the pod resources failed');
    if (error !== thrown) logger.error('the pod resources adapter failed', { error: thrown });
    const gap = {
      field: 'podResources',
      reason: gapReasonOf(error),
      detail: `${error.code}: ${error.message}`,
    };
    return { containers: null, allocatable: null, gaps: [gap] };
  }
}

function presentContainer({ namespace, pod, container, devices, claims }: ContainerDevices) {
  return {
    namespace: clean(namespace),
    pod: clean(pod),
    container: clean(container),
    devices: devices.slice(0, 16).map(({ resourceName, deviceIds }) => ({
      resourceName: clean(resourceName),
      kind: (deviceIds[0] === undefined ? null : kindOfId(deviceIds[0])) ?? 'other',
      deviceIds: deviceIds.slice(0, maximumIds).map((id) => quarantine(id, 96)),
      ...(deviceIds.length > maximumIds ? { deviceIdCount: deviceIds.length } : {}),
    })),
    claims: claims.slice(0, 16).map((claim) => ({
      namespace: clean(claim.namespace),
      name: clean(claim.name),
      cdiDevices: claim.cdiDevices.slice(0, 64).map((name) => quarantine(name, 128)),
    })),
  };
}
