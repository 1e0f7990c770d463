import type { Cause } from '../../domain/diagnosis.ts';
import type { Incident } from '../../domain/incident.ts';
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
import {
  isPrimary,
  ruleIdOfIncident,
  type Sign,
  type Subject,
  subjectKey,
  subjectOfIncident,
} from './sign.ts';

/** What findings are about. One object may stand for many findings, so that it is looked at once. */
interface About {
  /** `cause subject`, for what they speak for. */
  readonly claims: ReadonlySet<string>;
  readonly places: ReadonlySet<string>;
}

/** What each finding is about; those of the log by the incidents behind them. */
export type AboutFindings = (finding: Finding) => About;

const claimOf = (cause: Cause, subject: Subject) => `${cause} ${subjectKey(subject)}`;
const keyOf = (ruleId: string, gpu: number | undefined) => `${ruleId} ${gpu ?? ''}`;

export function aboutFindings(ofIncidents: ReadonlyMap<Incident, readonly Sign[]>): AboutFindings {
  const ofLog = new Map<string, { claims: Set<string>; places: Set<string> }>();
  for (const [incident, signs] of ofIncidents) {
    if (!isPrimary(incident)) continue;
    const key = keyOf(ruleIdOfIncident(incident), incident.gpu?.index);
    const about = ofLog.get(key) ?? { claims: new Set(), places: new Set() };
    // What it hardly speaks for is not what its action is meant for.
    const most = Math.max(...signs.map(({ decibans }) => decibans));
    for (const { cause, subject, decibans } of signs)
      if (decibans > 0 && decibans * 2 >= most) about.claims.add(claimOf(cause, subject));
    about.places.add(subjectKey(subjectOfIncident(incident)));
    ofLog.set(key, about);
  }
  return (finding) => {
    const known = ofLog.get(keyOf(finding.ruleId, finding.gpu));
    if (known) return known;
    const signs = signsOfFinding(finding).filter(({ decibans }) => decibans > 0);
    return {
      claims: new Set(signs.map(({ cause, subject }) => claimOf(cause, subject))),
      places: new Set([subjectKey(subjectOfFinding(finding))]),
    };
  };
}

/** Whether a finding names what to do about a hypothesis: it speaks for its cause, at its place. */
function namesActionFor({ cause, subjects }: WeighedHypothesis, aboutOf: AboutFindings) {
  const claims = subjects.map((subject) => claimOf(cause, subject));
  const places = subjects.map(subjectKey);
  const answers = new Map<About, { claims: boolean; places: boolean }>();
  return (finding: Finding): boolean => {
    const about = aboutOf(finding);
    const known = answers.get(about) ?? {
      claims: claims.some((claim) => about.claims.has(claim)),
      places: places.some((place) => about.places.has(place)),
    };
    answers.set(about, known);
    // What the driver asks for holds for the GPU, whatever is behind it.
    return isAdvice(finding) ? known.places : known.claims;
  };
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
  aboutOf: AboutFindings,
): Finding | undefined {
  return firstOf(findings.filter(namesActionFor(hypothesis, aboutOf)));
}

/** What shows the fault itself, where the action comes from what the driver asks for: the finding that says most. */
export function reasonFor(
  hypothesis: WeighedHypothesis,
  lead: Finding,
  findings: readonly Finding[],
  aboutOf: AboutFindings,
): Finding | undefined {
  if (!isAdvice(lead)) return undefined;
  const shows = namesActionFor(hypothesis, aboutOf);
  return findings.filter((finding) => !isAdvice(finding) && shows(finding)).toSorted(byPlainness)[0];
}

/** A reading or a state of now tells a person more than the number of an error. */
const byPlainness = (a: Finding, b: Finding) =>
  verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict) ||
  Number(a.ruleId.startsWith('log.')) - Number(b.ruleId.startsWith('log.')) ||
  byTier(a, b);

const asksForNothing = ({ action }: Finding) => action === 'none' || action === 'monitor';

/**
 * What must not go under beside the likeliest cause: a critical finding, where what leads is none or asks for nothing to be done. Undefined
 * where what leads is critical and asks for something.
 */
export function besideOf(lead: Finding, findings: readonly Finding[]): Finding | undefined {
  const isCritical = lead.verdict === 'critical';
  if (isCritical && !asksForNothing(lead)) return undefined;
  const others = findings.filter((finding) => finding !== lead && finding.verdict === 'critical');
  return firstOf(others.filter((finding) => !isCritical || !asksForNothing(finding)));
}

/** Of the findings that ask for the same of the same GPU, the one that tells a person most. */
export function plainestOf(lead: Finding, findings: readonly Finding[]): Finding {
  const alike = findings.filter(
    ({ gpu, action, verdict }) => gpu === lead.gpu && action === lead.action && verdict === lead.verdict,
  );
  return alike.toSorted(byPlainness)[0] ?? lead;
}

/** Where no finding is about the likeliest cause: the strongest justified action of those that make the verdict. */
export function leadOfAll(findings: readonly Finding[]): Finding | undefined {
  const worst = worstVerdict(findings.map(({ verdict }) => verdict));
  return firstOf(findings.filter(({ verdict }) => verdict === worst));
}

function firstOf(findings: readonly Finding[]): Finding | undefined {
  let [first] = findings;
  for (const finding of findings) if (first && byTier(finding, first) < 0) first = finding;
  return first;
}
