import { causeCatalogue } from '../diagnosis/explain/cause-catalogue.ts';
import { actionPhrases } from '../diagnosis/explain/summary.ts';
import type { NotYourCode } from '../domain/diagnosis.ts';
import {
  type Action,
  type Confidence,
  type Evidence,
  type Finding,
  type Verdict,
  verdicts,
  worstVerdict,
} from '../domain/verdict.ts';
import {
  isOfMoment,
  type PodEnd,
  timeOf,
  type WorkloadFacts,
  type WorkloadNodeFacts,
} from './workload-failure-facts.ts';
import {
  type HardwareSign,
  hardwareSigns,
  isAllLater,
  isTelling,
  notAbove,
} from './workload-failure-hardware.ts';
import type { ClusterReason } from './workload-failure-reason.ts';
import { type WorkloadCause, workloadFinding } from './workload-failure-rules.ts';
import { clusterReason } from './workload-failure-software.ts';

/** One explanation of the end of a workload. */
export interface WorkloadHypothesis {
  readonly cause: WorkloadCause;
  readonly notYourCode: NotYourCode;
  readonly confidence: Confidence;
  /** Where it is; null for what is not about one node. */
  readonly node: string | null;
  readonly gpu: number | null;
  /** Our own words. */
  readonly what: string;
  readonly action: Action;
  readonly supports: readonly Evidence[];
}

export interface WorkloadExplanation {
  readonly verdict: Verdict;
  readonly notYourCode: NotYourCode;
  readonly cause: WorkloadCause;
  readonly confidence: Confidence;
  readonly action: Action;
  readonly summary: string;
  /** Likeliest first; the first is the conclusion. */
  readonly hypotheses: readonly WorkloadHypothesis[];
  readonly findings: readonly Finding[];
  readonly hardware: readonly HardwareSign[];
  /** Nodes whose hardware nobody told of: not heard, or not asked. */
  readonly unheardNodeCount: number;
  readonly wouldChange: readonly string[];
  readonly notSeen: readonly string[];
}

/** False for a container that only ever waited to be started. */
export const hasRun = ({ fact }: PodEnd): boolean => fact.which !== 'waiting' || fact.restartCount > 0;

/** Whether the agent told of both, the GPUs and the kernel log. */
export const isHeard = ({ diagnosis }: WorkloadNodeFacts) =>
  diagnosis?.canReadGpus === true && diagnosis.canReadLog;

const maximumHardwareFindings = 6;

/**
 * Is it the code or the hardware, of a pod or a job: joins how its pods ended with what the agents of its nodes saw at the time. An error
 * of the hardware on a GPU of the workload before its first end explains it and the ends of its other pods. Without the agents only what
 * the cluster decides alone is decided. Pure.
 */
export function explainWorkload(facts: WorkloadFacts): WorkloadExplanation {
  const hardware = hardwareSigns(facts);
  const reason = clusterReason(facts);
  const unheardNodeCount = facts.nodeCount - facts.nodes.filter(isHeard).length;
  const hypotheses = hypothesesOf(facts, hardware, reason, unheardNodeCount);
  const [first] = hypotheses;
  const isSound = isDone(facts) || (facts.pods !== null && unheardNodeCount === 0 && facts.nodeCount > 0);
  const conclusion: WorkloadHypothesis = first ?? nothingWrong(facts, isSound);
  const findings = findingsOf(facts, hardware, reason, conclusion, unheardNodeCount > 0);
  const { cause, notYourCode, confidence, action } = conclusion;
  return {
    verdict: worstVerdict([
      isSound || (reason?.isDecisive && facts.nodeCount === 0) ? 'ok' : 'unknown',
      ...findings.map(({ verdict }) => verdict),
      ...facts.nodes.flatMap(({ diagnosis }) => (reason ? [] : (diagnosis?.verdict ?? []))),
    ]),
    notYourCode,
    cause,
    confidence,
    action,
    summary: summaryOf(facts, conclusion, unheardNodeCount),
    hypotheses: hypotheses.length > 0 ? hypotheses : [conclusion],
    findings,
    hardware,
    unheardNodeCount,
    wouldChange: wouldChangeOf(facts, conclusion, unheardNodeCount),
    notSeen: notSeenOf(facts, unheardNodeCount),
  };
}

