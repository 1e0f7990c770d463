import { z } from 'zod';
import { eventSeverities } from '../domain/event.ts';
import type { Gap } from '../domain/gap.ts';
import type { GpuRef } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import { strongestAction, type Verdict, worstVerdict } from '../domain/verdict.ts';
import { GpuError, isGpuError } from '../errors.ts';
import { gapReasonOf } from '../gpu-reader.ts';
import type { KernelLogCoverage } from '../ports/kernel-log.ts';
import { parseGpuSelector, resolveGpu } from '../selector.ts';
import { groupIncidents, isContext } from '../xid/incidents.ts';
import { answerSchema, gpuBackendCoverage, makeAnswer, type NextStep } from './answer.ts';
import { checkOrder, detailArgument, gpuArgument, parseTime, timeArgument } from './arguments.ts';
import { placesOfProcesses } from './incident-processes.ts';
import {
  byIncidentUrgency,
  gpusForAttribution,
  type KernelEventRead,
  presentIncident,
  readKernelEvents,
} from './kernel-events.ts';
import { defineTool } from './tool.ts';
import type { Toolkit } from './toolkit.ts';

const defaultLimit = 10;

/** Kernel-log errors as incidents: decoded, grouped, attributed. */
export function analyzeXidErrors(toolkit: Toolkit) {
  return defineTool({
    name: 'analyze_xid_errors',
    title: 'Xid and SXid errors',
    description:
      "GPU errors in the kernel log (Xid, NVSwitch SXid, bus loss, PCIe) grouped into incidents, decoded, attributed to a GPU, each with the vendor's action. Works when the driver hangs.",
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      since: timeArgument('Only events after this'),
      until: timeArgument('Only events before this'),
      minimumSeverity: z
        .enum(eventSeverities, { error: `expected one of ${eventSeverities.join(', ')}` })
        .default('info')
        .describe('Leave out lesser events.'),
      limit: z
        .int({ error: 'expected a whole number from 1 to 200' })
        .min(1, 'expected 1 to 200')
        .max(200, 'expected 1 to 200')
        .default(defaultLimit)
        .describe('Incidents per page.'),
      cursor: z.string().max(16).describe('nextCursor of the page before.').optional(),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({
      eventCount: z.number(),
      incidents: z.array(
        z.looseObject({
          kind: z.string(),
          xid: z.number().optional(),
          verdict: z.string(),
          action: z.string(),
          count: z.number(),
        }),
      ),
      total: z.number(),
      truncated: z.boolean(),
      nextCursor: z.string().optional(),
    }),
    async handle({ gpu, since, until, minimumSeverity, limit, cursor, detail }, signal) {
      const now = toolkit.clock.now();
      const from = since === undefined ? undefined : parseTime('since', since, now);
      const to = until === undefined ? undefined : parseTime('until', until, now);
      if (from !== undefined) checkOrder(from, now, to);
      const offset = parseCursor(cursor);
      if (gpu !== undefined) parseGpuSelector(gpu);
      // Asked at the same time: the log must not wait for a driver that hangs.
      const reading = readKernelEvents(toolkit, from, signal);
      const gpus = await gpusForAttribution(toolkit, signal);
      const known = isGpuError(gpus) ? [] : gpus;
      const wanted = gpu === undefined ? undefined : await wantedDevice(toolkit, gpu, gpus, signal);
      const log = await reading;
      const { bootedAt } = log.coverage;
      const facts = bootedAt === undefined ? {} : { bootedAt };
      const grouped = groupIncidents(log.events, { gpus: known, facts });
      const asked = (wanted === undefined ? grouped : incidentsOf(wanted, grouped))
        .filter((incident) => from === undefined || !isBefore(incident.lastAt, from))
        .filter((incident) => to === undefined || !isBefore(to, incident.firstAt))
        .toSorted(byIncidentUrgency);
      const leastSevere = eventSeverities.indexOf(minimumSeverity);
      const incidents = asked.filter((incident) => eventSeverities.indexOf(incident.severity) <= leastSevere);
      const page = incidents.slice(offset, offset + limit);
      const truncated = offset + page.length < incidents.length;
      const placeOf = await placesOfProcesses(toolkit, page, signal);
      // The verdict and its step do not change with what the list leaves out.
      const verdict = verdictOf(asked, log.coverage);
      return makeAnswer(toolkit, detail, {
        verdict,
        summary: summarise(asked, log, verdict),
        payload: {
          eventCount: log.events.filter((event) => !isContext(event)).length,
          incidents: page.map((incident) => {
            const row = presentIncident(incident, detail);
            if (!row.processes) return row;
            const withPlace = (each: { readonly pid?: number }) =>
              each.pid === undefined ? each : { ...each, ...placeOf(incident, each.pid) };
            return { ...row, processes: row.processes.map(withPlace) };
          }),
        },
        gaps: [...log.gaps, ...attributionGaps(gpus)],
        gpuBackend: gpuBackendCoverage(toolkit, isGpuError(gpus) ? gpus : undefined),
        kernelLog: log.coverage,
        nextSteps: nextSteps(asked, log.coverage, verdict, toolkit.reader.manifest.sections.length > 0),
        page: {
          total: incidents.length,
          truncated,
          ...(truncated ? { nextCursor: String(offset + page.length) } : {}),
        },
      });
    },
  });
}

function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^\d{1,9}$/.test(cursor)) return Number(cursor);
  throw new GpuError(
    'INVALID_INPUT',
    `cursor = ${JSON.stringify(cursor)} is not a nextCursor of this tool.`,
    {
      hint: 'Give the nextCursor of the page before, or leave cursor out for the first page.',
    },
  );
}

