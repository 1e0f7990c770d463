import {
  type Action,
  actions,
  confidences,
  type Finding,
  verdicts,
  worstVerdict,
} from '../../domain/verdict.ts';
import { indicatorOf, signsOfFinding, subjectOfFinding } from './finding-signs.ts';
import type { WeighedHypothesis } from './likelihood.ts';
import { type Sign, subjectKey } from './sign.ts';

/** Signs of the incidents behind a `log.` finding, by its rule id and GPU. */
export type SignsOfLog = (finding: Finding) => readonly Sign[];

/** Whether a finding names what to do about a hypothesis: it speaks for its cause, at its place. */
function isAbout(finding: Finding, { cause, subjects }: WeighedHypothesis, ofLog: SignsOfLog): boolean {
  const places = new Set(subjects.map(subjectKey));
  // What the driver asks for holds for the GPU, whatever is behind it.
  if (isAdvice(finding)) {
    return [subjectOfFinding(finding), ...ofLog(finding).map(({ subject }) => subject)].some((subject) =>
      places.has(subjectKey(subject)),
    );
  }
  const signs = finding.ruleId.startsWith('log.') ? ofLog(finding) : signsOfFinding(finding);
  return signs.some(
    (sign) => sign.cause === cause && sign.decibans > 0 && places.has(subjectKey(sign.subject)),
  );
}

const isAdvice = ({ ruleId }: Finding) => ruleId === 'log.xid-154' || indicatorOf(ruleId).advice === true;

/**
 * How much a finding's action weighs: 0 what the driver asks for now, 1 the vendor's word about the fault, 2 the rest (which is disruptive
 * only when two independent findings agree). An action that asks for nothing outranks none.
 */
function tierOf({ ruleId, action }: Finding): number {
  if (action === 'none' || action === 'monitor') return 3;
  if (ruleId === 'log.xid-154' || ruleId.startsWith('recovery.')) return 0;
  const isVendors = /^log\.(?:xid|sxid|bus-loss)/.test(ruleId) || indicatorOf(ruleId).authoritative === true;
  return isVendors ? 1 : 2;
}

const strength = (action: Action) => actions.indexOf(action);
const textOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** A total order: verdict, confidence, then what they are about. */
export const byRank = (a: Finding, b: Finding) =>
  verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict) ||
  confidences.indexOf(b.confidence) - confidences.indexOf(a.confidence) ||
  strength(b.action) - strength(a.action) ||
  textOrder(a.ruleId, b.ruleId) ||
  (a.gpu ?? -1) - (b.gpu ?? -1) ||
  textOrder(JSON.stringify(a.evidence), JSON.stringify(b.evidence));

const byTier = (a: Finding, b: Finding) =>
  tierOf(a) - tierOf(b) || strength(b.action) - strength(a.action) || byRank(a, b);

/** The finding that names what to do about one hypothesis; undefined when none is about it. */
export function leadFor(
  hypothesis: WeighedHypothesis,
  findings: readonly Finding[],
  ofLog: SignsOfLog,
): Finding | undefined {
  return findings.filter((finding) => isAbout(finding, hypothesis, ofLog)).toSorted(byTier)[0];
}

/** Where no finding is about the likeliest cause: the strongest justified action of those that make the verdict. */
export function leadOfAll(findings: readonly Finding[]): Finding | undefined {
  const worst = worstVerdict(findings.map(({ verdict }) => verdict));
  return findings.filter(({ verdict }) => verdict === worst).toSorted(byTier)[0];
}
