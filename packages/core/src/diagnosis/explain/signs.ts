import type { Cause } from '../../domain/diagnosis.ts';
import type { Incident } from '../../domain/incident.ts';
import type { Action, Finding } from '../../domain/verdict.ts';
import { type DiagnosticEvidence, isNobodyAsked } from '../evidence.ts';
import { indicatorOf, signsOfFinding, subjectOfFinding } from './finding-signs.ts';
import { authoritativeDecibans, signsOfIncident } from './incident-signs.ts';
import type { Scope } from './scope.ts';
import {
  evidenceOfIncident,
  isPrimary,
  nodeSubject,
  type Sign,
  subjectKey,
  subjectOfGpu,
  subjectOfIncident,
} from './sign.ts';

/** A kill for lack of host memory, or a GPU that is gone, explains the errors this soon after it. */
const soonMilliseconds = 5 * 60_000;

/** What each incident says by itself. */
export function signsByIncident(incidents: readonly Incident[]): ReadonlyMap<Incident, readonly Sign[]> {
  const onSeveralGpus = xidsOnSeveralDevices(incidents.filter(isPrimary));
  return new Map(
    incidents.map((incident) => [
      incident,
      signsOfIncident(incident, incident.xid !== undefined && onSeveralGpus.has(incident.xid)),
    ]),
  );
}

/** Everything in scope as signs. Pure; the order of what it reads does not matter. */
export function signsOf(
  scope: Scope,
  findings: readonly Finding[],
  evidence: DiagnosticEvidence,
  ofIncidents: ReadonlyMap<Incident, readonly Sign[]>,
): readonly Sign[] {
  const primary = scope.incidents.filter(isPrimary);
  const seen = [...ofIncidents.values()].flat();
  const hasHappened = primary.some((incident) => (ofIncidents.get(incident) ?? []).length > 0);
  const ofFindings = findings.flatMap((finding) =>
    indicatorOf(finding.ruleId).advice ? [] : signsOfFinding(finding),
  );
  return [
    ...seen,
    ...ofFindings,
    ...adviceSigns(scope, findings),
    ...wellnessSigns(scope, findings, seen),
    ...hangSigns(scope, seen),
    ...scope.nearest.flatMap((incident) => (ofIncidents.get(incident) ?? []).flatMap(nearestSign)),
    ...hostMemorySigns(primary),
    ...linkSignsAfterLoss(primary, ofIncidents),
    ...applicationSigns(scope, evidence, seen),
    ...noneSigns(scope, findings, evidence, hasHappened),
  ];
}

function xidsOnSeveralDevices(incidents: readonly Incident[]): ReadonlySet<number> {
  const devices = new Map<number, Set<string>>();
  for (const incident of incidents) {
    if (incident.xid === undefined) continue;
    const known = devices.get(incident.xid) ?? new Set();
    devices.set(incident.xid, known.add(subjectKey(subjectOfIncident(incident))));
  }
  return new Set([...devices].filter(([, where]) => where.size > 1).map(([xid]) => xid));
}

const isBad = ({ severity }: Incident) => severity === 'fatal' || severity === 'critical';

const partsOfGpu: ReadonlySet<Cause> = new Set(['gpu-memory', 'gpu-bus', 'gpu-firmware', 'nvlink']);

const showsFaultOfGpu = (finding: Finding) =>
  finding.verdict === 'critical' &&
  !indicatorOf(finding.ruleId).advice &&
  indicatorOf(finding.ruleId).says.some(([cause]) => partsOfGpu.has(cause));

/**
 * What the driver asks for follows from what it met: beside an incident that is bad by itself, or a reading that shows which part of the GPU
 * is at fault, it says nothing new of the cause. Alone it is the driver's word that the GPU is at fault.
 */
function adviceSigns({ incidents }: Scope, findings: readonly Finding[]): readonly Sign[] {
  const met = incidents.filter((incident) => isPrimary(incident) && incident.xid !== 154);
  const explained = new Set([
    ...met.filter(isBad).map((incident) => subjectKey(subjectOfIncident(incident))),
    ...findings.filter(showsFaultOfGpu).map((finding) => subjectKey(subjectOfFinding(finding))),
  ]);
  const ofReadings = findings
    .filter(({ ruleId }) => indicatorOf(ruleId).advice)
    .filter((finding) => !explained.has(subjectKey(subjectOfFinding(finding))))
    .flatMap(signsOfFinding);
  const ofLog = incidents
    .filter((incident) => isPrimary(incident) && incident.xid === 154)
    .filter(({ action }) => action !== 'none' && action !== 'monitor')
    .filter((incident) => !explained.has(subjectKey(subjectOfIncident(incident))))
    .map(
      (incident): Sign => ({
        indicator: 'recovery.',
        cause: causeOfAsked[incident.action] ?? 'gpu-hardware',
        subject: subjectOfIncident(incident),
        decibans: authoritativeDecibans,
        authoritative: true,
        evidence: [evidenceOfIncident(incident)],
      }),
    );
  return [...ofReadings, ...ofLog];
}

