import type { Citation } from '../../domain/citation.ts';
import type { Diagnosis } from '../../domain/diagnosis.ts';
import type { KernelEvent } from '../../domain/event.ts';
import type { Incident } from '../../domain/incident.ts';
import type { Detail } from '../answer.ts';
import { byIncidentUrgency, presentIncident } from '../kernel-events.ts';
import type { NodeExamination } from '../node-examination.ts';
import { presentHolder } from '../present-holders.ts';
import { quarantine } from '../untrusted-text.ts';
import { canonicalJson, contentId } from './content-id.ts';
import { loggedIdentityOf } from './logged-identity.ts';
import type { Redaction } from './redact.ts';
import { type ReportedGpu, reportGpu, shortGpu } from './reported-gpu.ts';

/** What goes to a ticket. Plain data; text of the machine is harmless and stands in `raw`, `processes`, `decoded` and names. */
export interface IncidentReport {
  readonly driverVersion: string | null;
  readonly computeApiVersion: string | null;
  readonly gpus: readonly ReportedGpu[];
  /** What the question is about first, then the worst, then the newest. */
  readonly incidents: readonly ReportedIncident[];
  readonly applicationErrors: readonly object[];
  readonly processes: readonly object[];
  /** What happened, oldest first. */
  readonly events: readonly ReportedEvent[];
  /** How many each list leaves out; a list that is whole is not named. */
  readonly omitted: Readonly<Record<string, number>>;
}

export type ReportedIncident = ReturnType<typeof presentIncident>;

export interface ReportedEvent {
  /** Null when the log tells only time since boot. */
  readonly at: string | null;
  readonly gpu?: number;
  /** Our own words. */
  readonly what: string;
}

export interface ReportRequest {
  readonly examination: NodeExamination;
  /** Indices of the GPUs that it is about, those that count most first. */
  readonly gpus: readonly number[];
  /** Whether an incident is what was asked about; the others are what stands around it. */
  readonly isAsked: (incident: Incident) => boolean;
}

const limits = {
  summary: { gpus: 2, incidents: 2, applicationErrors: 1, processes: 2, events: 6 },
  full: { gpus: 16, incidents: 50, applicationErrors: 20, processes: 50, events: 200 },
} as const satisfies Record<Detail, object>;

const lists = ['gpus', 'incidents', 'applicationErrors', 'processes', 'events'] as const;
type Lists = Pick<IncidentReport, (typeof lists)[number]>;

/** Everything that belongs to the report, within the limits of `full`. */
export function assembleReport({ examination, gpus, isAsked }: ReportRequest): IncidentReport {
  const { node, readings, holders, applicationErrors, baselines } = examination;
  const isAbout = (gpu: number | undefined) => gpu === undefined || gpus.length === 0 || gpus.includes(gpu);
  const incidents = examination.incidents
    .filter(({ gpu }) => isAbout(gpu?.index))
    .toSorted((a, b) => rankOf(a, isAsked) - rankOf(b, isAsked) || byIncidentUrgency(a, b));
  return {
    driverVersion: versionOf(node?.driverVersion),
    computeApiVersion: versionOf(node?.computeApiVersion),
    ...cut(
      {
        gpus: gpus.flatMap((index) => {
          const reading = readings.find(({ gpu }) => gpu.index === index);
          return reading
            ? [reportGpu(reading, baselines.get(index), loggedIdentityOf(reading, examination))]
            : [];
        }),
        incidents: incidents.map(reportIncident),
        applicationErrors: applicationErrors.map(reportApplicationError),
        processes: holders.filter(({ shares }) => shares.some(({ gpu }) => isAbout(gpu))).map(reportHolder),
        events: incidents.map(reportEvent).toSorted(byTime),
      },
      'full',
      {},
    ),
  };
}

/** The part of a report that an answer has room for by default. */
export function shortReport(report: IncidentReport): IncidentReport {
  return {
    ...report,
    ...cut(
      { ...report, gpus: report.gpus.map(shortGpu), incidents: report.incidents.map(shortIncident) },
      'summary',
      report.omitted,
    ),
  };
}

/** The same for the same facts, whatever their order and whenever they were read; as much of them is told as `clean` leaves. */
export function reportIdOf(report: IncidentReport, diagnosis: Diagnosis, clean: Redaction): string {
  const { verdict, notYourCode, cause, action, findings } = diagnosis;
  const concluded = findings.map(({ ruleId, gpu, evidence }) => ({
    ruleId,
    gpu,
    // Times of log lines are in the incidents.
    evidence: evidence.map(({ field, value, threshold }) => ({ field, value, threshold })),
  }));
  return contentId(canonicalJson(clean({ report, verdict, notYourCode, cause, action, concluded })));
}