function hypothesesOf(
  facts: WorkloadFacts,
  hardware: readonly HardwareSign[],
  reason: ClusterReason | undefined,
  unheardNodeCount: number,
): readonly WorkloadHypothesis[] {
  const [sign] = hardware.filter(({ link, isLater }) => link !== 'other-gpu' && !isLater);
  const ofHardware = sign && hypothesisOfSign(facts, sign, reason);
  const ofCluster = reason && hypothesisOfReason(facts, reason, unheardNodeCount);
  const ofProgram = programOf(facts, unheardNodeCount);
  const own = reason?.isDecisive ? [ofCluster, ofProgram] : [ofProgram, ofCluster];
  const isHardwareFirst = sign !== undefined && beats(sign, reason, ofProgram);
  const all = isHardwareFirst ? [ofHardware, ...own] : [...own, ofHardware];
  return all.filter((each) => each !== undefined);
}

/** Whether an error of the hardware explains the end better than what else is known. */
function beats(
  sign: HardwareSign,
  reason: ClusterReason | undefined,
  program: WorkloadHypothesis | undefined,
): boolean {
  if (!isTelling(sign)) return !reason?.isDecisive && !program;
  if (reason === undefined || !reason.isDecisive) return sign.wasCritical || sign.isConcluded || !program;
  if (reason.canBeHardware) return true;
  // A container that the kernel ended for its memory did end for that, unless its GPU was gone before.
  return reason.cause === 'host-memory' && sign.wasCritical;
}

function hypothesisOfSign(
  facts: WorkloadFacts,
  sign: HardwareSign,
  reason: ClusterReason | undefined,
): WorkloadHypothesis {
  const { node, gpu, cause, action, evidence } = sign;
  // Without a time of the end nothing is known to be before it.
  const isTimed = facts.ends.length === 0 || facts.moment.basis !== 'now';
  const isCertain =
    isTimed &&
    isTelling(sign) &&
    (sign.wasCritical || sign.isConcluded) &&
    (!reason?.isDecisive || reason.canBeHardware);
  return {
    cause,
    notYourCode: isCertain ? true : 'undecided',
    confidence: isCertain ? sign.confidence : notAbove('low', sign.confidence),
    node,
    gpu,
    what: wordsOfSign(facts, sign),
    action,
    supports: evidence,
  };
}

function hypothesisOfReason(
  { ends }: WorkloadFacts,
  { cause, notYourCode, confidence, isDecisive, finding, node }: ClusterReason,
  unheardNodeCount: number,
): WorkloadHypothesis {
  return {
    cause,
    // Who nobody heard of may be behind an end that only looks like one of the program.
    notYourCode: isDecisive ? notYourCode : 'undecided',
    confidence: isDecisive ? confidence : notAbove('low', confidence),
    node: node ?? ends[0]?.pod.node ?? null,
    gpu: null,
    what: finding.what,
    action: !isDecisive && unheardNodeCount > 0 ? 'none' : finding.action,
    supports: finding.evidence,
  };
}

/** What the agent of the node on which it began says of the program: an illegal access, its memory. */
function programOf(facts: WorkloadFacts, unheardNodeCount: number): WorkloadHypothesis | undefined {
  const origin = facts.ends[0]?.pod.node;
  const node = facts.nodes.find(({ name, diagnosis }) => name === origin && diagnosis?.notYourCode === false);
  const { diagnosis } = node ?? {};
  if (!node || !diagnosis || diagnosis.verdict === 'ok') return undefined;
  const { gpu, gpuUuid, cause } = diagnosis;
  const isOther =
    Array.isArray(node.gpus) &&
    gpuUuid !== null &&
    !node.gpus.some((each) => each.toLowerCase() === gpuUuid.toLowerCase());
  if (isOther) return undefined;
  // Of what ran there before or after it.
  if (isOfAnotherTime(node)) return undefined;
  const isShared = node.areGpusShared === true;
  const isOwn = !isShared && (node.gpus === 'all' || (node.gpus !== null && gpuUuid !== null));
  return {
    cause,
    notYourCode: isOwn ? false : 'undecided',
    confidence: notAbove(!isOwn ? 'low' : unheardNodeCount > 0 ? 'medium' : 'high', diagnosis.confidence),
    node: node.name,
    gpu,
    what: `The agent of ${placeOf(node.name, gpu)} concludes that ${causeCatalogue[cause].title}.${isShared ? ' That GPU is shared: it can have been the program of another pod.' : ''}`,
    action: diagnosis.action,
    supports: [{ field: `agent.explain_failure.${cause}`, value: diagnosis.verdict }],
  };
}

