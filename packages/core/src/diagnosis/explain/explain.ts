import type { Cause, Diagnosis, DiagnosisQuestion, Hypothesis, NotYourCode } from '../../domain/diagnosis.ts';
import {
  type Confidence,
  confidences,
  type Evidence,
  type Finding,
  type Verdict,
  worstVerdict,
} from '../../domain/verdict.ts';
import { type DiagnosticEvidence, isNobodyAsked } from '../evidence.ts';
import { causeCatalogue } from './cause-catalogue.ts';
import {
  type AboutFindings,
  aboutFindings,
  besideOf,
  byRank,
  leadFor,
  leadOfAll,
  reasonFor,
} from './choose-action.ts';
import { confirmed, findingOfNodeError, findingsOfApplication, withIncidents } from './findings.ts';
import { type WeighedHypothesis, weigh } from './likelihood.ts';
import { notSeenOf, wouldChangeOf } from './outlook.ts';
import { type Scope, scopeOf } from './scope.ts';
import type { Sign, Subject } from './sign.ts';
import { signsByIncident, signsOf } from './signs.ts';
import { placeName, summaryOf } from './summary.ts';

const highPercent = 90;
const mediumPercent = 60;
/** A conclusion on whose it is needs the hypotheses that say so to have this much together. */
const decidedPercent = 60;
/** Decibans within which a like fault of another GPU is told as one of several. */
const likeDecibans = 8;
const maximumEvidence = 8;
const maximumFindings = 200;

/**
 * What the evidence says: which cause is likeliest, whose it is, and the one thing to do. Pure and deterministic: the same evidence, in any
 * order, gives the same answer. See docs/diagnosis.md for how the likelihoods are reckoned.
 */
export function explainFailure(given: DiagnosticEvidence, question: DiagnosisQuestion): Diagnosis {
  // What a user-space program wrote into the kernel log supports nothing, and does not even give a question its scope.
  const evidence = { ...given, incidents: given.incidents.filter(({ trusted }) => trusted !== false) };
  const scope = scopeOf(evidence, question);
  const findings = findingsIn(scope, evidence);
  const ofIncidents = signsByIncident(scope.incidents);
  const weighed = weigh(signsOf(scope, findings, evidence, ofIncidents));
  const aboutOf = aboutFindings(ofIncidents);
  const [leader] = weighed;
  const lead = (leader && leadFor(leader, findings, aboutOf)) ?? leadOfAll(findings);
  const action = lead?.action ?? 'none';
  const ranked = [
    ...(lead ? [lead] : []),
    ...findings.filter((finding) => finding !== lead).toSorted(byRank),
  ];
  const hypotheses = weighed
    .filter(({ likelihoodPercent }, position) => position === 0 || likelihoodPercent > 0)
    .map((each, position) => presentHypothesis(each, position === 0 ? action : undefined, findings, aboutOf));
  const cause = leader?.cause ?? 'unknown';
  const gpu = leader && gpuOf(leader, weighed);
  const conclusion = {
    verdict: verdictOf(scope, findings, evidence),
    notYourCode: notYourCodeOf(cause, weighed),
    cause,
    confidence: leader ? confidenceOf(leader, weighed, scope, evidence) : 'low',
    action,
    ...(gpu === undefined ? {} : { gpu }),
  };
  return {
    ...conclusion,
    summary: summaryOf({
      ...conclusion,
      question,
      scope,
      lead,
      reason: leader && lead && reasonFor(leader, lead, findings, aboutOf),
      beside: lead && besideOf(lead, findings),
      nodeErrorCode: evidence.nodeError?.code,
      subjects: likeSubjects(leader, weighed),
      isLogReadable: evidence.kernelLog.readable,
    }),
    hypotheses,
    findings: ranked.slice(0, maximumFindings),
    wouldChange: wouldChangeOf(weighed, scope, evidence),
    notSeen: notSeenOf(question, scope, evidence),
  };
}

function findingsIn(scope: Scope, evidence: DiagnosticEvidence): readonly Finding[] {
  if (scope.nothing === 'pid') return [];
  const given = [
    ...scope.assessments.flatMap(({ findings }) => findings),
    ...scope.nodeFindings,
    ...scope.holderFindings,
  ];
  const all = withIncidents(
    [
      ...given,
      ...findingOfNodeError(evidence.nodeError, given),
      ...(scope.hasApplicationErrors ? findingsOfApplication(evidence.applicationErrors) : []),
    ],
    scope.incidents,
    evidence.incidents,
  );
  return confirmed(all);
}

