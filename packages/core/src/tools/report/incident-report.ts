import type { Diagnosis } from '../../domain/diagnosis.ts';
import type { KernelEvent } from '../../domain/event.ts';
import type { GpuReading } from '../../domain/gpu.ts';
import type { Incident } from '../../domain/incident.ts';
import type { Evidence, Finding } from '../../domain/verdict.ts';
import type { Detail } from '../answer.ts';
import { presentIncident } from '../kernel-events.ts';
import type { NodeExamination } from '../node-examination.ts';
import { presentHolder } from '../present-holders.ts';
import { quarantine } from '../untrusted-text.ts';
import { contentId } from './content-id.ts';
import { type CounterRow, countersOf } from './counters.ts';

/** What goes to a ticket. Plain data; the same facts give the same report with the same id. */
export interface IncidentReport {
  /** Made of everything else in it. */
  readonly reportId: string;
  readonly driverVersion: string | null;
  readonly computeApiVersion: string | null;
  readonly gpus: readonly ReportedGpu[];
  readonly incidents: readonly ReportedIncident[];
  readonly applicationErrors: readonly object[];
  readonly processes: readonly object[];
  /** What happened, oldest first. */
  readonly events: readonly ReportedEvent[];
  /** What the lists above leave out at this detail. */
  readonly omitted: { readonly incidents: number; readonly processes: number };
}

export interface ReportedGpu {
  readonly index: number;
  readonly state: string;
  readonly name: string | null;
  readonly uuid: string | null;
  readonly serial: string | null;
  readonly boardPartNumber: string | null;
  readonly moduleId: number | null;
  readonly pciAddress: string | null;
  readonly vbiosVersion: string | null;
  readonly inforomVersion: string | null;
  readonly gspFirmwareVersion: string | null;
  readonly counters: readonly CounterRow[];
}

export type ReportedIncident = ReturnType<typeof presentIncident> & Pick<Incident, 'id' | 'standing'>;

export interface ReportedEvent {
  readonly at: string | null;
  readonly gpu?: number;
  /** Our own words. */
  readonly what: string;
}

export interface ReportRequest {
  readonly examination: NodeExamination;
  readonly diagnosis: Diagnosis;
  /** Indices of the GPUs it is about. */
  readonly gpus: readonly number[];
  readonly detail: Detail;
}

const limits = {
  summary: { gpus: 4, incidents: 4, processes: 4, events: 12, applicationErrors: 3 },
  full: { gpus: 64, incidents: 50, processes: 50, events: 200, applicationErrors: 20 },
} as const satisfies Record<Detail, object>;

export function assembleReport({ examination, diagnosis, gpus, detail }: ReportRequest): IncidentReport {
  const limit = limits[detail];
  const { node, readings, holders, applicationErrors } = examination;
  const isAbout = (gpu: number | undefined) => gpu === undefined || gpus.length === 0 || gpus.includes(gpu);
  // Newest last in the evidence; a ticket begins with what counts.
  const incidents = examination.incidents
    .filter(({ gpu }) => isAbout(gpu?.index))
    .toSorted((a, b) => Number(b.standing === 'primary') - Number(a.standing === 'primary'));
  const processes = holders.filter(({ shares }) => shares.some(({ gpu }) => isAbout(gpu)));
  const content = {
    driverVersion: node?.driverVersion ?? null,
    computeApiVersion: node?.computeApiVersion ?? null,
    gpus: readings
      .filter(({ gpu }) => gpus.includes(gpu.index))
      .slice(0, limit.gpus)
      .map((reading) => reportGpu(reading, examination.baselines.get(reading.gpu.index))),
    incidents: incidents.slice(0, limit.incidents).map((incident) => reportIncident(incident, detail)),
    applicationErrors: applicationErrors.slice(0, limit.applicationErrors).map(reportApplicationError),
    processes: processes.slice(0, limit.processes).map((holder) => presentHolder(holder, 'summary')),
    events: eventsOf(examination.incidents.filter(({ gpu }) => isAbout(gpu?.index))).slice(-limit.events),
    omitted: {
      incidents: Math.max(0, incidents.length - limit.incidents),
      processes: Math.max(0, processes.length - limit.processes),
    },
  };
  return { reportId: contentId(JSON.stringify([content, conclusionOf(diagnosis)])), ...content };
}

/** What was concluded, without the wording of it. */
const conclusionOf = ({ verdict, notYourCode, cause, action, findings }: Diagnosis) => ({
  verdict,
  notYourCode,
  cause,
  action,
  findings: findings.map(({ ruleId, gpu, evidence }: Finding) => [
    ruleId,
    gpu,
    evidence satisfies readonly Evidence[],
  ]),
});

function reportGpu(reading: GpuReading, before: GpuReading | undefined): ReportedGpu {
  const { gpu, state, identity } = reading;
  return {
    index: gpu.index,
    state,
    name: gpu.name,
    uuid: gpu.uuid,
    serial: identity?.serial ?? null,
    boardPartNumber: identity?.boardPartNumber ?? null,
    moduleId: identity?.moduleId ?? null,
    pciAddress: gpu.pciAddress,
    vbiosVersion: identity?.vbiosVersion ?? null,
    inforomVersion: identity?.inforomVersion ?? null,
    gspFirmwareVersion: identity?.gspFirmwareVersion ?? null,
    counters: countersOf(reading, before),
  };
}

const maximumRawLength = 400;

function reportIncident(incident: Incident, detail: Detail): ReportedIncident {
  const { id, standing, because, workflow, opinions, citations, occurrenceCount } = incident;
  return {
    ...presentIncident(incident, detail),
    // A ticket is made of the lines themselves: more of them than an answer shows.
    raw: incident.raw.map((line) => quarantine(line, maximumRawLength)),
    id,
    standing,
    ...(because === undefined ? {} : { because }),
    ...(occurrenceCount > 1 ? { occurrenceCount } : {}),
    ...(workflow
      ? { workflow: detail === 'full' ? workflow : { id: workflow.id, outcome: workflow.outcome } }
      : {}),
    ...(detail === 'full' && opinions ? { opinions } : {}),
    ...(citations.length > 0 ? { citations } : {}),
  };
}

function reportApplicationError({ decoded, at, raw, file, line }: KernelEvent) {
  return { code: decoded?.['code'] ?? null, at, file, line, raw: quarantine(raw, maximumRawLength) };
}

function eventsOf(incidents: readonly Incident[]): readonly ReportedEvent[] {
  return incidents.map(({ kind, xid, sxid, title, gpu, firstAt, lastAt, count, standing }) => {
    const code = xid === undefined ? (sxid === undefined ? kind : `SXid ${sxid}`) : `Xid ${xid}`;
    const often = count > 1 ? `, ${count} times until ${lastAt ?? 'an unknown time'}` : '';
    const counts = standing === 'primary' ? '' : ` (${standing})`;
    return {
      at: firstAt,
      ...(gpu ? { gpu: gpu.index } : {}),
      what: `${code}: ${title}${often}${counts}`,
    };
  });
}
