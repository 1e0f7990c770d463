import type { ClusterContainer, ClusterPod, ContainerKind, ContainerState } from '../domain/cluster.ts';
import type { Cause, NotYourCode } from '../domain/diagnosis.ts';
import { type EndKind, type EndMeaning, meaningOfCode, reasonMeanings } from './exit-codes.ts';

/** One thing that the cluster says of how a pod, or one of its containers, ended or does not start. */
export interface TerminationFact {
  readonly kind: EndKind;
  /** Null when it is about the pod as a whole. */
  readonly container: string | null;
  readonly containerKind: ContainerKind | null;
  /** `previous`: the run before this one. `waiting`: it has not started. */
  readonly which: 'current' | 'previous' | 'waiting';
  /** Word of the kubelet or of a controller. */
  readonly reason: string | null;
  readonly exitCode: number | null;
  /** Told by the runtime, or by the convention that an exit code is 128 and a signal. */
  readonly signal: number | null;
  /** ISO 8601. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly restartCount: number;
  /** What it says and what it does not, in our own words. */
  readonly statement: string;
  /** What this fact alone says of the person's program. */
  readonly notYourCode: NotYourCode;
  readonly cause?: Cause;
}

export interface TerminationCause {
  /** The telling ones first: what ended the pod, then its containers in the order of their ends. Bounded. */
  readonly facts: readonly TerminationFact[];
  /** The one that a person should read; null when nothing has ended badly. */
  readonly first: TerminationFact | null;
}

const maximumFacts = 32;

/** Words for the pod as a whole. Sources: Kubernetes, "Disruptions" (pod disruption conditions), kubelet admission and eviction. */
const podMeanings: Readonly<Record<string, EndMeaning>> = {
  Evicted: {
    kind: 'evicted',
    statement: 'The kubelet evicted the pod because the node ran short of memory, disk or process ids.',
    notYourCode: 'undecided',
  },
  EvictionByEvictionAPI: {
    kind: 'evicted',
    statement: 'Somebody evicted the pod through the API, as a drain of the node does.',
    notYourCode: true,
  },
  TerminationByKubelet: {
    kind: 'evicted',
    statement:
      'The kubelet ended the pod: the node ran short of something, shut down, or a more important pod needed the place.',
    notYourCode: 'undecided',
  },
  PreemptionByScheduler: {
    kind: 'preempted',
    statement: 'The scheduler took the place for a pod of higher priority.',
    notYourCode: true,
  },
  Preempting: {
    kind: 'preempted',
    statement: 'The kubelet took the place for a more important pod.',
    notYourCode: true,
  },
  DeletionByTaintManager: {
    kind: 'evicted',
    statement:
      'The pod was removed because its node got a taint that it does not tolerate, as an unreachable node does.',
    notYourCode: true,
  },
  DeletionByPodGC: {
    kind: 'node-lost',
    statement: 'The pod was removed because its node no longer exists.',
    notYourCode: true,
  },
  NodeLost: {
    kind: 'node-lost',
    statement: 'The node stopped answering while the pod was on it.',
    notYourCode: true,
  },
  NodeShutdown: { kind: 'node-lost', statement: 'The node was shut down.', notYourCode: true },
  Terminated: {
    kind: 'node-lost',
    statement: 'The node was shut down and the kubelet ended the pod in good order.',
    notYourCode: true,
  },
  DeadlineExceeded: {
    kind: 'deadline',
    statement:
      'The pod ran longer than its activeDeadlineSeconds: too slow, or hung; that it was ended says nothing of why.',
    notYourCode: 'undecided',
  },
  UnexpectedAdmissionError: {
    kind: 'device-unavailable',
    statement:
      'The kubelet refused the pod after it was scheduled: most often a device it was promised had become unhealthy, or its plugin was away.',
    notYourCode: true,
  },
};

const waitingMeanings: Readonly<Record<string, EndMeaning>> = {
  CrashLoopBackOff: {
    kind: 'backing-off',
    statement: 'It keeps ending and waits before its next start: how it ended before is what tells.',
    notYourCode: 'undecided',
  },
  ImagePullBackOff: {
    kind: 'not-started',
    statement: 'Its image cannot be pulled: name, registry or credentials.',
    notYourCode: 'undecided',
    cause: 'configuration',
  },
  ErrImagePull: {
    kind: 'not-started',
    statement: 'Its image cannot be pulled: name, registry or credentials.',
    notYourCode: 'undecided',
    cause: 'configuration',
  },
  CreateContainerConfigError: {
    kind: 'not-started',
    statement: 'It refers to a ConfigMap, Secret or volume that is not there.',
    notYourCode: 'undecided',
    cause: 'configuration',
  },
  CreateContainerError: {
    kind: 'not-started',
    statement: 'The container runtime could not create it: the image, or the GPU hook of the runtime.',
    notYourCode: 'undecided',
  },
  RunContainerError: {
    kind: 'not-started',
    statement: 'The container runtime could not start it: the command, or the GPU hook of the runtime.',
    notYourCode: 'undecided',
  },
};

