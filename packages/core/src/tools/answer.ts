import { z } from 'zod';
import type { Gap } from '../domain/gap.ts';
import type { GpuReading } from '../domain/gpu.ts';
import { type Action, type Finding, type Verdict, verdicts, worstVerdict } from '../domain/verdict.ts';
import type { GpuError } from '../errors.ts';
import { gapReasonOf } from '../gpu-reader.ts';
import type { KernelLogCoverage } from '../ports/kernel-log.ts';
import type { StructuredContent } from './tool.ts';
import type { Toolkit } from './toolkit.ts';

export type Detail = 'summary' | 'full';

export interface NextStep {
  readonly action: Action;
  readonly reason: string;
  /** A tool of this server that tells more. */
  readonly tool?: string;
  /** A command for a person at a shell. */
  readonly command?: string;
}

export interface GpuBackendCoverage {
  readonly backend: string;
  readonly readable: boolean;
  /** True when the readings are invented. */
  readonly simulated?: true;
  /** The code of the error that keeps it from being read; the gap beside it has the whole story. */
  readonly detail?: string;
}

/** What the machine shows of its GPUs without their driver. */
export interface PciBusCoverage {
  readonly readable: boolean;
  /** GPUs of the backend's vendor on the bus; null when it could not be read. */
  readonly gpuCount: number | null;
  /** `/dev/nvidiaN`; null when /dev could not be read. */
  readonly deviceNodeCount: number | null;
}

export interface AnswerParts {
  readonly verdict?: Verdict;
  /** One or two sentences a person can act on, made of our own words and numbers. */
  readonly summary: string;
  readonly payload: StructuredContent;
  readonly findings?: readonly Finding[];
  readonly gaps: readonly Gap[];
  /** How many GPUs the answer covers; equal gaps of all of them become one. */
  readonly gpuCount?: number;
  readonly gpuBackend: GpuBackendCoverage;
  readonly kernelLog?: KernelLogCoverage;
  readonly pciBus?: PciBusCoverage;
  readonly nextSteps: readonly NextStep[];
  readonly page?: { readonly total: number; readonly truncated: boolean; readonly nextCursor?: string };
}

/** The envelope of every answer. */
export function makeAnswer(toolkit: Toolkit, detail: Detail, parts: AnswerParts): StructuredContent {
  return {
    apiVersion: 'v1',
    node: toolkit.nodeName,
    observedAt: new Date(toolkit.clock.now()).toISOString(),
    ...(parts.verdict === undefined ? {} : { verdict: parts.verdict }),
    summary: parts.summary,
    ...parts.payload,
    ...(parts.findings === undefined ? {} : { findings: parts.findings }),
    gaps: presentGaps(parts.gaps, detail, parts.gpuCount),
    coverage: {
      gpuBackend: parts.gpuBackend,
      ...(parts.kernelLog ? { kernelLog: parts.kernelLog } : {}),
      ...(parts.pciBus ? { pciBus: parts.pciBus } : {}),
    },
    nextSteps: parts.nextSteps,
    ...parts.page,
  };
}

/** What the backend could be asked, and why not. */
export function gpuBackendCoverage(toolkit: Toolkit, error: GpuError | undefined): GpuBackendCoverage {
  const { backend, simulated } = toolkit.reader.manifest;
  return {
    backend,
    readable: error === undefined,
    ...(simulated ? { simulated: true } : {}),
    ...(error ? { detail: error.code } : {}),
  };
}

/** What was seen while the driver could not be asked. */
export interface BesideBackend {
  readonly kernelLog?: KernelLogCoverage;
  readonly pciBus?: PciBusCoverage;
  readonly gaps: readonly Gap[];
  /** Worst first. */
  readonly findings: readonly Finding[];
}

/**
 * The answer of any tool when the driver as a whole cannot be asked: it says so and what to fix, and claims only what the kernel log and
 * the PCI bus tell. Never `ok`.
 */
export function backendUnreadable(
  toolkit: Toolkit,
  error: GpuError,
  payload: StructuredContent,
  beside?: BesideBackend,
): StructuredContent {
  const findings = beside?.findings ?? [];
  const worst = findings.find((finding) => finding.verdict !== 'ok');
  const { kernelLog, pciBus } = beside ?? {};
  const onBus =
    typeof pciBus?.gpuCount === 'number'
      ? ` The PCI bus has ${pciBus.gpuCount} GPU${pciBus.gpuCount === 1 ? '' : 's'}.`
      : '';
  const told = worst ? ` ${worst.what}` : '';
  const step = worst && {
    action: worst.action,
    reason: worst.what,
    ...(worst.ruleId.startsWith('log.') ? { tool: 'analyze_xid_errors' } : {}),
  };
  return makeAnswer(toolkit, 'full', {
    verdict: worstVerdict(['unknown', ...findings.map((finding) => finding.verdict)]),
    summary: `The GPUs of this node could not be read (${error.code}), so nothing can be said of their state now.${onBus}${told}`,
    payload,
    ...(beside ? { findings } : {}),
    gaps: [
      { field: 'gpuBackend', reason: gapReasonOf(error), detail: `${error.code}: ${error.message}` },
      ...(beside?.gaps ?? []),
    ],
    gpuBackend: gpuBackendCoverage(toolkit, error),
    ...(kernelLog ? { kernelLog } : {}),
    ...(pciBus ? { pciBus } : {}),
    nextSteps: [
      ...(step ? [step] : []),
      { action: 'none', reason: error.hint, command: 'k8s-gpu-mcp-server doctor' },
    ],
  });
}

