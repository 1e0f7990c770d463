import { GpuError } from '../errors.ts';
import type { GpuTool, StructuredContent, ToolResult } from '../tools/tool.ts';

type Answer = Extract<ToolResult, { isError: false }>;

/**
 * What a tool answers.
 * @throws GpuError with the tool's code and words when that is an error.
 */
export async function asked(
  tools: readonly GpuTool[],
  name: string,
  input: Readonly<Record<string, unknown>>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const tool = tools.find((each) => each.name === name);
  if (!tool) throw new GpuError('INTERNAL', `${name} is not among the tools.`);
  const result = await tool.call(input, signal ? { signal } : {});
  // Its text has the hint already.
  if (result.isError) throw new GpuError(result.code, result.text, { hint: '' });
  return result;
}

type Row = Readonly<Record<string, unknown>>;
const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null;
const rowsOf = ({ structuredContent: { gpus } }: Answer): readonly Row[] =>
  Array.isArray(gpus) ? gpus.filter(isRow) : [];
/** The row of the GPU that was asked for. Without a driver the rows are those of the bus, which have no index and may be others'. */
const rowOf = (answer: Answer): Row | undefined =>
  rowsOf(answer).find(({ index }) => typeof index === 'number');

/** Identity, verdict and readings of one GPU: the answer of get_gpu_health about it, with what inventory and telemetry know of it. */
export async function readGpu(
  tools: readonly GpuTool[],
  gpu: string,
  signal: AbortSignal | undefined,
): Promise<StructuredContent> {
  const [health, inventory, telemetry] = await Promise.all(
    ['get_gpu_health', 'get_gpu_inventory', 'get_gpu_telemetry'].map((name) =>
      asked(tools, name, { gpu }, signal),
    ),
  );
  if (!health || !inventory || !telemetry) throw new GpuError('INTERNAL', 'no answer.');
  const { gpus: _gpus, ...judged } = health.structuredContent;
  const { index: _index, uuid: _uuid, state: _state, ...readings } = rowOf(telemetry) ?? {};
  const { verdict, score, action } = rowOf(health) ?? {};
  const identity = rowOf(inventory) ?? null;
  const gaps = [health, inventory, telemetry].flatMap(({ structuredContent }) =>
    Array.isArray(structuredContent['gaps']) ? (structuredContent['gaps'] as readonly unknown[]) : [],
  );
  return {
    ...judged,
    gpu: identity && { ...identity, verdict, score, ...(action === undefined ? {} : { action }) },
    readings: rowOf(telemetry) ? readings : null,
    gaps: distinct(gaps),
  };
}

function distinct(values: readonly unknown[]): readonly unknown[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

/** Indices and UUIDs of the inventory that begin with what was typed; none when it cannot be had. */
export async function gpuIds(tools: readonly GpuTool[], typed: string): Promise<readonly string[]> {
  const wanted = typed.toLowerCase();
  try {
    const rows = rowsOf(await asked(tools, 'get_gpu_inventory', {}, undefined));
    const ids = [...rows.map(({ index }) => index), ...rows.map(({ uuid }) => uuid)];
    return ids
      .filter((id) => typeof id === 'number' || typeof id === 'string')
      .map(String)
      .filter((id) => id.toLowerCase().startsWith(wanted));
  } catch {
    return [];
  }
}