/** What Xid 154 asks for, where that tells more than that the GPU needs it. Source: NVML recovery actions. */
const causeOfAsked: Partial<Record<Action, Cause>> = {
  'drain-node': 'nvlink',
  'restart-service': 'gpu-service',
};

/** A GPU that answers and shows no fault speaks for the program, and against a GPU that is gone. */
function wellnessSigns(scope: Scope, findings: readonly Finding[], seen: readonly Sign[]): readonly Sign[] {
  const ill = new Set(
    findings
      .filter(
        ({ ruleId, verdict }) => !ruleId.startsWith('log.') && verdict !== 'ok' && verdict !== 'unknown',
      )
      .flatMap(({ gpu }) => gpu ?? []),
  );
  const isBadHere = new Set(
    scope.incidents.filter((each) => isPrimary(each) && isBad(each)).flatMap(({ gpu }) => gpu?.index ?? []),
  );
  const passed = new Map(scope.assessments.map(({ gpu, checks }) => [gpu, checks.passed]));
  return scope.readings.flatMap(({ gpu: { index }, state }): Sign[] => {
    const hasPassed = (passed.get(index) ?? 0) > 0;
    if (state !== 'ok' || !hasPassed || ill.has(index)) return [];
    const say = (cause: Cause, decibans: number): Sign[] =>
      seen.some((sign) => sign.cause === cause && sign.subject.gpu === index)
        ? [
            {
              indicator: 'readings.well',
              cause,
              subject: subjectOfGpu(index),
              decibans,
              evidence: [{ field: 'state', value: 'ok' }],
            },
          ]
        : [];
    const isSuspect = seen.some(
      (sign) => sign.cause === 'gpu-hardware' && sign.subject.gpu === index && sign.decibans >= 20,
    );
    return [
      ...say('gpu-bus', -10),
      // Beside a sign of a fault that readings do not show (a bad error, one that repeats here) they say nothing.
      ...(isBadHere.has(index) || isSuspect
        ? []
        : [...say('application-fault', 5), ...say('gpu-hardware', -5)]),
    ];
  });
}

/** A program that failed does not keep the driver from answering for its GPU: its own error is then the lesser explanation. */
function hangSigns({ readings }: Scope, seen: readonly Sign[]): readonly Sign[] {
  const isBlamed = (index: number) =>
    seen.some(({ cause, subject }) => cause === 'application-fault' && subject.gpu === index);
  return readings
    .filter(({ gpu, state }) => state === 'hung' && isBlamed(gpu.index))
    .map(({ gpu: { index } }) => ({
      indicator: 'readings.hung',
      cause: 'application-fault' as const,
      subject: subjectOfGpu(index),
      decibans: -12,
      evidence: [{ field: 'state', value: 'hung' }],
    }));
}

/** What lies nearest to the question is four times as likely what was asked about; a faint sign is not made more of. */
const nearestDecibans = 6;
const faintDecibans = 12;

function nearestSign(sign: Sign): Sign[] {
  if (sign.decibans < faintDecibans) return [];
  return [{ ...withoutAuthority(sign), indicator: 'log.nearest', decibans: nearestDecibans, evidence: [] }];
}

const withoutAuthority = ({ authoritative: _, ...sign }: Sign): Sign => sign;

/** What the kernel ended for lack of host memory takes its GPU work with it. */
function hostMemorySigns(primary: readonly Incident[]): readonly Sign[] {
  const kills = primary.filter(({ kind }) => kind === 'oom-kill');
  if (kills.length === 0) return [];
  return primary
    .filter((incident) => incident.applicationCommon && incident.kind === 'xid')
    .filter(soonAfter(kills))
    .map((incident) => ({
      indicator: 'log.oom-kill',
      cause: 'application-fault' as const,
      subject: subjectOfIncident(incident),
      decibans: -10,
      evidence: [{ field: 'kernelLog.oom-kill', value: 1 }],
    }));
}