/**
 * Gaps as the answer shows them. A summary leaves out what the product simply does not have (`unsupported`); equal gaps of several GPUs
 * become one without `gpu` when every GPU of the answer has it.
 * In a summary the sections that a GPU misses for the same reason are one gap, whose `field` lists them.
 */
export function presentGaps(gaps: readonly Gap[], detail: Detail, gpuCount = 0): readonly Gap[] {
  const shown = detail === 'full' ? gaps : gaps.filter((gap) => gap.reason !== 'unsupported');
  const groups = new Map<string, Gap[]>();
  for (const gap of shown) {
    const key = JSON.stringify([gap.field, gap.reason, gap.detail, gap.gpu === undefined]);
    const group = groups.get(key);
    if (group) group.push(gap);
    else groups.set(key, [gap]);
  }
  const merged = [...groups.values()].flatMap((group) => {
    const [first] = group;
    const holders = new Set(group.map((gap) => gap.gpu)).size;
    if (!first || gpuCount < 2 || holders < gpuCount || first.gpu === undefined) return group;
    const { gpu: _, ...everyGpu } = first;
    return [everyGpu];
  });
  if (detail === 'full') return merged;
  const told = failedAtOnce(merged);
  return told.length > maximumSummaryGaps ? byReason(told) : told;
}

/** A summary with more says of which sections, and no longer of which leaves and GPUs. */
const maximumSummaryGaps = 12;

function byReason(gaps: readonly Gap[]): readonly Gap[] {
  const groups = new Map<string, Set<string>>();
  for (const { field, reason, detail } of gaps) {
    const key = JSON.stringify([reason, detail]);
    const sections = groups.get(key) ?? new Set();
    for (const each of field.split(', ')) sections.add(each.split('.')[0] ?? each);
    groups.set(key, sections);
  }
  return [...groups].slice(0, maximumSummaryGaps).map(([key, sections]) => {
    const [reason, detail] = JSON.parse(key) as [Gap['reason'], string];
    return { field: [...sections].join(', '), reason, detail };
  });
}

/**
 * A GPU that does not answer misses all its sections for one reason: that is one gap, whose field lists them. What the inventory said of
 * a section is left out where its reading says so again.
 */
function failedAtOnce(gaps: readonly Gap[]): readonly Gap[] {
  const isSection = ({ gpu, field }: Gap) => gpu !== undefined && !field.includes('.');
  const sectionOf = ({ gpu, field, reason }: Gap) => `${gpu} ${field} ${reason}`;
  const causeOf = ({ gpu, reason, detail }: Gap) => JSON.stringify([gpu, reason, detail]);
  const latest = new Map(gaps.filter(isSection).map((gap) => [sectionOf(gap), gap]));
  const byCause = new Map<string, Gap[]>();
  for (const gap of latest.values()) byCause.set(causeOf(gap), [...(byCause.get(causeOf(gap)) ?? []), gap]);
  return gaps.flatMap((gap) => {
    if (!isSection(gap)) return [gap];
    const [first, ...others] = byCause.get(causeOf(gap)) ?? [];
    return gap === first ? [{ ...gap, field: [gap, ...others].map(({ field }) => field).join(', ') }] : [];
  });
}

/** How long the driver took for a GPU, to a tenth of a millisecond; null when it did not answer. */
export function roundedProbe(reading: GpuReading | undefined): number | null {
  const probe = reading?.probeMilliseconds;
  return probe === undefined ? null : Math.round(probe * 10) / 10;
}

/** Objects; said in the documents, where it costs a client no tokens. */
export const rows = z.array(z.unknown());

/** For the payload of a tool that judges. The closed list of actions is in the schema of explain_failure: repeated, it would cost a client its tokens. */
export const findingsSchema = z.array(
  z.looseObject({ ruleId: z.string(), verdict: z.enum(verdicts), what: z.string(), action: z.string() }),
);

/** The output schema of a tool: the envelope and the names of its payload. */
export function answerSchema(payload: z.ZodRawShape): z.ZodObject {
  return z.looseObject({
    apiVersion: z.literal('v1'),
    node: z.string(),
    observedAt: z.string(),
    verdict: z.enum(verdicts).optional(),
    summary: z.string(),
    ...payload,
    gaps: rows,
    coverage: z.looseObject({}),
    nextSteps: rows,
  });
}
