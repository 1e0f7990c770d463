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
import { groupIncidents } from '../xid/incidents.ts';
import { answerSchema, gpuBackendCoverage, makeAnswer, type NextStep } from './answer.ts';
import { detailArgument, gpuArgument, parseTime, timeArgument } from './arguments.ts';
import { byUrgency, gpusForAttribution, presentIncident, readKernelEvents } from './incidents.ts';
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
      const offset = parseCursor(cursor);
      if (gpu !== undefined) parseGpuSelector(gpu);
      const gpus = await gpusForAttribution(toolkit, signal);
      const known = isGpuError(gpus) ? [] : gpus;
      const wanted = gpu === undefined ? undefined : await addressOf(toolkit, gpu, gpus, signal);
      const log = await readKernelEvents(toolkit, from, signal);
      const leastSevere = eventSeverities.indexOf(minimumSeverity);
      const incidents = groupIncidents(log.events, { gpus: known })
        .filter((incident) => wanted === undefined || incident.pciAddress === wanted)
        .filter((incident) => eventSeverities.indexOf(incident.severity) <= leastSevere)
        .filter((incident) => from === undefined || incident.lastAt === null || incident.lastAt >= from)
        .filter((incident) => to === undefined || incident.firstAt === null || incident.firstAt <= to)
        .sort(byUrgency);
      const page = incidents.slice(offset, offset + limit);
      const truncated = offset + page.length < incidents.length;
      const verdict = verdictOf(incidents, log.coverage);
      return makeAnswer(toolkit, detail, {
        verdict,
        summary: summarise(incidents, log.coverage, verdict),
        payload: {
          eventCount: log.events.length,
          incidents: page.map((incident) => presentIncident(incident, detail)),
        },
        gaps: [...log.gaps, ...attributionGaps(gpus)],
        gpuBackend: gpuBackendCoverage(toolkit, isGpuError(gpus) ? gpus : undefined),
        kernelLog: log.coverage,
        nextSteps: nextSteps(incidents, log.coverage, verdict),
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
      hint: 'Leave cursor out for the first page.',
    },
  );
}

/** A PCI address needs no inventory; anything else is looked up. */
async function addressOf(
  toolkit: Toolkit,
  selector: string | number,
  gpus: readonly GpuRef[] | GpuError,
  signal: AbortSignal,
): Promise<string | undefined> {
  const parsed = parseGpuSelector(selector);
  if (parsed.kind === 'pci') return parsed.key;
  if (isGpuError(gpus)) {
    throw new GpuError(gpus.code, `gpu = ${JSON.stringify(selector)} cannot be looked up: ${gpus.message}.`, {
      hint: 'Give the PCI address of the GPU instead, or leave gpu out.',
    });
  }
  return pciDeviceKey((await resolveGpu(selector, gpus, toolkit.reader, signal)).pciAddress);
}

/** No incidents in a readable log is `ok` for the time it covers; an unreadable log is `unknown`. */
function verdictOf(incidents: readonly Incident[], coverage: KernelLogCoverage): Verdict {
  if (!coverage.readable) return 'unknown';
  return incidents.length === 0 ? 'ok' : worstVerdict(incidents.map((incident) => incident.verdict));
}

function summarise(incidents: readonly Incident[], coverage: KernelLogCoverage, verdict: Verdict): string {
  if (!coverage.readable) return 'The kernel log could not be read, so past GPU errors are not known.';
  if (incidents.length === 0) return 'No GPU errors in the part of the kernel log that was read.';
  const worst = incidents.filter((incident) => incident.verdict === verdict);
  const list = worst.slice(0, 4).map(describe).join('; ');
  const more = worst.length > 4 ? ` and ${worst.length - 4} more` : '';
  return `${incidents.length} incident${incidents.length === 1 ? '' : 's'}, worst first: ${list}${more}.`;
}

function describe(incident: Incident): string {
  const where = incident.gpu ? `GPU ${incident.gpu.index}` : (incident.pciAddress ?? 'an unnamed device');
  return `${nameOf(incident)} on ${where} (${incident.title}${incident.count > 1 ? `, ${incident.count} times` : ''})`;
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
  const deciding = incidents.filter((incident) => incident.verdict === verdict);
  const action = strongestAction(deciding.map((incident) => incident.action));
  const first = deciding.find((incident) => incident.action === action);
  if (!first || verdict === 'ok') return [];
  return [
    { action, reason: `The vendor's action for ${describe(first)}.` },
    { action: 'none', reason: 'See what the GPUs themselves say now.', tool: 'get_gpu_health' },
  ];
}
