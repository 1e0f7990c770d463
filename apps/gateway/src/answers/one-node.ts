import { GpuError, type GpuErrorCode, gpuErrorCodes, quarantine, type ToolResult } from '@k8s-gpu-mcp/core';
import type { NodeOutcome, NodeStatus } from '../domain/node-outcome.ts';
import { isNodeName, sayNode } from './words.ts';

const codes: Readonly<Record<Exclude<NodeStatus, 'ok'>, GpuErrorCode>> = {
  error: 'UNAVAILABLE',
  timeout: 'TIMEOUT',
  'circuit-open': 'UNAVAILABLE',
  'not-ready': 'UNAVAILABLE',
  stale: 'UNAVAILABLE',
};

/** What an agent's tool said is wrong, as quoted; null for every other outcome. It says what to do itself. */
export function toolErrorOf(outcome: NodeOutcome): GpuError | null {
  if (!isToolError(outcome)) return null;
  const { node, status, said = '' } = outcome;
  const code = codeIn(said);
  const words = quarantine(code === undefined ? said : said.slice(code.length + 1).trimStart(), 1_000);
  const where = isNodeName(node) ? `node ${node}` : sayNode(node);
  return new GpuError(code ?? codes[status], `${where}: its agent said: ${JSON.stringify(words)}`, {
    hint: '',
  });
}

type Failed = Exclude<NodeOutcome, { status: 'ok' }>;

const isToolError = (outcome: NodeOutcome): outcome is Failed =>
  outcome.status === 'error' && outcome.said !== undefined && outcome.failure === undefined;

/** The agent's own answer as it is; or, where there is none, an error that names the node, its status and why. */
export function presentOneNode(outcome: NodeOutcome): ToolResult {
  if (outcome.status === 'ok') {
    const structuredContent = outcome.content;
    return { isError: false, structuredContent, text: JSON.stringify(structuredContent) };
  }
  const { node, status, reason, said } = outcome;
  const code = (said === undefined ? undefined : codeIn(said)) ?? codes[status];
  const told = said === undefined ? '' : ` The agent said: ${JSON.stringify(quarantine(said, 1_000))}`;
  const why = sentence(quarantine(reason, 300));
  const words = isToolError(outcome)
    ? `${sayNode(node)}: ${why}`
    : `${sayNode(node)} did not answer (${status}): ${why}${hintOf(outcome)}`;
  const text = `${code}: ${words}${told}`;
  return { isError: true, code, text };
}

/** To ask the agent again tells no more; one of another version has to be upgraded, as its reason says. */
const hintOf = ({ failure }: Failed) =>
  failure === 'incompatible'
    ? ' Call get_gpu_health without node to see how the others are.'
    : ' Call describe_gpu_node (in a cluster) or look at the agent.';

const sentence = (words: string) => (words.endsWith('.') ? words : `${words}.`);

/** An agent's error begins with its code. */
function codeIn(said: string): GpuErrorCode | undefined {
  const [word = ''] = said.slice(0, 40).split(':', 1);
  return Object.hasOwn(gpuErrorCodes, word) ? (word as GpuErrorCode) : undefined;
}
