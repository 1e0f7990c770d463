import type { GpuReading, GpuSection } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import {
  type Action,
  type Finding,
  isDisruptive,
  strongestAction,
  type Verdict,
  worstVerdict,
} from '../domain/verdict.ts';
import { productOf } from './applicability.ts';
import { type Candidate, cited, type HealthRule, type MissingReading, type RuleContext } from './rule.ts';
import { healthRules } from './rules.ts';
import { defaultThreshold, type ThresholdOverrides } from './thresholds.ts';

export interface GpuAssessment {
  readonly gpu: number;
  readonly verdict: Verdict;
  /** 0 to 100; null when the verdict is `unknown`. See `scoreOf`. */
  readonly score: number | null;
  readonly action: Action;
  readonly findings: readonly Finding[];
  /**
   * How many rules ended how. `unknown`: they apply, but their reading could not be had. `notApplicable` counts also those that had
   * nothing to weigh the reading against: no earlier reading, no sibling, no load.
   */
  readonly checks: {
    readonly passed: number;
    readonly failed: number;
    readonly unknown: number;
    readonly notApplicable: number;
  };
}

export interface AssessmentContext {
  /** Readings of the node's other GPUs, for rules that compare. */
  readonly siblings?: readonly GpuReading[];
  /** An earlier reading of the same GPU, for rules on what grew. */
  readonly baseline?: GpuReading | undefined;
  /** Incidents of the node that name no GPU: they confirm what a GPU shows, and are findings of the node. */
  readonly nodeIncidents?: readonly Incident[];
  /** What was seen of this GPU without asking its driver: they weigh and confirm like findings of the readings. */
  readonly observations?: readonly Candidate[];
  /** Numbers that an operator set in the place of the defaults. */
  readonly thresholds?: ThresholdOverrides;
  readonly rules?: readonly HealthRule[];
}

/**
 * The verdict on one GPU from its readings and the kernel-log incidents attributed to it. Pure: the same input gives the same answer.
 * A GPU is `ok` only if it answered and every essential rule that applies to it was evaluated.
 */
export function assessGpu(
  reading: GpuReading,
  incidents: readonly Incident[] = [],
  {
    siblings = [],
    baseline,
    nodeIncidents = [],
    observations = [],
    thresholds = {},
    rules = healthRules,
  }: AssessmentContext = {},
): GpuAssessment {
  const checks = { passed: 0, failed: 0, unknown: 0, notApplicable: 0 };
  const candidates: Candidate[] = [];
  const context: RuleContext = { siblings, baseline, threshold: thresholdsOf(rules, thresholds) };
  const product = productOf(reading);
  let judged = false;
  for (const rule of rules) {
    if (reading.state !== 'ok' && rule.sections.length > 0) {
      checks.unknown += 1;
      continue;
    }
    const applies = rule.applies?.(product, reading) !== false;
    const outcome = applies ? rule.evaluate(reading, context) : 'not-applicable';
    if (outcome === 'pass') {
      checks.passed += 1;
      judged ||= judgesHardware(rule);
    } else if (outcome === 'not-applicable' || outcome === 'not-judged') checks.notApplicable += 1;
    else if ('unknown' in outcome) {
      checks.unknown += 1;
      const isNotUnderstood = rule.mustBeUnderstood === true && outcome.unknown.reason === 'error';
      if (rule.essential || isNotUnderstood) candidates.push(unjudged(rule, outcome.unknown));
    } else {
      const { finding } = outcome;
      // What is only worth telling is no failure.
      checks[finding.verdict === 'ok' ? 'passed' : 'failed'] += 1;
      candidates.push({
        ...finding,
        evidence: finding.evidence.map((each) => cited(each, reading)),
        ruleId: rule.id,
        source: rule.source,
      });
    }
  }
  if (!judged && candidates.every(({ verdict }) => verdict === 'ok')) candidates.push(nothingToJudgeBy);
  candidates.push(...incidents.flatMap(incidentCandidate), ...observations);
  const gpu = reading.gpu.index;
  const ofNode = nodeIncidents.flatMap(incidentCandidate);
  const findings = candidates
    .map((candidate) => toFinding({ ...candidate, gpu }, [...others(candidates, candidate), ...ofNode]))
    .sort(byUrgency);
  const verdict = worstVerdict([...findings.map((finding) => finding.verdict), 'ok']);
  const deciding = findings.filter((finding) => finding.verdict === verdict);
  return {
    gpu,
    verdict,
    score: scoreOf(verdict, findings),
    action: strongestAction(deciding.map((finding) => finding.action)),
    findings,
    checks,
  };
}

/** @throws Error when a rule asks for a threshold that it does not have: a defect. */
function thresholdsOf(rules: readonly HealthRule[], overrides: ThresholdOverrides): RuleContext['threshold'] {
  return (ruleId, name) => {
    const set = overrides[ruleId]?.[name];
    const usual =
      rules === healthRules
        ? defaultThreshold(ruleId, name)
        : rules.find(({ id }) => id === ruleId)?.thresholds?.[name]?.value;
    if (usual === undefined) throw new Error(`rule ${ruleId} has no threshold ${name}`);
    return set ?? usual;
  };
}

