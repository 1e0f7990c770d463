import type { ClusterPod } from '../domain/cluster.ts';
import { type TerminationFact, terminationCause } from './termination.ts';
import { beforeMilliseconds, type PodEnd, timeOf } from './workload-failure-facts.ts';

/** Two ends this near to each other are at the same time: the API tells whole seconds, and clocks of nodes differ. */
const sameMomentMilliseconds = 5_000;

/** Of what ended at the same time, what says why comes before what may be a consequence. */
const consequences: ReadonlySet<string> = new Set([
  'asked-to-stop',
  'killed',
  'aborted',
  'own-error',
  'unknown',
]);

/**
 * How the pods of a workload ended, the first first. Of a workload that was started again and again only the newest run that failed: ends
 * with no long pause between them. With `asked`, the ends near that time instead, where there are any. Pure.
 */
export function endsOf(pods: readonly ClusterPod[], asked?: string): readonly PodEnd[] {
  const ends = pods.flatMap((pod): PodEnd[] => {
    // Sidecars are ended after the others; how does not count.
    if (pod.phase === 'Succeeded') return [];
    const { facts, first: told } = terminationCause(pod);
    const first = told ?? (pod.phase === 'Failed' ? untold(pod) : null);
    if (first === null) return [];
    const own = timeOf(first.finishedAt) === undefined ? facts : [first];
    const times = own.flatMap(({ finishedAt }) => timeOf(finishedAt) ?? []);
    const latest = times.length > 0 ? new Date(Math.max(...times)).toISOString() : null;
    return [{ pod, fact: first, endedAt: latest }];
  });
  const timed = ends.filter(({ endedAt }) => endedAt !== null).sort(byTime);
  const untimed = ends.filter(({ endedAt }) => endedAt === null);
  const wanted = timeOf(asked ?? null);
  const near = timed.filter(
    ({ endedAt }) => wanted !== undefined && Math.abs(milliseconds(endedAt) - wanted) <= beforeMilliseconds,
  );
  return [...firstByCause(near.length > 0 ? near : newestRun(timed)), ...untimed];
}

/** A pod that failed, of which no container and no controller says more. */
const untold = ({ startedAt }: ClusterPod): TerminationFact => ({
  kind: 'unknown',
  container: null,
  containerKind: null,
  which: 'current',
  reason: null,
  exitCode: null,
  signal: null,
  startedAt,
  finishedAt: null,
  restartCount: 0,
  statement: 'It failed, and how is not told.',
  notYourCode: 'undecided',
});

const milliseconds = (at: string | null) => timeOf(at) ?? 0;
const byTime = (a: PodEnd, b: PodEnd) =>
  milliseconds(a.endedAt) - milliseconds(b.endedAt) || (a.pod.name < b.pod.name ? -1 : 1);

/** From the newest end back to a pause that is longer than anything waits for its peers. */
function newestRun(timed: readonly PodEnd[]): readonly PodEnd[] {
  let start = timed.length - 1;
  while (start > 0) {
    const pause =
      milliseconds(timed[start]?.endedAt ?? null) - milliseconds(timed[start - 1]?.endedAt ?? null);
    if (pause > beforeMilliseconds) break;
    start -= 1;
  }
  return timed.slice(Math.max(0, start));
}

/** By time; at the very beginning, what is no consequence of something else comes first. */
function firstByCause(timed: readonly PodEnd[]): readonly PodEnd[] {
  const began = milliseconds(timed[0]?.endedAt ?? null);
  const isFirst = ({ endedAt }: PodEnd) => milliseconds(endedAt) - began <= sameMomentMilliseconds;
  const first = timed.filter(isFirst);
  const isConsequence = ({ fact }: PodEnd) => Number(consequences.has(fact.kind));
  return [...first.toSorted((a, b) => isConsequence(a) - isConsequence(b)), ...timed.slice(first.length)];
}

/**
 * Nodes worth asking, the most telling first: by turns where the first pods ended, where a pod ended in a way that few others did, and,
 * while most have ended, where one has not: the rank that all others waited for does not end by itself. Nodes of pods that have not ended
 * come last else; pods that ended well have nothing to tell. Pure.
 */
export function nodesInOrder(pods: readonly ClusterPod[], ends: readonly PodEnd[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const end of ends) counts.set(signature(end), (counts.get(signature(end)) ?? 0) + 1);
  const countOf = (end: PodEnd) => counts.get(signature(end)) ?? 0;
  const rare = ends.toSorted((a, b) => countOf(a) - countOf(b));
  const ended = new Set(ends.map(({ pod }) => pod.uid));
  const left = pods.filter(
    ({ uid, phase }) => phase !== 'Succeeded' && phase !== 'Failed' && !ended.has(uid),
  );
  const odd = left.length < ends.length ? left : [];
  const names = [
    ...ends.flatMap((end, place) => [end.pod.node, (rare[place] ?? end).pod.node, odd[place]?.node ?? null]),
    ...pods.flatMap(({ node, phase }) => (phase === 'Succeeded' ? [] : [node])),
  ];
  return [...new Set(names.filter((name) => name !== null))];
}

const signature = ({ fact }: PodEnd) => `${fact.kind} ${fact.reason ?? ''} ${fact.exitCode ?? ''}`;
