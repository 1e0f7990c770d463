import { z } from 'zod';
import type { AgentInventory, AgentXid } from '../../cluster/agent-inventory.ts';
import type { AgentDiagnosis } from '../../cluster/workload-failure-facts.ts';
import { causes } from '../../domain/diagnosis.ts';
import { eventSeverities, kernelEventKinds } from '../../domain/event.ts';
import type { Gap } from '../../domain/gap.ts';
import { type Incident, incidentStandings } from '../../domain/incident.ts';
import { actions, confidences, verdicts } from '../../domain/verdict.ts';
import type { ContainerDevices } from '../../ports/cluster.ts';
import { findXid } from '../../xid/catalogue.ts';
import { quarantine } from '../untrusted-text.ts';
import type { AgentSaid } from './cluster-toolkit.ts';

// What agents answer is read with care: one of another version, or one that lies, costs its own facts and nothing else.

const count = z.int().min(0).max(1_024);
const maybeCount = count.nullish().catch(null);
export const word = (length: number) => z.string().transform((text) => quarantine(text, length));
export const maybeWord = (length: number) => word(length).nullish().catch(null);
/** Rows that cannot be read are left out. */
export const rows = <T>(row: z.ZodType<T>, maximum: number) =>
  z
    .array(z.unknown())
    .catch([])
    .transform((list) =>
      list.slice(0, maximum).flatMap((each) => {
        const { data } = row.safeParse(each);
        return data === undefined ? [] : [data];
      }),
    );

const migRow = z.object({ profile: z.string().regex(/^\d{1,2}[a-z0-9.+]{1,24}$/) });
const gpuRow = z.object({
  index: z.int().min(0).max(1_023).nullish().catch(null),
  state: word(16),
  name: maybeWord(64),
  uuid: maybeWord(48),
  pciAddress: maybeWord(24),
  migEnabled: z.boolean().nullish().catch(null),
  migDevices: rows(migRow, 16),
});
const faultRow = z.object({
  ruleId: word(64),
  verdict: z.enum(verdicts),
  action: z.enum(actions),
  evidence: z.array(z.unknown()).catch([]),
});
const inventoryAnswer = z.object({
  driverVersion: maybeWord(32),
  gpuCount: maybeCount,
  gpus: rows(gpuRow, 64),
  findings: rows(faultRow, 64),
  coverage: z.object({
    pciBus: z.object({ gpuCount: maybeCount, deviceNodeCount: maybeCount }).nullish().catch(null),
  }),
});

export type AgentGpu = z.infer<typeof gpuRow>;

export interface HeardInventory {
  /** Null when the agent was not heard. */
  readonly inventory: AgentInventory | null;
  readonly driverVersion: string | null;
  readonly gpus: readonly AgentGpu[];
  readonly gaps: readonly Gap[];
}

/** `get_gpu_inventory` and `analyze_xid_errors` of an agent as facts. */
export function hearInventory(inventory: AgentSaid, xidErrors: AgentSaid): HeardInventory {
  const parsed = inventory.content === null ? undefined : inventoryAnswer.safeParse(inventory.content);
  const heardXids = hearXids(xidErrors);
  if (!parsed?.success) {
    const gap: Gap =
      inventory.content === null
        ? { field: 'agent', reason: inventory.reason, detail: inventory.detail }
        : {
            field: 'agent',
            reason: 'error',
            detail: 'the agent answered in another form than this version reads',
          };
    const inventoryOfLog = heardXids.xids === null ? null : { ...nothingKnown, xids: heardXids.xids };
    return { inventory: inventoryOfLog, driverVersion: null, gpus: [], gaps: [gap, ...heardXids.gaps] };
  }
  const { gpuCount = null, gpus, findings, coverage, driverVersion = null } = parsed.data;
  const pciGpuCount = coverage.pciBus?.gpuCount ?? null;
  const isListed = gpuCount !== null && gpus.length === gpuCount;
  const areMigModesKnown = isListed && gpus.every(({ migEnabled }) => typeof migEnabled === 'boolean');
  return {
    inventory: {
      pciGpuCount,
      driverGpuCount: pciGpuCount === null ? null : Math.max(0, pciGpuCount - unboundGpus(findings)),
      libraryGpuCount: gpuCount,
      usableGpuCount: isListed ? gpus.filter(({ state }) => state === 'ok').length : null,
      deviceNodeCount: coverage.pciBus?.deviceNodeCount ?? null,
      migGpuCount: areMigModesKnown ? gpus.filter(({ migEnabled }) => migEnabled).length : null,
      migDevices: areMigModesKnown ? tally(gpus.flatMap(({ migDevices }) => migDevices)) : null,
      faults: findings.map(({ evidence: _, ...fault }) => fault),
      xids: heardXids.xids,
      gaps: [],
    },
    driverVersion,
    gpus,
    gaps: heardXids.gaps,
  };
}

