import { z } from 'zod';
import type { Gap } from '../../domain/gap.ts';
import { type Finding, type Verdict, verdicts } from '../../domain/verdict.ts';
import type { Clock } from '../../ports/runtime.ts';
import { type Detail, type NextStep, presentGaps, rows } from '../answer.ts';
import type { StructuredContent } from '../tool.ts';
import { quarantine } from '../untrusted-text.ts';

/** What an answer about the cluster rests on. */
export interface ClusterCoverage {
  /** What the API server told. Null: it was not asked. */
  readonly node: boolean | null;
  readonly pods: boolean;
  readonly claims: boolean | null;
  readonly events: boolean | null;
  /** Whether the agents of the nodes told of their hardware. */
  readonly agent: boolean | null;
  /** Whether device ids come from the kubelet. */
  readonly podResources: boolean | null;
}

export interface ClusterAnswerParts {
  /** Null where the answer is about several nodes. */
  readonly node: string | null;
  readonly verdict: Verdict;
  /** Our own words and numbers, and names that the API server has checked. */
  readonly summary: string;
  readonly payload: StructuredContent;
  readonly findings?: readonly Finding[];
  readonly gaps: readonly Gap[];
  readonly coverage: ClusterCoverage;
  readonly nextSteps: readonly NextStep[];
  readonly page?: StructuredContent;
}

const maximumGaps = 24;

/** The envelope of answers that come from the cluster and not from one backend. */
export function makeClusterAnswer(
  clock: Clock,
  detail: Detail,
  parts: ClusterAnswerParts,
): StructuredContent {
  const gaps = presentGaps(parts.gaps, detail).slice(0, maximumGaps);
  return {
    apiVersion: 'v1',
    node: parts.node,
    observedAt: new Date(clock.now()).toISOString(),
    verdict: parts.verdict,
    summary: parts.summary,
    ...parts.payload,
    ...(parts.findings === undefined ? {} : { findings: parts.findings.map(presentFinding) }),
    gaps: gaps.map((gap) => ({ ...gap, detail: quarantine(gap.detail, 160) })),
    coverage: parts.coverage,
    nextSteps: parts.nextSteps,
    ...parts.page,
  };
}

/** Evidence may hold a label's value or a word of the kubelet. */
function presentFinding({ evidence, ...finding }: Finding) {
  return {
    ...finding,
    evidence: evidence.map(({ value, ...each }) => ({
      ...each,
      value: typeof value === 'string' ? quarantine(value, 64) : value,
    })),
  };
}

/** The output schema: the envelope and the names of its payload. */
export function clusterAnswerSchema(payload: z.ZodRawShape): z.ZodObject {
  return z.looseObject({
    apiVersion: z.literal('v1'),
    node: z.string().nullable(),
    observedAt: z.string(),
    verdict: z.enum(verdicts),
    summary: z.string(),
    ...payload,
    gaps: rows,
    coverage: z.looseObject({}),
    nextSteps: rows,
  });
}

const nameExpected = 'expected a name of lower-case letters, digits, - and . (at most 253 characters)';

/** Name of a Kubernetes object (RFC 1123 subdomain). */
export const objectNameArgument = z
  .string({ error: nameExpected })
  .max(253, nameExpected)
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, nameExpected);