function verdictOf(
  { nothing, assessments, incidents }: Scope,
  findings: readonly Finding[],
  evidence: DiagnosticEvidence,
): Verdict {
  const { nodeError, kernelLog } = evidence;
  const wasRead =
    assessments.length > 0 || (kernelLog.readable && (incidents.length > 0 || isNobodyAsked(evidence)));
  const isUnknown =
    nothing !== undefined ||
    // Files without readings are no driver that cannot be asked: there the log is all there is.
    (nodeError !== null && !(nodeError.code === 'UNAVAILABLE' && wasRead)) ||
    assessments.some(({ verdict }) => verdict === 'unknown');
  return worstVerdict([
    ...findings.map(({ verdict }) => verdict),
    ...(wasRead ? (['ok'] as const) : []),
    ...(isUnknown ? (['unknown'] as const) : []),
  ]);
}

/** The places of all explanations like the first: eight GPUs with one cause are one answer. */
function likeSubjects(
  leader: WeighedHypothesis | undefined,
  weighed: readonly WeighedHypothesis[],
): readonly Subject[] {
  if (!leader) return [];
  const like = weighed.filter(
    ({ cause, score }) => cause === leader.cause && leader.score - score <= likeDecibans,
  );
  return like.flatMap(({ subjects }) => subjects);
}

function gpuOf(leader: WeighedHypothesis, weighed: readonly WeighedHypothesis[]): number | undefined {
  const [subject, another] = likeSubjects(leader, weighed);
  return another ? undefined : subject?.gpu;
}

const shareOf = (weighed: readonly WeighedHypothesis[], matches: (cause: Cause) => boolean) =>
  weighed
    .filter(({ cause }) => matches(cause))
    .reduce((sum, { likelihoodPercent }) => sum + likelihoodPercent, 0);

function notYourCodeOf(cause: Cause, weighed: readonly WeighedHypothesis[]): NotYourCode {
  const { notYourCode } = causeCatalogue[cause];
  if (notYourCode === 'undecided') return notYourCode;
  const share = shareOf(weighed, (each) => causeCatalogue[each].notYourCode === notYourCode);
  return share >= decidedPercent ? notYourCode : 'undecided';
}

function confidenceOf(
  leader: WeighedHypothesis,
  weighed: readonly WeighedHypothesis[],
  scope: Scope,
  { kernelLog }: DiagnosticEvidence,
): Confidence {
  if (leader.cause === 'unknown') return 'low';
  const share = shareOf(weighed, (cause) => cause === leader.cause);
  // Without the vendor's word, whatever was not seen could still say otherwise.
  const isSeen =
    leader.subjects.every(({ gpu, pciDevice }) => gpu !== undefined || pciDevice === undefined) &&
    scope.readings.length > 0 &&
    scope.readings
      .filter(({ gpu }) => leader.subjects.every((each) => each.gpu === undefined || each.gpu === gpu.index))
      .every(({ state }) => state === 'ok');
  const isHigh = leader.isAuthoritative || (share >= highPercent && isSeen && !leader.isHearsay);
  const confidence = isHigh ? 2 : share >= mediumPercent ? 1 : 0;
  return confidences[Math.max(0, confidence - (kernelLog.readable ? 0 : 1))] ?? 'low';
}

function evidenceOf(signs: readonly Sign[]): readonly Evidence[] {
  const distinct = new Map(
    signs.flatMap(({ evidence }) => evidence.map((each) => [JSON.stringify(each), each] as const)),
  );
  return [...distinct.values()].slice(0, maximumEvidence);
}

function presentHypothesis(
  hypothesis: WeighedHypothesis,
  action: Finding['action'] | undefined,
  findings: readonly Finding[],
  aboutOf: AboutFindings,
): Hypothesis {
  const { cause, subjects, likelihoodPercent, supports, contradicts } = hypothesis;
  const { title, notYourCode, action: gentle } = causeCatalogue[cause];
  const [subject, another] = subjects;
  const gpu = another ? undefined : subject?.gpu;
  return {
    cause,
    notYourCode,
    ...(gpu === undefined ? {} : { gpu }),
    what: `${placeName(subjects)}: ${title}.`,
    likelihoodPercent,
    action: action ?? leadFor(hypothesis, findings, aboutOf)?.action ?? gentle,
    supports: evidenceOf(supports),
    contradicts: evidenceOf(contradicts),
  };
}
