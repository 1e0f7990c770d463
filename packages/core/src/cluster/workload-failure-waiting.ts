import { isNear, type WorkloadFacts } from './workload-failure-facts.ts';
import { atOf, type ClusterReason, evidenceOf, meanings, open } from './workload-failure-reason.ts';
import { type WorkloadRuleId, workloadFinding } from './workload-failure-rules.ts';

/** What keeps a workload of which nothing has ended from running: no place, a node that is silent, a start that fails. Pure. */
export const reasonOfRunning = (facts: WorkloadFacts): ClusterReason | undefined =>
  reasonOfWaiting(facts) ?? reasonOfSilentNode(facts) ?? reasonOfStarting(facts);

/** `0/8 nodes are available: 8 Insufficient nvidia.com/gpu.` */
const insufficientDevice =
  /Insufficient (?:nvidia\.com|amd\.com|gpu\.intel\.com|habana\.ai|aws\.amazon\.com|google\.com)\//;

const isOfDevices = (message: string | null | undefined) =>
  insufficientDevice.test((message ?? '').slice(0, 2_000));

/** Pods that no node has yet. */
function reasonOfWaiting({ pods, events }: WorkloadFacts): ClusterReason | undefined {
  const waiting = (pods ?? []).filter(({ node, phase }) => node === null && phase === 'Pending');
  if (waiting.length === 0) return undefined;
  const names = new Set(waiting.map(({ name }) => name));
  const refusals = (events ?? []).filter(
    ({ about, reason }) => reason === 'FailedScheduling' && (about.kind !== 'Pod' || names.has(about.name)),
  );
  const shortEvent = refusals.find(({ message }) => isOfDevices(message));
  const [refusal = undefined] = shortEvent ? [shortEvent] : refusals;
  const scheduled = waiting.flatMap(({ conditions }) =>
    conditions.filter(({ type }) => type === 'PodScheduled'),
  );
  const isTold = (word: string) => scheduled.some(({ reason }) => reason === word);
  // Events are kept for an hour; the condition stays as long as the pod waits.
  const unfit = scheduled.filter(({ reason }) => reason === 'Unschedulable');
  const isShort = shortEvent !== undefined || unfit.some(({ message }) => isOfDevices(message));
  const isGated = !refusal && !isShort && isTold('SchedulingGated');
  if (!refusal && !isGated && !isTold('Unschedulable')) return undefined;
  const ruleId: WorkloadRuleId = isShort ? 'workload.insufficient-gpus' : 'workload.unschedulable';
  const meaning = meanings[ruleId] ?? open;
  // Without the scheduler's words it can be the GPUs as well as anything else.
  const isUntold = !refusal && !isGated && !unfit.some(({ message }) => (message ?? '') !== '');
  const confidence = isUntold ? 'low' : meaning.confidence;
  // To wait is no fault of the program, and to watch it is nothing to do.
  const action = isGated ? 'monitor' : isShort || isUntold ? 'none' : undefined;
  const count = waiting.length === 1 ? 'One pod waits' : `${waiting.length} pods wait`;
  return {
    ...meaning,
    ruleId,
    confidence,
    notYourCode: meaning.notYourCode ?? 'undecided',
    finding: workloadFinding(ruleId, {
      what: isShort
        ? `${count}: no node has enough free devices, be they taken, unhealthy, or fewer than asked for.`
        : isGated
          ? `${count}: a scheduling gate holds it back, as a queue of jobs sets.`
          : `${count}: the scheduler finds no node that fits.`,
      evidence:
        refusal && (shortEvent || !isShort)
          ? [evidenceOf(refusal)]
          : [{ field: 'pod.conditions.PodScheduled', value: isGated ? 'SchedulingGated' : 'Unschedulable' }],
      confidence,
      ...(action === undefined ? {} : { action }),
    }),
  };
}

/** Pods that the cluster still takes for running, on a node of which it hears nothing. */
function reasonOfSilentNode({ pods, nodes }: WorkloadFacts): ClusterReason | undefined {
  for (const { name, node, isGone } of nodes) {
    const ready = node?.conditions.find(({ type }) => type === 'Ready');
    const isSilent = isGone || (ready !== undefined && ready.status !== 'True');
    const isUsed = pods?.some((pod) => pod.node === name && pod.phase !== 'Succeeded');
    if (!isSilent || !isUsed) continue;
    return {
      ruleId: 'workload.node-lost',
      cause: 'node-lost',
      notYourCode: true,
      confidence: 'medium',
      isDecisive: true,
      canBeHardware: true,
      node: name,
      finding: workloadFinding('workload.node-lost', {
        what: isGone
          ? 'The cluster has no such node any more, and still counts its pods.'
          : 'A node of it is not ready: whether its pods still work is not known.',
        evidence: [
          ready
            ? { field: 'node.conditions.Ready', value: ready.status, ...atOf(ready.lastTransitionAt) }
            : { field: 'node', value: null },
        ],
        // To start it again beside one that still runs can do harm.
        action: isGone ? 'restart-app' : 'monitor',
        confidence: 'medium',
      }),
    };
  }
  return undefined;
}

/** What keeps the kubelet from making a pod's containers. Sources: Kubernetes, "Debug Pods"; NVIDIA GPU operator, "Troubleshooting". */
const obstacles: Readonly<Record<string, string>> = {
  FailedCreatePodSandBox:
    'The container runtime cannot make the sandbox of a pod: its network, or the runtime class of the GPU software.',
  FailedMount: 'A volume of a pod cannot be mounted.',
  FailedAttachVolume: 'A volume of a pod cannot be attached to its node.',
  FailedPrepareDynamicResources: 'The driver of a resource claim cannot prepare its devices on the node.',
};

/** Pods that have a node and do not come up. */
function reasonOfStarting({ pods, events, moment }: WorkloadFacts): ClusterReason | undefined {
  const names = new Set((pods ?? []).flatMap(({ name, phase }) => (phase === 'Pending' ? [name] : [])));
  const event = events?.find(
    ({ about, reason, lastAt }) =>
      names.has(about.name) && Object.hasOwn(obstacles, reason) && isNear(lastAt, moment.at),
  );
  if (!event) return undefined;
  return {
    ...open,
    ruleId: 'workload.not-started',
    notYourCode: 'undecided',
    finding: workloadFinding('workload.not-started', {
      what: obstacles[event.reason] ?? '',
      evidence: [evidenceOf(event)],
      confidence: 'medium',
    }),
  };
}