/** Whether one time is known to be before another; times of a log may carry any offset. */
function isBefore(time: string | null, other: string | null): boolean {
  return time !== null && other !== null && Date.parse(time) < Date.parse(other);
}

interface WantedDevice {
  /** Undefined where the driver does not know where its GPU is, as of a lost one. */
  readonly pciAddress: string | undefined;
  readonly index?: number;
}

/** A PCI address needs no inventory; anything else is looked up. */
async function wantedDevice(
  toolkit: Toolkit,
  selector: string | number,
  gpus: readonly GpuRef[] | GpuError,
  signal: AbortSignal,
): Promise<WantedDevice> {
  const parsed = parseGpuSelector(selector);
  if (parsed.kind === 'pci') return { pciAddress: parsed.key };
  if (isGpuError(gpus)) {
    throw new GpuError(gpus.code, `gpu = ${JSON.stringify(selector)} cannot be looked up: ${gpus.message}.`, {
      hint: 'Give the PCI address of the GPU instead, or leave gpu out.',
    });
  }
  const { index, pciAddress } = await resolveGpu(selector, gpus, toolkit.reader, signal);
  return { pciAddress: pciDeviceKey(pciAddress), index };
}

/** @throws GpuError UNAVAILABLE when the GPU has no address and no incident is known to be its own. */
function incidentsOf(
  { pciAddress, index }: WantedDevice,
  incidents: readonly Incident[],
): readonly Incident[] {
  if (pciAddress !== undefined) return incidents.filter((incident) => incident.pciAddress === pciAddress);
  const own = incidents.filter(({ gpu }) => gpu?.index === index);
  if (own.length > 0) return own;
  throw new GpuError(
    'UNAVAILABLE',
    `The PCI address of GPU ${index} is not known, so its log lines cannot be told apart.`,
    {
      hint: 'Call analyze_xid_errors without gpu, or with the PCI address that lspci shows.',
    },
  );
}

/** What a user-space program may have written supports no verdict and no action. */
const supporting = (incidents: readonly Incident[]) => incidents.filter(({ trusted }) => trusted !== false);

/** No incidents in a readable log is `ok` for the time it covers; an unreadable log is `unknown`. */
function verdictOf(incidents: readonly Incident[], coverage: KernelLogCoverage): Verdict {
  if (!coverage.readable) return 'unknown';
  return worstVerdict([...supporting(incidents).map((incident) => incident.verdict), 'ok']);
}

function summarise(incidents: readonly Incident[], log: KernelEventRead, verdict: Verdict): string {
  if (!log.coverage.readable) return 'The kernel log could not be read, so past GPU errors are not known.';
  if (incidents.length === 0) {
    const errorCount = log.events.filter((event) => !isContext(event)).length;
    return errorCount === 0
      ? 'No GPU errors in the part of the kernel log that was read.'
      : `None of the ${errorCount} GPU events in the kernel log match what was asked.`;
  }
  const trusted = supporting(incidents);
  const forged = incidents.length - trusted.length;
  const parts: string[] = [];
  if (trusted.length > 0) {
    const worst = trusted.filter((incident) => incident.verdict === verdict);
    const list = worst.slice(0, 4).map(describe).join('; ');
    const more = worst.length > 4 ? ` and ${worst.length - 4} more` : '';
    parts.push(`${countOf(trusted.length)}${trusted.length > 1 ? ', worst first' : ''}: ${list}${more}.`);
  }
  if (forged > 0) {
    parts.push(`${countOf(forged)} written by a program, not the kernel: no conclusion is drawn from it.`);
  }
  return parts.join(' ');
}

const countOf = (count: number) => `${count} incident${count === 1 ? '' : 's'}`;

function describe(incident: Incident): string {
  const where = incident.gpu ? `GPU ${incident.gpu.index}` : (incident.pciAddress ?? 'an unnamed device');
  const times = incident.count > 1 ? `, ${incident.count} times` : '';
  const standing = incident.standing === 'primary' ? '' : `, ${incident.standing}`;
  return `${nameOf(incident)} on ${where} (${incident.title}${times}${standing})`;
}

const nameOf = ({ kind, xid, sxid }: Incident) =>
  xid === undefined ? (sxid === undefined ? kind : `SXid ${sxid}`) : `Xid ${xid}`;

function attributionGaps(gpus: readonly GpuRef[] | GpuError): Gap[] {
  if (!isGpuError(gpus)) return [];
  return [{ field: 'gpuAttribution', reason: gapReasonOf(gpus), detail: `${gpus.code}: ${gpus.message}` }];
}

function nextSteps(
  incidents: readonly Incident[],
  coverage: KernelLogCoverage,
  verdict: Verdict,
  hasGpus: boolean,
): NextStep[] {
  if (!coverage.readable) {
    return [
      {
        action: 'none',
        reason: 'See which log sources were tried and what they need.',
        command: 'k8s-gpu-mcp-server doctor',
      },
    ];
  }
  const deciding = supporting(incidents).filter((incident) => incident.verdict === verdict);
  const action = strongestAction(deciding.map((incident) => incident.action));
  const first = deciding.find((incident) => incident.action === action);
  if (!first || action === 'none') return [];
  const isVendors = first.xid !== undefined || first.sxid !== undefined;
  const step: NextStep = {
    action,
    reason: `The ${isVendors ? "vendor's " : ''}action for ${describe(first)}.`,
  };
  // The vendor's word for a program that failed: whose fault it was is another question.
  if (verdict === 'ok' && action !== 'monitor') {
    return [
      step,
      { action: 'none', reason: 'See whether it was the program or the GPU.', tool: 'explain_failure' },
    ];
  }
  if (!hasGpus) return [step];
  return [step, { action: 'none', reason: 'See what the GPUs themselves say now.', tool: 'get_gpu_health' }];
}