/** Links go when the GPU at their end goes: what switches and siblings say right after it is no cause. */
function linkSignsAfterLoss(
  primary: readonly Incident[],
  ofIncidents: ReadonlyMap<Incident, readonly Sign[]>,
): readonly Sign[] {
  const losses = primary.filter(({ kind, xid }) => kind === 'bus-loss' || xid === 79);
  if (losses.length === 0) return [];
  const ofLinks = (incident: Incident) =>
    (ofIncidents.get(incident) ?? []).filter(({ cause }) => cause === 'nvswitch' || cause === 'nvlink');
  return primary
    .filter((incident) => ofLinks(incident).length > 0)
    .filter(soonAfter(losses))
    .flatMap(ofLinks)
    .map((sign) => ({
      ...withoutAuthority(sign),
      indicator: 'log.bus-loss-before',
      decibans: -12,
      evidence: [{ field: 'kernelLog.bus-loss', value: losses.length }],
    }));
}

const wallOf = ({ firstAt }: Incident) => Date.parse(firstAt ?? '');
const uptimeOf = ({ firstUptimeSeconds }: Incident) => (firstUptimeSeconds ?? Number.NaN) * 1_000;

/** Whether an incident came soon after one of these. By the clock where both have it, else by the time since boot. */
function soonAfter(earlier: readonly Incident[]): (later: Incident) => boolean {
  const walls = ascending(earlier.map(wallOf));
  const uptimes = ascending(earlier.map(uptimeOf));
  const uptimesOfUndated = ascending(earlier.filter((each) => Number.isNaN(wallOf(each))).map(uptimeOf));
  return (later) => {
    const wall = wallOf(later);
    if (Number.isNaN(wall)) return hasJustBefore(uptimes, uptimeOf(later));
    return hasJustBefore(walls, wall) || hasJustBefore(uptimesOfUndated, uptimeOf(later));
  };
}

const ascending = (times: readonly number[]) =>
  times.filter((time) => !Number.isNaN(time)).toSorted((a, b) => a - b);

/** A hostile log has tens of thousands of either: the latest that is not after it is looked up. */
function hasJustBefore(times: readonly number[], at: number): boolean {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return at - (times[low - 1] ?? Number.NEGATIVE_INFINITY) <= soonMilliseconds;
}

/** A program that tells of the same confirms it a little; its word alone says nothing of hardware. */
function applicationSigns(
  scope: Scope,
  evidence: DiagnosticEvidence,
  seen: readonly Sign[],
): readonly Sign[] {
  if (!scope.hasApplicationErrors) return [];
  const told = new Set(evidence.applicationErrors.flatMap(({ xid }) => xid ?? []));
  return [...told].flatMap((xid) =>
    seen
      .filter(({ indicator, decibans }) => indicator === `log.Xid ${xid}` && decibans > 0)
      .map((sign) => ({
        ...withoutAuthority(sign),
        indicator: 'application-log',
        decibans: 4,
        hearsay: true as const,
        evidence: [{ field: 'applicationLog', value: `Xid ${xid}` }],
      })),
  );
}

/**
 * Nothing is wrong: only where every GPU in scope was judged and found well, and the log has nothing against it. A log without any GPU beside it
 * can say as much for itself alone.
 */
function noneSigns(
  { assessments, readings, nothing, isOfNow }: Scope,
  findings: readonly Finding[],
  evidence: DiagnosticEvidence,
  hasHappened: boolean,
): readonly Sign[] {
  const { kernelLog, nodeError } = evidence;
  const isJudged = assessments.length > 0 && assessments.every(({ checks }) => checks.passed > 0);
  const isWell = findings.every(({ verdict }) => verdict === 'ok');
  const isLogAlone = kernelLog.readable && isNobodyAsked(evidence);
  if (!isWell || hasHappened || !isOfNow || nodeError || nothing !== undefined) return [];
  if (!isJudged && !isLogAlone) return [];
  const say = (indicator: string, decibans: number, field: string, value: number | boolean): Sign => ({
    indicator,
    cause: 'none',
    subject: nodeSubject,
    decibans,
    evidence: [{ field, value }],
  });
  return [
    ...(isJudged ? [say('readings.ok', 15, 'readings', readings.length)] : []),
    ...(kernelLog.readable ? [say('log.quiet', 8, 'kernelLog.readable', true)] : []),
  ];
}