/** What cannot be judged is told, else an `unknown` would come without a reason. */
function unjudged(rule: HealthRule, { field, reason }: MissingReading): Candidate {
  return {
    ruleId: rule.id,
    verdict: 'unknown',
    what: `${field} could not be read (${reason}), so this GPU cannot be called healthy.`,
    evidence: [{ field, value: null }],
    action: 'none',
    confidence: 'high',
    source: rule.source,
  };
}

/** What is set, and how much memory there is, says nothing of whether a GPU is sound. */
const settings: ReadonlySet<GpuSection | undefined> = new Set([undefined, 'identity', 'memory', 'mig']);
const judgesHardware = ({ sections: [first] }: HealthRule) => !settings.has(first);

const nothingToJudgeBy: Candidate = {
  ruleId: 'gpu.nothing-to-judge-by',
  verdict: 'unknown',
  what: 'This GPU answers, but offers none of the readings its health could be judged by.',
  evidence: [],
  action: 'none',
  confidence: 'high',
  source: 'a verdict needs at least one reading',
};

/**
 * Findings of the node from what belongs to none of its GPUs: incidents of an NVSwitch, of the driver, or of a GPU that is no longer
 * counted since it fell off its bus; and what the bus shows that the driver does not.
 */
export function assessNode(
  incidents: readonly Incident[],
  observations: readonly Candidate[] = [],
): readonly Finding[] {
  const candidates = [...incidents.flatMap(incidentCandidate), ...observations];
  // Without a GPU to hold them together, only what is about the same place on the bus, or names none, confirms.
  const sameDevice = (candidate: Candidate) =>
    candidate.pciDevice === undefined
      ? []
      : others(candidates, candidate).filter(
          ({ pciDevice }) => pciDevice === undefined || pciDevice === candidate.pciDevice,
        );
  return candidates.map((candidate) => toFinding(candidate, sameDevice(candidate))).sort(byUrgency);
}

const others = (all: readonly Candidate[], one: Candidate) => all.filter((each) => each !== one);

/**
 * Only what counts by itself: not what another incident brought about, nor what was taken back or mended since. Events an application
 * commonly causes say nothing of the GPU; one that a user-space program wrote supports no verdict alone.
 */
function incidentCandidate(incident: Incident): Candidate[] {
  if (incident.standing !== 'primary') return [];
  if (incident.trusted === false || incident.applicationCommon) return [];
  if (incident.verdict !== 'critical' && incident.verdict !== 'warning') return [];
  const { kind, xid, sxid } = incident;
  const code = xid !== undefined ? `Xid ${xid}` : sxid !== undefined ? `SXid ${sxid}` : kind;
  const [citation] = incident.citations;
  const times = incident.count === 1 ? 'once' : `${incident.count} times`;
  return [
    {
      ruleId: `log.${code.toLowerCase().replace(' ', '-')}`,
      verdict: incident.verdict,
      what: `The kernel log has ${code} (${incident.title}) ${times}.`,
      evidence: [
        {
          field: 'kernelLog',
          value: incident.count,
          ...(incident.lastAt === null ? {} : { at: incident.lastAt }),
          ...(citation ? { file: citation.file, line: citation.line } : {}),
        },
      ],
      action: incident.action,
      authoritative: true,
      ...(incident.pciAddress === null ? {} : { pciDevice: incident.pciAddress }),
      confidence: incident.trusted === true ? 'high' : 'medium',
      source: incident.source,
    },
  ];
}

/** Keeps a disruptive action only with the vendor's own signal or a second, independent finding of the same kind of fault. */
function toFinding(candidate: Candidate, beside: readonly Candidate[]): Finding {
  const { ruleId, verdict, gpu, what, evidence, source, confidence } = candidate;
  const confirmed =
    candidate.authoritative === true ||
    candidate.confirmedBy?.some((beginning) =>
      beside.some(
        ({ verdict, ruleId }) =>
          (verdict === 'critical' || verdict === 'warning') && ruleId.startsWith(beginning),
      ),
    ) === true;
  const alone = candidate.actionAlone ?? (isDisruptive(candidate.action) ? 'monitor' : candidate.action);
  return {
    ruleId,
    verdict,
    ...(gpu === undefined ? {} : { gpu }),
    what,
    evidence,
    action: confirmed ? candidate.action : alone,
    source,
    confidence,
  };
}

const verdictRank: Record<Verdict, number> = { critical: 0, warning: 1, unknown: 2, ok: 3 };

export function byUrgency(a: Finding, b: Finding): number {
  return verdictRank[a.verdict] - verdictRank[b.verdict];
}

/** Points a finding takes away. Monotone: another finding never raises the score. */
const penalty: Record<Verdict, number> = { critical: 60, warning: 20, unknown: 10, ok: 0 };

/** 100 less the penalties of all findings, at least 0; null (not a number) where nothing can be said. */
export function scoreOf(verdict: Verdict, findings: readonly Finding[]): number | null {
  if (verdict === 'unknown') return null;
  return Math.max(
    0,
    findings.reduce((score, finding) => score - penalty[finding.verdict], 100),
  );
}
