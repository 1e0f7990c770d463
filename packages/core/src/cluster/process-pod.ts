import type { ClusterContainer, ClusterPod } from '../domain/cluster.ts';
import type { HostProcess } from '../ports/host-processes.ts';

/** The API tells the start of a container in whole seconds, and a clock may be set while it runs. */
const toleranceMilliseconds = 2_000;

export type PodOfProcess =
  | { readonly pod: ClusterPod; readonly container: ClusterContainer }
  | {
      readonly pod: null;
      readonly container: null;
      /** `not-in-a-pod`: its cgroup names none. `pod-not-listed`: gone, or not to be seen. The others: what it names cannot be meant. */
      readonly because:
        | 'not-in-a-pod'
        | 'pod-not-listed'
        | 'container-not-of-this-pod'
        | 'started-before-its-container'
        | 'started-after-its-container-ended';
    };

type ProcessPlace = Pick<HostProcess, 'podUid' | 'container' | 'startedAt'>;

/** The one spelling of a pod's uid: cgroup drivers of systemd write it with underscores. */
export const normalizedUid = (uid: string) => uid.toLowerCase().replaceAll('_', '-');
/** The one spelling of a container's id: `containerd://64 digits` and the digits alone are the same container. */
export const normalizedId = (id: string) => id.toLowerCase().replace(/^[a-z0-9-]{1,32}:\/\//, '');

const none = (because: Exclude<PodOfProcess, { pod: ClusterPod }>['because']): PodOfProcess => ({
  pod: null,
  container: null,
  because,
});

/**
 * The pod and container of a process, by what its cgroup says. A pid is used again, a cgroup path can be made by anybody with the rights:
 * so the container must be one of the pod's, now or before, and the process must have started while it ran. Pure.
 */
export function podOfProcess(process: ProcessPlace, pods: readonly ClusterPod[]): PodOfProcess {
  const { podUid, container, startedAt } = process;
  if (podUid === null && container === null) return none('not-in-a-pod');
  const uid = podUid === null ? null : normalizedUid(podUid);
  const candidates = uid === null ? pods : pods.filter((pod) => isUidOf(pod, uid));
  if (candidates.length === 0) return none('pod-not-listed');
  // The container is the proof: a pod's uid alone may be that of its pause container, or of a path that anybody made.
  if (container === null) return none('container-not-of-this-pod');
  const id = normalizedId(container.id);
  let refusal: PodOfProcess | undefined;
  for (const pod of candidates) {
    for (const each of pod.containers) {
      for (const run of runsOf(each)) {
        if (run.id !== id) continue;
        const because = mismatch(startedAt, run);
        if (because === null) return { pod, container: each };
        refusal ??= none(because);
      }
    }
  }
  return refusal ?? none(uid === null ? 'pod-not-listed' : 'container-not-of-this-pod');
}

const isUidOf = (pod: ClusterPod, uid: string) =>
  normalizedUid(pod.uid) === uid || (pod.staticPodUid !== null && normalizedUid(pod.staticPodUid) === uid);

interface Run {
  readonly id: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

/** The runs of a container that the API still tells of. */
function runsOf({ containerId, state, lastState }: ClusterContainer): readonly Run[] {
  const runs: Run[] = [];
  for (const each of [state, lastState]) {
    if (each?.kind !== 'terminated' || each.containerId === null) continue;
    const { startedAt, finishedAt } = each;
    runs.push({ id: normalizedId(each.containerId), startedAt, finishedAt });
  }
  const current = containerId === null ? null : normalizedId(containerId);
  if (current !== null && !runs.some(({ id }) => id === current)) {
    const startedAt = state?.kind === 'running' ? state.startedAt : null;
    runs.push({ id: current, startedAt, finishedAt: null });
  }
  return runs;
}

function mismatch(startedAt: string | null, run: Run) {
  const started = timeOf(startedAt);
  const from = timeOf(run.startedAt);
  const until = timeOf(run.finishedAt);
  if (started === null) return null;
  if (from !== null && started < from - toleranceMilliseconds) return 'started-before-its-container' as const;
  if (until !== null && started > until + toleranceMilliseconds)
    return 'started-after-its-container-ended' as const;
  return null;
}

function timeOf(text: string | null): number | null {
  const time = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? null : time;
}
