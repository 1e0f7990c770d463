import { type StructuredContent, type Verdict, worstVerdict } from '@k8s-gpu-mcp/core';
import { rowsOf, textOf, verdictOf } from './fields.ts';
import { InterruptedError } from './gateway-session.ts';
import { type Ask, askNodes, isClusterAnswer } from './questions.ts';

const atOnce = 8;

/**
 * Who holds the GPUs and how they are loaded: the answer of `get_gpu_processes` with what `get_gpu_telemetry` reads of each node in it, or
 * why it could not. Telemetry is asked of one node at a time, so this goes over the nodes that answered.
 */
export async function askTop(
  ask: Ask,
  given: StructuredContent,
  limit: number,
  onNode: (done: number, total: number) => void,
): Promise<StructuredContent> {
  const holders = await askNodes(ask, 'get_gpu_processes', given, limit);
  if (!isClusterAnswer(holders)) {
    const told = await readTelemetry(ask, textOf(holders, 'node', 253) ?? '');
    return { ...holders, ...told, ...worstOf(holders, [told]) };
  }
  const rows = rowsOf(holders, 'nodes');
  const asked = rows.filter((row) => textOf(row, 'status') === 'ok');
  const told = new Map<StructuredContent, StructuredContent>();
  const waiting = [...asked];
  const work = async () => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      told.set(row, await readTelemetry(ask, textOf(row, 'node', 253) ?? ''));
      onNode(told.size, asked.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, asked.length) }, work));
  return {
    ...holders,
    nodes: rows.map((row) => ({ ...row, ...told.get(row) })),
    ...worstOf(holders, [...told.values()]),
  };
}

type Telemetry = { readonly telemetry: StructuredContent } | { readonly telemetryProblem: string };

/** Rejects only when the person has had enough. */
async function readTelemetry(ask: Ask, node: string): Promise<Telemetry> {
  try {
    return { telemetry: await ask('get_gpu_telemetry', { node }, { onProgress: undefined }) };
  } catch (error) {
    if (error instanceof InterruptedError) throw error;
    return { telemetryProblem: error instanceof Error ? error.message : String(error) };
  }
}

/** Readings have a verdict only where a GPU did not answer; readings that did not come are unknown. */
function worstOf(
  holders: StructuredContent,
  told: readonly StructuredContent[],
): { readonly verdict: Verdict } {
  const verdicts = told.map((each) =>
    'telemetry' in each ? (verdictOf(each['telemetry']) ?? 'ok') : 'unknown',
  );
  return { verdict: worstVerdict([verdictOf(holders) ?? 'unknown', ...verdicts]) };
}
