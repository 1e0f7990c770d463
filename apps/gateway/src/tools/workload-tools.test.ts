import { type GpuTool, makeTool, silentLogger, type ToolContext } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { withWorkloads } from './workload-tools.ts';

const clock = fixedClock('2026-11-21T12:00:00.000Z');
/** Says who was asked, and with what. */
const toolOf = (name: string, who: string, shape: z.ZodRawShape, seen: ToolContext[] = []): GpuTool =>
  makeTool(
    {
      name,
      title: name,
      description: 'Explains.',
      inputSchema: z.strictObject(shape),
      outputSchema: z.looseObject({}),
      async handle(input, _signal, _progress, context) {
        seen.push(context);
        return { who, ...input };
      },
    },
    { clock, logger: silentLogger, deadlineMilliseconds: 10_000 },
  );
const text = z.string().optional();
const ofNode = toolOf('explain_failure', 'node', { node: text, gpu: z.number().optional() });
const workloads = [toolOf('explain_failure', 'workload', { pod: text, job: text, namespace: text })];

async function answerOf(tool: GpuTool, input: unknown) {
  const result = await tool.call(input);
  return result.isError ? result.text : result.structuredContent;
}

describe('withWorkloads', () => {
  const tool = withWorkloads(ofNode, workloads);

  test.each([
    [{}, 'node'],
    [undefined, 'node'],
    [{ node: 'gpu-node-7', gpu: 1 }, 'node'],
    [{ pod: 'research/train-0' }, 'workload'],
    [{ job: 'research/Job/llm' }, 'workload'],
  ])('%j goes to the tool of the %s', async (input, who) => {
    expect(await answerOf(tool, input)).toEqual({ who, ...input });
  });

  test('one schema with the arguments of both, still strict', () => {
    expect(Object.keys(tool.inputSchema.shape)).toEqual(
      expect.arrayContaining(['node', 'gpu', 'pod', 'job', 'namespace']),
    );
    expect(tool.inputSchema.safeParse({ pod: 'a/b' }).success).toBe(true);
    expect(tool.inputSchema.safeParse({ pods: 'a/b' }).success).toBe(false);
  });

  test.each([
    [{ pod: 'a/b', node: 'n' }, 'node cannot'],
    [{ job: 'a/b', gpu: 1, pid: 7 }, 'gpu and pid cannot'],
    [{ namespace: 'a', node: 'n' }, 'node cannot'],
  ])('%j is neither', async (input, expected) => {
    const answer = await answerOf(tool, input);
    expect(answer).toMatch(/^INVALID_INPUT: Invalid arguments for explain_failure: /);
    expect(answer).toContain(expected);
  });

  test('a misspelt argument: the arguments of both are named, and nobody is asked', async () => {
    const answer = await answerOf(tool, { pods: 'a/b', 'x\u001b[31m': 1 });
    expect(answer).toMatch(
      /^INVALID_INPUT: Invalid arguments for explain_failure: unknown argument "pods", "x" /,
    );
    expect(answer).toMatch(/arguments are: .*node.*\)/);
    for (const name of ['pod', 'job', 'namespace', 'gpu'])
      expect(answer).toMatch(new RegExp(`\\b${name}\\b`));
    const many = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`${'k'.repeat(500)}${index}`, 1]),
    );
    const long = await answerOf(tool, many);
    expect(long).toContain('and 495 more');
    expect(String(long).length).toBeLessThan(1_000);
  });

  test('get_incident_report takes a node, a pod or a job', async () => {
    const report = withWorkloads(
      toolOf('get_incident_report', 'node', { node: text, incident: text, since: text, redact: text }),
      [toolOf('get_incident_report', 'workload', { pod: text, job: text, namespace: text, redact: text })],
    );
    expect(await answerOf(report, { node: 'n', incident: 'i' })).toMatchObject({ who: 'node' });
    expect(await answerOf(report, { job: 'a/Job/b', redact: 'yes' })).toMatchObject({ who: 'workload' });
    expect(await answerOf(report, { job: 'a/Job/b', incident: 'i' })).toContain('incident cannot be given');
  });

  test('the context goes with the question', async () => {
    const seen: ToolContext[] = [];
    const told = withWorkloads(ofNode, [toolOf('explain_failure', 'workload', { pod: text }, seen)]);
    await told.call({ pod: 'a/b' }, { correlationId: '0123456789abcdef' });
    expect(seen).toMatchObject([{ correlationId: '0123456789abcdef' }]);
  });

  test('without a cluster a pod is an error that says what is missing, and a node is asked as ever', async () => {
    const alone = withWorkloads(ofNode, null);
    expect(await answerOf(alone, { pod: 'a/b' })).toMatch(
      /^UNAVAILABLE: .*Kubernetes API.*--directory kubernetes/,
    );
    expect(await answerOf(alone, { node: 'n' })).toEqual({ who: 'node', node: 'n' });
  });

  test('other tools, and those that nobody made for workloads, are left alone', () => {
    const other = toolOf('get_gpu_health', 'node', {});
    expect(withWorkloads(other, workloads)).toBe(other);
    expect(withWorkloads(ofNode, [])).toBe(ofNode);
  });

  test('planted fault: a wrapper that forgets to look would ask the node', async () => {
    expect(await answerOf(ofNode, { pod: 'a/b' })).toMatch(/unknown argument/);
  });
});