/** Not failures: a container on its way. */
const onTheWay = new Set(['ContainerCreating', 'PodInitializing']);

/**
 * What the cluster knows of how a pod ended: pod and containers, init, sidecar and ephemeral ones included, each with what it proves and
 * what it does not. Nothing here can tell a GPU fault: that takes the node's own evidence. Pure.
 */
export function terminationCause(pod: ClusterPod): TerminationCause {
  const containers = pod.containers.flatMap(factsOf).sort(byEnd);
  const facts = [...podFacts(pod), ...containers].slice(0, maximumFacts);
  return {
    facts,
    first:
      facts.find(({ kind }) => kind !== 'completed' && kind !== 'backing-off') ??
      facts.find(({ kind }) => kind === 'backing-off') ??
      null,
  };
}

function podFacts(pod: ClusterPod): readonly TerminationFact[] {
  const disruption = pod.conditions.find(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  );
  const told = [
    { reason: pod.reason, at: null },
    { reason: disruption?.reason ?? null, at: disruption?.lastTransitionAt ?? null },
  ];
  return told.flatMap(({ reason, at }) => {
    const meaning = reason === null ? undefined : podMeaning(reason);
    if (!meaning) return [];
    return [
      {
        ...meaning,
        container: null,
        containerKind: null,
        which: 'current' as const,
        reason,
        exitCode: null,
        signal: null,
        startedAt: pod.startedAt,
        finishedAt: at,
        restartCount: 0,
      },
    ];
  });
}

function podMeaning(reason: string): EndMeaning | undefined {
  if (Object.hasOwn(podMeanings, reason)) return podMeanings[reason];
  // `OutOfcpu`, `OutOfnvidia.com/gpu`: the kubelet refused a pod for which the node had no room left.
  if (/^OutOf[a-z]/.test(reason))
    return {
      kind: 'device-unavailable',
      statement: 'The kubelet refused the pod: when it came, the node had less left than it asks for.',
      notYourCode: true,
    };
  return undefined;
}

function factsOf(container: ClusterContainer): readonly TerminationFact[] {
  const current = factOf(
    container,
    container.state,
    container.state?.kind === 'waiting' ? 'waiting' : 'current',
  );
  const previous = factOf(container, container.lastState, 'previous');
  return [current, previous].filter((fact) => fact !== undefined);
}

function factOf(
  { name, kind, restartCount }: ClusterContainer,
  state: ContainerState | null,
  which: TerminationFact['which'],
): TerminationFact | undefined {
  if (state === null || state.kind === 'running') return undefined;
  const about = { container: name, containerKind: kind, which, reason: state.reason, restartCount };
  if (state.kind === 'waiting') {
    const { reason } = state;
    if (reason === null || onTheWay.has(reason)) return undefined;
    const meaning = Object.hasOwn(waitingMeanings, reason) ? waitingMeanings[reason] : undefined;
    return {
      ...(meaning ?? { kind: 'not-started', statement: 'It does not start.', notYourCode: 'undecided' }),
      ...about,
      exitCode: null,
      signal: null,
      startedAt: null,
      finishedAt: null,
    };
  }
  const { reason, exitCode, signal, startedAt, finishedAt } = state;
  const byReason =
    reason !== null && Object.hasOwn(reasonMeanings, reason) ? reasonMeanings[reason] : undefined;
  const meaning = byReason ?? meaningOfCode(exitCode, signal);
  return {
    ...meaning,
    ...about,
    exitCode,
    signal: signal || signalOf(meaning, exitCode),
    startedAt,
    finishedAt,
  };
}

/** By convention; not of a code that the kubelet made up. */
function signalOf({ kind }: EndMeaning, exitCode: number | null): number | null {
  if (kind === 'status-lost' || exitCode === null) return null;
  return exitCode > 128 && exitCode <= 192 ? exitCode - 128 : null;
}

/** What ended badly before what ended well; of those, what ended first: it may have taken the others with it. Waiting last. */
function byEnd(a: TerminationFact, b: TerminationFact): number {
  return rank(a) - rank(b) || timeOf(a) - timeOf(b);
}
function rank({ kind, which, containerKind }: TerminationFact): number {
  if (kind === 'completed') return 4;
  // A debugging shell that ends with an error explains nothing.
  if (containerKind === 'ephemeral') return 3;
  return { current: 0, previous: 1, waiting: 2 }[which];
}
const timeOf = ({ finishedAt }: TerminationFact) => {
  const time = finishedAt === null ? Number.NaN : Date.parse(finishedAt);
  return Number.isNaN(time) ? Number.MAX_SAFE_INTEGER : time;
};
