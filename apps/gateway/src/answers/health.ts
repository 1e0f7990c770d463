import { type StructuredContent, type Verdict, verdicts } from '@k8s-gpu-mcp/core';
import type { FanOutResult } from '../domain/node-outcome.ts';
import { makeClusterAnswer } from './cluster-answer.ts';
import { type FamilyReading, gpuCountOf, gpuRowsOf, maximumGpus, readNodes } from './node-report.ts';
import type { ClusterQuestion } from './question.ts';
import {
  actionOf,
  countOf,
  field,
  gpuIndexOf,
  identifierOf,
  numberOf,
  verdictOf,
} from './untrusted-content.ts';
import { plural } from './words.ts';

const gpusShown = { summary: 4, full: maximumGpus } as const;

/** The health of all nodes, from answers of `get_gpu_health`. */
export function presentHealth(question: ClusterQuestion, result: FanOutResult): StructuredContent {
  const counts: Record<Verdict, number> = { critical: 0, warning: 0, unknown: 0, ok: 0 };
  const reports = readNodes(result.outcomes, (content) => {
    const reading = readHealth(content, question.detail);
    for (const verdict of reading.gpuVerdicts) counts[verdict] += 1;
    return reading;
  });
  const gpuCount = verdicts.reduce((sum, verdict) => sum + counts[verdict], 0);
  const told = verdicts
    .filter((verdict) => counts[verdict] > 0)
    .map((verdict) => `${counts[verdict]} ${verdict}`);
  return makeClusterAnswer(question, result, reports, {
    ...(gpuCount > 0 ? { words: `${plural(gpuCount, 'GPU')}: ${told.join(', ')}.` } : {}),
    payload: { gpuCount, gpuVerdictCounts: counts },
    moreTool: 'explain_failure',
  });
}

function readHealth(
  content: StructuredContent,
  detail: ClusterQuestion['detail'],
): FamilyReading & { readonly gpuVerdicts: readonly Verdict[] } {
  const rows = gpuRowsOf(content);
  const gpuVerdicts = (rows ?? []).map((row) => verdictOf(field(row, 'verdict')) ?? 'unknown');
  const gpuCount = gpuCountOf(content);
  const score = numberOf(field(content, 'score'));
  const listed = (rows ?? []).filter((_, position) => detail === 'full' || gpuVerdicts[position] !== 'ok');
  const shown = listed.slice(0, gpusShown[detail]).map(presentGpu);
  const isWhole = gpuCount !== null && gpuCount > 0 && gpuCount === gpuVerdicts.length;
  return {
    gpuCount,
    gpuVerdicts,
    verdicts: isWhole ? gpuVerdicts : [...gpuVerdicts, 'unknown'],
    row: {
      ...(score === null || score < 0 || score >= 100 ? {} : { score }),
      ...(shown.length > 0 ? { gpus: shown } : {}),
    },
  };
}

function presentGpu(row: StructuredContent): StructuredContent {
  const state = identifierOf(field(row, 'state'));
  const action = actionOf(field(row, 'action'));
  const score = countOf(field(row, 'score'));
  return {
    index: gpuIndexOf(field(row, 'index')),
    verdict: verdictOf(field(row, 'verdict')) ?? 'unknown',
    ...(state === null ? {} : { state }),
    ...(action === null ? {} : { action }),
    ...(score === null ? {} : { score }),
  };
}
