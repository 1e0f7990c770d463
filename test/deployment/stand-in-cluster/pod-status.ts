import type { ContainerPlan } from './container-runtime.ts';
import { type JsonObject, type KubernetesObject, textAt } from './json.ts';

interface Containers {
  readonly address: string;
  readonly containers: readonly {
    readonly spec: JsonObject;
    readonly plan: ContainerPlan;
    readonly exitCode: number | undefined;
    readonly isReady: boolean;
    readonly restarts: number;
  }[];
}

/** The status of a pod, from how its containers are. */
export function podStatus(pod: KubernetesObject, { containers, address }: Containers): JsonObject {
  const policy = textAt(pod, 'spec', 'restartPolicy') ?? 'Always';
  const isOver =
    policy !== 'Always' &&
    containers.every(({ exitCode }) => exitCode !== undefined && (policy === 'Never' || exitCode === 0));
  const isFailed = containers.some(({ exitCode }) => (exitCode ?? 0) !== 0);
  const phase = isOver ? (isFailed ? 'Failed' : 'Succeeded') : 'Running';
  const isReady = !isOver && containers.every((each) => each.isReady);
  const status = isReady ? 'True' : 'False';
  return {
    phase,
    podIP: address,
    podIPs: [{ ip: address }],
    hostIP: '127.0.0.1',
    startTime: pod.metadata.creationTimestamp,
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Initialized', status: 'True' },
      { type: 'ContainersReady', status },
      { type: 'Ready', status },
    ],
    containerStatuses: containers.map(({ spec, exitCode, isReady: ready, restarts, plan }) => ({
      name: spec['name'],
      image: plan.image,
      imageID: '',
      containerID: `stand-in://${plan.id}`,
      ready,
      started: exitCode === undefined,
      restartCount: restarts,
      state: stateOf(exitCode, isOver, pod.metadata.creationTimestamp),
    })),
  };
}

function stateOf(exitCode: number | undefined, isOver: boolean, startedAt: string | undefined): unknown {
  if (exitCode === undefined) return { running: { startedAt } };
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  return isOver ? { terminated: { exitCode, reason } } : { waiting: { reason: 'CrashLoopBackOff' } };
}
