import { z } from 'zod';
import type { KernelEventKind } from '../../../domain/event.ts';
import { findSxid, findXid } from '../../../xid/catalogue.ts';
import { kindCatalogue } from '../../../xid/kinds.ts';
import type { ReportedGpu } from '../../report/reported-gpu.ts';
import { failureIncidentRow, maybeWord, rows, time, word } from '../agent-answers.ts';
import type { AgentSaid } from '../cluster-toolkit.ts';

// What an agent reports is read with care: its numbers and the words it repeats, never its sentences.

const count = z
  .union([z.int().min(0), z.boolean()])
  .nullish()
  .catch(null);
const counterRow = z.object({ field: z.string().regex(/^[\w.]{1,64}$/), before: count, after: count });
const gpuRow = z.object({
  index: z.int().min(0).max(1_023),
  state: z.string().regex(/^[a-z-]{1,32}$/),
  name: maybeWord(96),
  uuid: maybeWord(96),
  serial: maybeWord(96),
  boardPartNumber: maybeWord(96),
  moduleId: z.int().min(0).max(1_023).nullish().catch(null),
  pciAddress: maybeWord(32),
  vbiosVersion: maybeWord(64),
  inforomVersion: maybeWord(64),
  gspFirmwareVersion: maybeWord(64),
  identityAt: time,
  countersBeforeAt: time,
  counters: rows(counterRow, 64),
});
const incidentRow = failureIncidentRow.extend({
  raw: rows(word(400), 3),
  citations: rows(z.object({ file: word(120), line: z.int().min(0) }), 3),
});
const applicationErrorRow = z.object({
  at: time,
  raw: word(400),
  decoded: z.object({ code: maybeWord(64) }).catch({ code: null }),
});
const reportAnswer = z.object({
  reportId: z.string().regex(/^rep-[0-9a-f]{16}$/),
  observedAt: time,
  report: z.object({
    driverVersion: maybeWord(64),
    computeApiVersion: maybeWord(64),
    gpus: rows(gpuRow, 16),
    incidents: rows(incidentRow, 50),
    applicationErrors: rows(applicationErrorRow, 20),
  }),
});

/** A kernel-log error out of an agent's report. Raw lines are untrusted. */
export interface CitedIncident extends Omit<z.infer<typeof incidentRow>, 'gpu'> {
  readonly gpu: number | null;
  /** `Xid 79`, `SXid 20034`, or the kind of what has no number. */
  readonly error: string;
  /** This version's own words for it. */
  readonly title: string;
}

/** The report of one node's agent, as far as this version reads it. */
export interface CitedReport {
  /** Under which the agent gives the whole report out. */
  readonly reportId: string;
  /** ISO 8601; null when the agent told none. */
  readonly observedAt: string | null;
  readonly driverVersion: string | null;
  readonly computeApiVersion: string | null;
  readonly gpus: readonly ReportedGpu[];
  readonly incidents: readonly CitedIncident[];
  readonly applicationErrors: readonly {
    readonly at: string | null;
    readonly code: string | null;
    readonly raw: string;
  }[];
}

/** `get_incident_report` of an agent; null when it did not answer, or in another form. */
export function hearReport(said: AgentSaid | undefined): CitedReport | null {
  const { data } = reportAnswer.safeParse(said?.content);
  if (!data) return null;
  const { driverVersion = null, computeApiVersion = null, gpus, incidents, applicationErrors } = data.report;
  return {
    reportId: data.reportId,
    observedAt: data.observedAt ?? null,
    driverVersion,
    computeApiVersion,
    gpus: gpus.map(gpuOf),
    incidents: incidents.map((incident) => ({
      ...incident,
      gpu: incident.gpu ?? null,
      error: errorOf(incident),
      title: titleOfError(incident),
    })),
    applicationErrors: applicationErrors.map(({ at, raw, decoded }) => ({
      at: at ?? null,
      code: decoded.code ?? null,
      raw,
    })),
  };
}

function gpuOf({ identityAt, countersBeforeAt, counters, ...row }: z.infer<typeof gpuRow>): ReportedGpu {
  const { index, state, moduleId = null } = row;
  return {
    index,
    state,
    name: row.name ?? null,
    uuid: row.uuid ?? null,
    serial: row.serial ?? null,
    boardPartNumber: row.boardPartNumber ?? null,
    moduleId,
    pciAddress: row.pciAddress ?? null,
    vbiosVersion: row.vbiosVersion ?? null,
    inforomVersion: row.inforomVersion ?? null,
    gspFirmwareVersion: row.gspFirmwareVersion ?? null,
    ...(identityAt ? { identityAt } : {}),
    ...(countersBeforeAt ? { countersBeforeAt } : {}),
    counters: counters.map(({ field, before, after }) => ({
      field,
      before: before ?? null,
      after: after ?? null,
    })),
  };
}

interface Numbered {
  readonly kind: KernelEventKind;
  readonly xid?: number | undefined;
  readonly sxid?: number | undefined;
}

/** `Xid 79`, `SXid 20034`, or the kind. */
export const errorOf = ({ kind, xid, sxid }: Numbered): string =>
  xid === undefined ? (sxid === undefined ? kind : `SXid ${sxid}`) : `Xid ${xid}`;

/** In the words of this version's catalogue, not of whoever told. */
export function titleOfError({ kind, xid, sxid }: Numbered): string {
  const entry = xid === undefined ? (sxid === undefined ? undefined : findSxid(sxid)) : findXid(xid);
  return entry?.title ?? kindCatalogue[kind].title;
}
