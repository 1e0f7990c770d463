import { type GpuErrorCode, gpuErrorCodes, quarantine, type ToolResult } from '@k8s-gpu-mcp/core';
import type { NodeOutcome, NodeStatus } from '../domain/node-outcome.ts';
import { sayNode } from './words.ts';

const codes: Readonly<Record<Exclude<NodeStatus, 'ok'>, GpuErrorCode>> = {
  error: 'UNAVAILABLE',
  timeout: 'TIMEOUT',
  'circuit-open': 'UNAVAILABLE',
  'not-ready': 'UNAVAILABLE',
  stale: 'UNAVAILABLE',
};

/** The agent's own answer as it is; or, where there is none, an error that names the node, its status and why. */
export function presentOneNode(outcome: NodeOutcome): ToolResult {
  if (outcome.status === 'ok') {
    const structuredContent = outcome.content;
    return { isError: false, structuredContent, text: JSON.stringify(structuredContent) };
  }
  const { node, status, reason, said } = outcome;
  const code = (said === undefined ? undefined : codeIn(said)) ?? codes[status];
  const told = said === undefined ? '' : ` The agent said: ${JSON.stringify(quarantine(said, 1_000))}`;
  const hint =
    status === 'error' && said !== undefined
      ? ''
      : ` Call get_gpu_health without node to see how the others are.`;
  const text = `${code}: ${sayNode(node)} is ${status}: ${sentence(quarantine(reason, 300))}${hint}${told}`;
  return { isError: true, code, text };
}

const sentence = (words: string) => (words.endsWith('.') ? words : `${words}.`);

/** An agent's error begins with its code. */
function codeIn(said: string): GpuErrorCode | undefined {
  const [word = ''] = said.slice(0, 40).split(':', 1);
  return Object.hasOwn(gpuErrorCodes, word) ? (word as GpuErrorCode) : undefined;
}
