import { awaitWithin } from '../await-within.ts';
import type { DecodedDetail, KernelEvent } from '../domain/event.ts';
import type { Gap } from '../domain/gap.ts';
import type { GpuRef } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import { verdicts } from '../domain/verdict.ts';
import { GpuError, isGpuError } from '../errors.ts';
import { gapReasonOf } from '../gpu-reader.ts';
import type { KernelLogCoverage } from '../ports/kernel-log.ts';
import { parseKernelEvent } from '../xid/parse.ts';
import type { Detail } from './answer.ts';
import type { Toolkit } from './toolkit.ts';
import { quarantine } from './untrusted-text.ts';

const maximumRawLength = 240;
const maximumNameLength = 64;

export interface KernelEventRead {
  readonly events: readonly KernelEvent[];
  readonly coverage: KernelLogCoverage;
  /** Why the log could not be read; empty when it could. */
  readonly gaps: readonly Gap[];
}

/** The events of the kernel log. Never rejects: a log that cannot be read, or not in time, is told by coverage and gaps. */
export async function readKernelEvents(
  { kernelLog, clock, logger }: Toolkit,
  since: string | undefined,
  signal: AbortSignal,
): Promise<KernelEventRead> {
  try {
    const reading = kernelLog.read({ signal, ...(since === undefined ? {} : { since }) });
    const { records, coverage } = await awaitWithin(reading, signal, clock, () => {
      logger.warn('the kernel log ignored its deadline');
      return new GpuError('TIMEOUT', 'the kernel log was not read within the deadline');
    });
    const events = records.flatMap((record) => parseKernelEvent(record) ?? []);
    return { events, coverage, gaps: coverage.readable ? [] : [unreadableGap(coverage)] };
  } catch (thrown) {
    const error = isGpuError(thrown) ? thrown : new GpuError('INTERNAL', 'reading the kernel log failed');
    if (error !== thrown) logger.error('the kernel log adapter failed', { error: thrown });
    const coverage = { source: null, readable: false, from: null, to: null };
    return {
      events: [],
      coverage,
      gaps: [{ field: 'kernelLog', reason: gapReasonOf(error), detail: error.message }],
    };
  }
}

function unreadableGap({ skipped = [] }: KernelLogCoverage): Gap {
  const tried = skipped.map(({ source, reason }) => `${source}: ${reason}`).join('; ');
  return {
    field: 'kernelLog',
    reason: 'not-observable',
    detail: tried || 'no source of the kernel log can be read',
  };
}

/** The log's answer must not wait for a driver that hangs: attribution gets this long. */
const attributionMilliseconds = 3_000;

/** The GPUs to attribute events to, or why there are none. */
export async function gpusForAttribution(
  toolkit: Toolkit,
  signal: AbortSignal,
): Promise<readonly GpuRef[] | GpuError> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const cancel = toolkit.clock.after(attributionMilliseconds, abort);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    const node = await toolkit.reader.describe(controller.signal);
    return isGpuError(node) ? node : node.gpus;
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
  }
}

const lastSeen = (incident: Incident) => incident.lastAt ?? '';

/** Worst first, then what counts by itself, causes before what they brought about, then newest, then by uptime: as a person wants them. */
export function byIncidentUrgency(a: Incident, b: Incident): number {
  return (
    verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict) ||
    Number(a.standing !== 'primary') - Number(b.standing !== 'primary') ||
    Number(a.causedBy !== undefined) - Number(b.causedBy !== undefined) ||
    (lastSeen(a) < lastSeen(b) ? 1 : lastSeen(a) > lastSeen(b) ? -1 : 0) ||
    (b.lastUptimeSeconds ?? 0) - (a.lastUptimeSeconds ?? 0)
  );
}

/** An incident as an answer shows it. Log text stands only in `raw`, `processes` and `decoded`, made harmless. */
export function presentIncident(incident: Incident, detail: Detail) {
  const { kind, xid, sxid, title, severity, verdict, action, gpu, pciAddress, count, trusted } = incident;
  const processes = incident.processes.map(({ pid, name }) => ({
    ...(pid === undefined ? {} : { pid }),
    ...(name === undefined ? {} : { name: quarantine(name, maximumNameLength) }),
  }));
  const raw = incident.raw.map((line) => quarantine(line, maximumRawLength));
  const { id, standing, because, causedBy, occurrenceCount, workflow } = incident;
  const row = {
    id,
    kind,
    ...(xid === undefined ? {} : { xid }),
    ...(sxid === undefined ? {} : { sxid }),
    title,
    severity,
    verdict,
    action,
    ...(gpu ? { gpu: gpu.index, gpuUuid: gpu.uuid } : {}),
    pciAddress,
    count,
    ...timesOf(incident),
    trusted,
    explanation: incident.explanation,
    standing,
    ...(because === undefined ? {} : { because }),
    ...(causedBy === undefined ? {} : { causedBy }),
    ...(occurrenceCount > 1 ? { occurrenceCount } : {}),
    ...(workflow ? { outcome: workflow.outcome } : {}),
    ...(processes.length > 0 ? { processes: detail === 'full' ? processes : processes.slice(0, 2) } : {}),
    raw: detail === 'full' ? raw : raw.slice(0, 1),
  };
  if (detail === 'summary') return row;
  return {
    ...row,
    applicationCommon: incident.applicationCommon,
    ...(incident.links.length > 0 ? { links: incident.links } : {}),
    ...(incident.switchIndex === undefined ? {} : { switchIndex: incident.switchIndex }),
    ...(incident.decoded ? { decoded: presentDecoded(incident.decoded) } : {}),
    source: incident.source,
    ...(workflow ? { workflow } : {}),
    ...(incident.opinions ? { opinions: incident.opinions } : {}),
    ...(incident.citations.length > 0 ? { citations: incident.citations } : {}),
  };
}

/** The words in it are cut out of the line, so they are as little trusted as the line. */
function presentDecoded(decoded: DecodedDetail): DecodedDetail {
  const harmless = ([key, value]: [string, DecodedDetail[string]]) =>
    [key, typeof value === 'string' ? quarantine(value, maximumNameLength) : value] as const;
  return Object.fromEntries(Object.entries(decoded).map(harmless));
}

/** Absolute times when known; else seconds since boot, under a name that says so. */
function timesOf({ firstAt, lastAt, firstUptimeSeconds, lastUptimeSeconds }: Incident) {
  if (firstAt !== null || lastAt !== null) return { firstAt, lastAt };
  return { firstAt, lastAt, firstUptimeSeconds, lastUptimeSeconds };
}