/** Whether all errors of the GPU that the agent concludes of came after the pod had ended, or before it began. */
function isOfAnotherTime({ diagnosis, incidents, firstEndAt, firstStartAt }: WorkloadNodeFacts): boolean {
  const end = timeOf(firstEndAt ?? null);
  const start = timeOf(firstStartAt ?? null);
  if (!diagnosis || !incidents || end === undefined) return false;
  if (isAllLater(diagnosis, incidents, end)) return true;
  const own = incidents.filter(({ gpu }) => (gpu?.index ?? null) === diagnosis.gpu);
  return (
    start !== undefined &&
    own.length > 0 &&
    own.every(({ lastAt }) => (timeOf(lastAt) ?? Number.POSITIVE_INFINITY) < start)
  );
}

const nothing = { notYourCode: 'undecided', node: null, gpu: null, action: 'none', supports: [] } as const;

/** What ended well needs no hardware to say so. */
const isDone = ({ pods }: WorkloadFacts) =>
  pods !== null && pods.length > 0 && pods.every(({ phase }) => phase === 'Succeeded');

const nothingWrong = (facts: WorkloadFacts, isSound: boolean): WorkloadHypothesis => {
  if (isDone(facts))
    return { ...nothing, cause: 'none', confidence: 'high', what: 'All of its pods ended well.' };
  const isWell = isSound && facts.nodes.every(({ diagnosis }) => diagnosis?.verdict === 'ok');
  return {
    ...nothing,
    cause: isWell ? 'none' : 'unknown',
    confidence: isWell ? 'medium' : 'low',
    what:
      facts.pods === null
        ? 'The cluster could not be asked how it ended.'
        : isWell && isOfMoment(facts)
          ? 'None of its pods ended badly, and its nodes show nothing wrong.'
          : isOfMoment(facts)
            ? 'None of its pods ended badly, as far as the cluster tells.'
            : 'None of its pods ended badly near that time.',
  };
};

function findingsOf(
  facts: WorkloadFacts,
  hardware: readonly HardwareSign[],
  reason: ClusterReason | undefined,
  conclusion: WorkloadHypothesis,
  isUnheard: boolean,
): readonly Finding[] {
  const ofHardware = hardware.slice(0, maximumHardwareFindings).map((sign) =>
    workloadFinding(isTelling(sign) ? 'workload.hardware' : 'workload.hardware-beside', {
      what: wordsOfSign(facts, sign),
      evidence: sign.evidence,
      verdict: sign.verdict,
      action: sign.action,
      confidence: sign.confidence,
      ...(sign.gpu === null ? {} : { gpu: sign.gpu }),
    }),
  );
  // An end that tells nothing by itself is no verdict while the hardware is not known.
  const own = reason && {
    ...reason.finding,
    ...(isUnheard && !reason.isDecisive ? { verdict: 'unknown' as const, action: 'none' as const } : {}),
  };
  const isOwnFirst = own && conclusion.cause === reason.cause && conclusion.what === reason.finding.what;
  const rest = ofHardware.toSorted((a, b) => verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict));
  return isOwnFirst ? [own, ...rest] : [...rest, ...(own ? [own] : [])];
}

const nodeName = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;

/** Node names are the cluster's own, and checked; one that is not of that form is not repeated. */
export const placeOf = (node: string, gpu: number | null) =>
  `${gpu === null ? '' : `GPU ${gpu} of `}${nodeName.test(node) ? `node ${node}` : 'a node'}`;

function wordsOfSign({ moment, ends }: WorkloadFacts, sign: HardwareSign): string {
  const { node, gpu, cause, at, error, link, isLater } = sign;
  const place = placeOf(node, gpu);
  const what = error === null ? '' : `${error} on `;
  const meaning = `${what}${what === '' ? capital(place) : place}${whenOf(at, moment, ends.length > 0)}: ${causeCatalogue[cause].title}.`;
  if (link === 'same-node') return `${meaning} Whether the workload held that GPU is not known.`;
  if (link === 'other-gpu') return `${meaning} The workload did not hold that GPU.`;
  if (isLater) return `${meaning} It can be behind the end of its own pod, not behind the first.`;
  const others = ends.filter(({ pod }) => pod.node !== node).length;
  if (others === 0) return meaning;
  return others === 1
    ? `${meaning} The end of the pod on another node can be a consequence of it.`
    : `${meaning} The ends of the ${others} pods on other nodes can be consequences of it.`;
}