/** The events that are left out are the oldest; of everything else the last. */
function cut(content: Lists, detail: Detail, omitted: IncidentReport['omitted']) {
  const limit = limits[detail];
  const left = Object.fromEntries(
    lists.flatMap((list) => {
      const count = Math.max(0, content[list].length - limit[list]) + (omitted[list] ?? 0);
      return count > 0 ? [[list, count] as const] : [];
    }),
  );
  return {
    gpus: content.gpus.slice(0, limit.gpus),
    incidents: content.incidents.slice(0, limit.incidents),
    applicationErrors: content.applicationErrors.slice(0, limit.applicationErrors),
    processes: content.processes.slice(0, limit.processes),
    events: content.events.slice(-limit.events),
    omitted: left,
  };
}

/** What a program wrote into the kernel log comes last. */
function rankOf(incident: Incident, isAsked: ReportRequest['isAsked']): number {
  if (incident.trusted === false) return 3;
  if (!isAsked(incident)) return 2;
  return incident.standing === 'primary' ? 0 : 1;
}

const versionOf = (version: string | null | undefined) => (version ? quarantine(version, 64) : null);

const maximumRawLength = 400;
const shortRawLength = 240;
const maximumFileLength = 120;

const reportIncident = (incident: Incident) => ({
  ...presentIncident(incident, 'full'),
  // A ticket is made of the lines themselves: more of each than other answers show.
  raw: incident.raw.map((line) => quarantine(line, maximumRawLength)),
  ...(incident.citations.length > 0 ? { citations: incident.citations.map(reportCitation) } : {}),
});

const reportCitation = ({ file, line }: Citation) => ({ file: quarantine(file, maximumFileLength), line });

/** What names it, what to do, and the first line. */
function shortIncident(incident: ReportedIncident): ReportedIncident {
  const { id, kind, xid, sxid, title, severity, verdict, action, gpu, pciAddress, count } = incident;
  const { firstAt, lastAt, trusted, explanation, standing, because, processes, raw } = incident;
  return {
    id,
    kind,
    ...(xid === undefined ? {} : { xid }),
    ...(sxid === undefined ? {} : { sxid }),
    title,
    severity,
    verdict,
    action,
    ...(gpu === undefined ? {} : { gpu }),
    pciAddress,
    count,
    firstAt,
    lastAt,
    trusted,
    explanation,
    standing,
    ...(because === undefined ? {} : { because }),
    ...(processes ? { processes: processes.slice(0, 1) } : {}),
    raw: raw.slice(0, 1).map((line) => quarantine(line, shortRawLength)),
  };
}

function reportHolder(holder: Parameters<typeof presentHolder>[0]) {
  const { kinds, gpus: _, ...row } = presentHolder(holder, 'summary');
  const { shares } = holder;
  const used = shares.flatMap(({ memoryUsedBytes }) => memoryUsedBytes ?? []);
  return {
    ...row,
    kinds: kinds.toSorted(),
    gpus: [...new Set(shares.map(({ gpu }) => gpu))].sort((a, b) => a - b),
    memoryUsedBytes: used.length === shares.length ? used.reduce((sum, bytes) => sum + bytes, 0) : null,
  };
}

function reportApplicationError({ decoded, at, raw, file, line }: KernelEvent) {
  const code = decoded?.['code'] ?? null;
  return {
    at,
    // Cut out of the line.
    decoded: { code: typeof code === 'string' ? quarantine(code, 64) : code },
    ...(file === undefined ? {} : { file: quarantine(file, maximumFileLength), line: line ?? null }),
    raw: quarantine(raw, maximumRawLength),
  };
}

/** "Xid 79", "SXid 20034", or the kind of what has no number. */
export const nameOfIncident = ({ kind, xid, sxid }: Pick<Incident, 'kind' | 'xid' | 'sxid'>): string =>
  xid === undefined ? (sxid === undefined ? kind : `SXid ${sxid}`) : `Xid ${xid}`;

function reportEvent(incident: Incident): ReportedEvent {
  const { title, gpu, firstAt, lastAt, count, standing, trusted } = incident;
  const often = count > 1 ? `, ${count} times until ${lastAt ?? 'an unknown time'}` : '';
  const weight = trusted === false ? 'not written by the kernel' : standing === 'primary' ? '' : standing;
  return {
    at: firstAt,
    ...(gpu ? { gpu: gpu.index } : {}),
    what: `${nameOfIncident(incident)}: ${title}${often}${weight && ` (${weight})`}`,
  };
}

/** Oldest first; what has no time stays in front, so that a cut does not put it between others. */
function byTime(a: ReportedEvent, b: ReportedEvent): number {
  const moment = ({ at }: ReportedEvent) => (at === null ? 0 : Date.parse(at));
  return moment(a) - moment(b);
}