const nothingKnown: AgentInventory = {
  pciGpuCount: null,
  driverGpuCount: null,
  libraryGpuCount: null,
  usableGpuCount: null,
  deviceNodeCount: null,
  migGpuCount: null,
  migDevices: null,
  faults: [],
  xids: null,
  gaps: [],
};

/** One piece of evidence for each GPU that another driver, or none, holds. */
function unboundGpus(findings: readonly z.infer<typeof faultRow>[]): number {
  const rules = new Set(['gpu.without-driver', 'gpu.bound-to-other-driver']);
  return findings
    .filter(({ ruleId }) => rules.has(ruleId))
    .reduce((sum, { evidence }) => sum + evidence.length, 0);
}

function tally(devices: readonly { readonly profile: string }[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const { profile } of devices) counts.set(profile, (counts.get(profile) ?? 0) + 1);
  return Object.fromEntries(counts);
}

const incidentRow = z.object({
  xid: z.int().min(1).max(100_000),
  verdict: z.enum(verdicts),
  action: z.enum(actions),
  lastAt: maybeWord(32),
  standing: z.string().nullish(),
  trusted: z.unknown(),
  gpu: z
    .union([z.int().min(0).max(1_023), z.object({ index: z.int().min(0).max(1_023) })])
    .nullish()
    .catch(null),
});
const xidAnswer = z.object({
  incidents: rows(incidentRow, 64),
  coverage: z.object({ kernelLog: z.object({ readable: z.literal(true) }) }),
});

function hearXids(said: AgentSaid): {
  readonly xids: readonly AgentXid[] | null;
  readonly gaps: readonly Gap[];
} {
  if (said.content === null)
    return { xids: null, gaps: [{ field: 'kernelLog', reason: said.reason, detail: said.detail }] };
  const { data } = xidAnswer.safeParse(said.content);
  if (!data)
    return {
      xids: null,
      gaps: [
        { field: 'kernelLog', reason: 'not-observable', detail: 'the agent cannot read the kernel log' },
      ],
    };
  const counting = data.incidents.filter(
    ({ standing, trusted }) => (standing ?? 'primary') === 'primary' && trusted !== false,
  );
  return {
    xids: counting.map(({ gpu = null, xid, verdict, action, lastAt = null }) => ({
      gpu: typeof gpu === 'object' ? (gpu?.index ?? null) : gpu,
      xid,
      verdict,
      action,
      lastAt,
    })),
    gaps: [],
  };
}

const objectName = z.string().min(1).max(253);
const containerRow = z.object({
  namespace: objectName,
  pod: objectName,
  container: objectName,
  devices: rows(z.object({ resourceName: z.string().max(128), deviceIds: rows(word(96), 256) }), 16),
  claims: rows(z.object({ namespace: objectName, name: objectName, cdiDevices: rows(word(128), 64) }), 16),
});
const devicesAnswer = z.object({ containers: z.array(z.unknown()) });

/** `get_pod_gpu_allocation` of an agent: what its kubelet gave to whom; null when it did not tell. */
export function hearPodResources(said: AgentSaid): readonly ContainerDevices[] | null {
  const { data } = devicesAnswer.safeParse(said.content);
  return data ? rows(containerRow, 1_000).parse(data.containers) : null;
}

const gpuIndex = z.int().min(0).max(1_023).nullish().catch(null);
export const time = z
  .string()
  .max(40)
  .refine((text) => !Number.isNaN(Date.parse(text)))
  // Parsers let a text in brackets pass.
  .transform((text) => new Date(text).toISOString())
  .nullish()
  .catch(null);