const capital = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

function whenOf(at: string | null, moment: WorkloadFacts['moment'], hasEnded: boolean): string {
  const time = timeOf(at);
  const end = timeOf(moment.at);
  if (time === undefined || end === undefined) return '';
  const seconds = Math.round((end - time) / 1_000);
  const isAsked = moment.basis === 'asked';
  const what = isAsked
    ? 'the time asked about'
    : hasEnded && moment.basis !== 'now'
      ? 'the first end'
      : 'now';
  if (Math.abs(seconds) < 2) return hasEnded && !isAsked ? ' as it ended' : '';
  const amount =
    Math.abs(seconds) < 120 ? `${Math.abs(seconds)} s` : `${Math.round(Math.abs(seconds) / 60)} min`;
  return seconds > 0 ? `, ${amount} before ${what}` : `, ${amount} after ${what}`;
}

/** Where it is not the GPU, whoever else it was. */
const beyondGpus: ReadonlySet<WorkloadCause> = new Set([
  'configuration',
  'disruption',
  'unschedulable',
  'host-memory',
]);

function whose({ notYourCode, cause, confidence }: WorkloadHypothesis): string {
  if (cause === 'none') return 'Nothing points to a fault';
  if (notYourCode === true) return 'Not your code';
  if (notYourCode === false)
    return cause === 'host-memory' ? 'Not the GPU' : 'Your program, not the hardware';
  if (beyondGpus.has(cause) && confidence !== 'low') return 'Not the GPU';
  return 'Undecided whether it is your code or the hardware';
}

function summaryOf(
  { nodeCount }: WorkloadFacts,
  conclusion: WorkloadHypothesis,
  unheardNodeCount: number,
): string {
  const { action, confidence, what } = conclusion;
  const which = nodeCount === 1 ? 'its node' : `${unheardNodeCount} of its ${nodeCount} nodes`;
  const unheard = unheardNodeCount > 0 ? ` Nothing is known of the hardware of ${which}.` : '';
  const next = action === 'none' ? '' : ` Next: ${actionPhrases[action]}.`;
  return `${whose(conclusion)} (confidence ${confidence}): ${what}${unheard}${next}`;
}

function wouldChangeOf(
  { ends }: WorkloadFacts,
  { notYourCode, gpu }: WorkloadHypothesis,
  unheardNodeCount: number,
): string[] {
  // What never ran cannot end again, and has no log.
  const hasEnded = ends.some(hasRun);
  return [
    ...(unheardNodeCount > 0
      ? ['An error on a node that was not heard, before the first end, would point to its hardware.']
      : []),
    ...(notYourCode === true && (hasEnded || gpu !== null)
      ? [
          gpu === null
            ? 'The same end again on other nodes would point to the program.'
            : 'The same end again on other GPUs would point to the program.',
        ]
      : []),
    ...(notYourCode !== true && hasEnded
      ? ['The last lines of its own log, of the first pod that ended, tell what the program saw.']
      : []),
  ];
}

function notSeenOf(facts: WorkloadFacts, unheardNodeCount: number): string[] {
  const unknownGpus = facts.nodes.filter(({ gpus }) => gpus === null).length;
  const unasked = facts.nodeCount - facts.nodes.length;
  const tooLate = facts.nodes.filter(({ logBeginsAt }) => typeof logBeginsAt === 'string').length;
  return [
    ...(facts.pods === null ? ['How its pods ended.'] : []),
    ...(isOfMoment(facts) ? [] : ['An end near the time asked about: those told are of another time.']),
    ...(unheardNodeCount > 0 ? [`The hardware of ${unheardNodeCount} of ${facts.nodeCount} nodes.`] : []),
    ...(tooLate > 0
      ? [`The time of the failure in the kernel logs of ${tooLate} nodes: they begin after it.`]
      : []),
    ...(unasked > 0 ? [`${unasked} nodes were not asked: one question asks few.`] : []),
    ...(unknownGpus > 0 ? [`Which GPUs it held on ${unknownGpus} of ${facts.nodes.length} nodes.`] : []),
    ...(facts.events === null ? ['Events of the cluster.'] : []),
    ...(facts.events?.length === 0 ? ['No events: clusters keep them for an hour by default.'] : []),
  ];
}
