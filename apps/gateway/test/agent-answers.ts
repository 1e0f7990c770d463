import { createGpuTools, type StructuredContent } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import {
  createMockKernelLog,
  createMockProvider,
  type MockScenarioName,
  mockHostDevices,
  mockHostProcesses,
} from '../../../packages/nvml-mock/src/index.ts';
import type { ClusterQuestion } from '../src/answers/question.ts';
import type { FanOutResult, NodeOutcome } from '../src/domain/node-outcome.ts';

export const observedAt = '2026-03-01T12:00:00.000Z';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** What a real agent answers on the node of a scenario. */
export async function agentAnswer(
  tool: string,
  scenario: MockScenarioName,
  { node = 'gpu-a', input = {}, seed = 1 }: { node?: string; input?: unknown; seed?: number } = {},
): Promise<StructuredContent> {
  const clock = fixedClock(observedAt);
  const options = { scenario, clock, seed };
  const tools = createGpuTools(
    {
      gpuProvider: createMockProvider(options),
      kernelLog: createMockKernelLog(options),
      hostDevices: mockHostDevices(options),
      hostProcesses: mockHostProcesses(options),
      clock,
    },
    { nodeName: node },
  );
  const asked = tools.find(({ name }) => name === tool);
  if (!asked) throw new Error(`no tool ${tool}`);
  let isDone = false;
  const result = asked.call(input).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    for (let each = 0; each < 20; each += 1) await turn();
    if (!isDone) clock.advance(100);
  }
  const settled = await result;
  if (settled.isError) throw new Error(settled.text);
  return settled.structuredContent;
}

export const ok = (node: string, content: unknown): NodeOutcome => ({
  node,
  status: 'ok',
  content: content as StructuredContent,
});

export const failed = (
  node: string,
  status: Exclude<NodeOutcome['status'], 'ok'>,
  said?: string,
): NodeOutcome => ({
  node,
  status,
  reason: `It is ${status}.`,
  ...(said === undefined ? {} : { said }),
});

export const fanOut = (outcomes: readonly NodeOutcome[]): FanOutResult => ({
  outcomes,
  staleSince: null,
  directoryProblem: null,
});

export const asking = (tool: string, more: Partial<ClusterQuestion> = {}): ClusterQuestion => ({
  tool,
  detail: 'summary',
  observedAt,
  directoryKind: 'static',
  ...more,
});

/** `gpu-node-0007`, and as long as the names of cloud nodes are. */
export const nodeName = (number: number) =>
  `gpu-node-${String(number).padStart(4, '0')}.eu-west-1.compute.internal`;

/** Four bytes of compact JSON each. */
export const tokens = (content: unknown) => Buffer.byteLength(JSON.stringify(content)) / 4;

/** Another order, the same each time. */
export const shuffled = <T>(items: readonly T[]): readonly T[] =>
  items
    .map((item, index) => ({ item, key: (index * 7919) % 1_009 }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