const code = z.int().min(0).max(100_000).optional().catch(undefined);
export const failureIncidentRow = z.object({
  // What is no id of ours is left out; the row stays.
  id: z
    .string()
    .regex(/^[\w.:/@#~+-]{1,128}$/)
    .catch(''),
  kind: z.enum(kernelEventKinds),
  xid: code,
  sxid: code,
  severity: z.enum(eventSeverities),
  verdict: z.enum(verdicts),
  action: z.enum(actions),
  gpu: gpuIndex,
  gpuUuid: maybeWord(48),
  pciAddress: maybeWord(24),
  count: z.int().min(1).catch(1),
  firstAt: time,
  lastAt: time,
  trusted: z.union([z.boolean(), z.literal('unknown')]).catch('unknown'),
  standing: z.enum(incidentStandings).catch('primary'),
  occurrenceCount: z.int().min(1).catch(1),
});
const readable = z.object({ readable: z.boolean() }).catch({ readable: false });
const failureAnswer = z.object({
  verdict: z.enum(verdicts),
  notYourCode: z.union([z.boolean(), z.literal('undecided')]),
  cause: z.enum(causes),
  confidence: z.enum(confidences),
  action: z.enum(actions),
  gpu: gpuIndex,
  findings: rows(
    z.object({ ruleId: word(64), verdict: z.enum(verdicts), action: z.enum(actions), gpu: gpuIndex }),
    32,
  ),
  incidents: rows(failureIncidentRow, 8),
  coverage: z.object({ gpuBackend: readable, kernelLog: readable }),
});
const failureIncidents = z.object({
  incidents: rows(failureIncidentRow, 64),
  coverage: z.object({ kernelLog: z.object({ readable: z.literal(true) }) }),
});

export interface HeardFailure {
  /** Null when the agent was not heard. */
  readonly diagnosis: AgentDiagnosis | null;
  /** Null when its kernel log was not read. Only what the reasoning needs of each; texts of the agent are left out. */
  readonly incidents: readonly Incident[] | null;
  readonly gaps: readonly Gap[];
}

/** `explain_failure` and `analyze_xid_errors` of an agent as facts. */
export function hearFailure(explained: AgentSaid, xidErrors: AgentSaid): HeardFailure {
  const { data } = failureAnswer.safeParse(explained.content);
  const log = failureIncidents.safeParse(xidErrors.content).data;
  const gaps: Gap[] = [];
  if (!data) gaps.push(unheard('agent.explain_failure', explained));
  if (xidErrors.content === null) gaps.push(unheard('agent.analyze_xid_errors', xidErrors));
  else if (!log)
    gaps.push({
      field: 'kernelLog',
      reason: 'not-observable',
      detail: 'the agent cannot read the kernel log',
    });
  const gpu = data?.gpu ?? null;
  const cited = [...(data?.incidents ?? []), ...(log?.incidents ?? [])];
  return {
    diagnosis: data
      ? {
          verdict: data.verdict,
          notYourCode: data.notYourCode,
          cause: data.cause,
          confidence: data.confidence,
          action: data.action,
          gpu,
          gpuUuid:
            gpu === null ? null : (cited.find((each) => each.gpu === gpu && each.gpuUuid)?.gpuUuid ?? null),
          findings: data.findings.map((finding) => ({ ...finding, gpu: finding.gpu ?? null })),
          canReadGpus: data.coverage.gpuBackend.readable,
          canReadLog: data.coverage.kernelLog.readable,
        }
      : null,
    incidents:
      (log ?? (data?.coverage.kernelLog.readable ? data : undefined))?.incidents.map(incidentOf) ?? null,
    gaps,
  };
}

const unheard = (field: string, said: AgentSaid): Gap =>
  said.content === null
    ? { field, reason: said.reason, detail: said.detail }
    : { field, reason: 'error', detail: 'the agent answered in another form than this version reads' };

function incidentOf(row: z.infer<typeof failureIncidentRow>): Incident {
  const { id, kind, xid, sxid, severity, verdict, action, count, trusted, standing, occurrenceCount } = row;
  const gpu = row.gpu ?? null;
  return {
    id,
    kind,
    ...(xid === undefined ? {} : { xid }),
    ...(sxid === undefined ? {} : { sxid }),
    title: '',
    explanation: '',
    severity,
    verdict,
    action,
    applicationCommon: xid !== undefined && findXid(xid)?.applicationCommon === true,
    pciAddress: row.pciAddress ?? null,
    ...(gpu === null ? {} : { gpu: { index: gpu, uuid: row.gpuUuid ?? null } }),
    count,
    firstAt: row.firstAt ?? null,
    lastAt: row.lastAt ?? null,
    firstUptimeSeconds: null,
    lastUptimeSeconds: null,
    trusted,
    processes: [],
    links: [],
    raw: [],
    source: '',
    standing,
    occurrenceCount,
    citations: [],
  };
}
