import type { ClusterContainer, ContainerKind, ContainerState } from '@k8s-gpu-mcp/core';
import { isRecord } from '../read-object.ts';
import {
  deviceCountsOf,
  MalformedError,
  recordOf,
  recordsOf,
  requiredName,
  timeOf,
  wholeNumberOf,
  wordOf,
} from './fields.ts';

const MAXIMUM_CONTAINERS = 512;
const MAXIMUM_CLAIMS = 256;

/** The three lists of containers of a pod, each with its list of states. Source: Kubernetes API reference, PodSpec and PodStatus. */
const lists = [
  { kind: 'init', containers: 'initContainers', statuses: 'initContainerStatuses' },
  { kind: 'main', containers: 'containers', statuses: 'containerStatuses' },
  { kind: 'ephemeral', containers: 'ephemeralContainers', statuses: 'ephemeralContainerStatuses' },
] as const;

/** @throws MalformedError */
export function readContainers(
  spec: Readonly<Record<string, unknown>>,
  status: Readonly<Record<string, unknown>>,
): readonly ClusterContainer[] {
  return lists.flatMap(({ kind, containers, statuses }) => {
    const told = new Map(
      recordsOf(status[statuses], MAXIMUM_CONTAINERS, statuses).map((each) => [each['name'], each]),
    );
    return recordsOf(spec[containers], MAXIMUM_CONTAINERS, containers).map((container) =>
      readContainer(container, kindOf(kind, container), told.get(container['name'])),
    );
  });
}

function kindOf(kind: ContainerKind, container: Readonly<Record<string, unknown>>): ContainerKind {
  return kind === 'init' && container['restartPolicy'] === 'Always' ? 'sidecar' : kind;
}

function readContainer(
  container: Readonly<Record<string, unknown>>,
  kind: ContainerKind,
  status: Readonly<Record<string, unknown>> | undefined,
): ClusterContainer {
  const resources = recordOf(container['resources']);
  const restarts = wholeNumberOf(status?.['restartCount']);
  return {
    name: requiredName(container['name'], 'name of a container'),
    kind,
    requests: deviceCountsOf(resources['requests']),
    limits: deviceCountsOf(resources['limits']),
    // A container may use several requests of one claim.
    claimNames: [
      ...new Set(
        recordsOf(resources['claims'], MAXIMUM_CLAIMS, 'claims of a container').map(({ name }) =>
          requiredName(name, 'name of a claim'),
        ),
      ),
    ],
    containerId: containerIdOf(status?.['containerID']),
    isReady: status?.['ready'] === true,
    restartCount: restarts === null ? 0 : Math.max(0, restarts),
    state: stateOf(status?.['state']),
    lastState: stateOf(status?.['lastState']),
  };
}

/** `containerd://`, `cri-o://`, `docker://` and 64 hexadecimal digits. */
export function containerIdOf(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > 128) return null;
  return /^(?:[a-z0-9-]{1,32}:\/\/)?([0-9a-f]{64})$/.exec(value)?.[1] ?? null;
}

/** One of three; `{}` is none, as for a container that never ran before. */
function stateOf(value: unknown): ContainerState | null {
  if (value === undefined || value === null) return null;
  if (!isRecord(value)) throw new MalformedError('the state of a container is not an object');
  const { waiting, running, terminated } = value;
  if (isRecord(terminated))
    return {
      kind: 'terminated',
      reason: wordOf(terminated['reason']),
      exitCode: wholeNumberOf(terminated['exitCode']),
      signal: wholeNumberOf(terminated['signal']) || null,
      startedAt: timeOf(terminated['startedAt']),
      finishedAt: timeOf(terminated['finishedAt']),
      containerId: containerIdOf(terminated['containerID']),
    };
  if (isRecord(running)) return { kind: 'running', startedAt: timeOf(running['startedAt']) };
  if (isRecord(waiting)) return { kind: 'waiting', reason: wordOf(waiting['reason']) };
  return null;
}
