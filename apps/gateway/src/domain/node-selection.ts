import { GpuError, quarantine } from '@k8s-gpu-mcp/core';
import type { AgentNode } from '../ports/node-directory.ts';
import { parseLabelSelector } from './label-selector.ts';
import { nearNames } from './near-names.ts';

/** What a tool's `node` argument may be: a name, names with commas or as an array, a label selector, or `all`. */
export type NodeArgument = string | readonly string[];

const maximumNames = 1_000;
const maximumLength = 65_536;
const maximumUnknownShown = 3;
const maximumNear = 3;

/**
 * The nodes that a tool's `node` argument means, in the order of `nodes`. Absent and `all` mean all of them. What is a name of a node is
 * taken as one, even where it could be read as a selector; a list with one known name in it is a list of names.
 * @throws GpuError INVALID_INPUT for names that are not there (with those that come near) and selectors that are wrong or select nothing;
 * UNAVAILABLE when no node is known at all.
 */
export function selectNodes(
  nodes: readonly AgentNode[],
  argument: NodeArgument | undefined,
): readonly AgentNode[] {
  if (argument === undefined || isAll(argument)) return nodes;
  if (nodes.length === 0) {
    throw new GpuError('UNAVAILABLE', 'no GPU node is known yet, so none can be chosen.');
  }
  const known = new Set(nodes.map(({ name }) => name));
  if (typeof argument === 'string') {
    const exact = nodes.filter(({ name }) => name === argument.trim());
    if (exact.length > 0) return exact;
    if (isSelector(argument, known, nodes)) return selectByLabels(nodes, argument);
  }
  const parts = partsOf(argument);
  const unknown = [...new Set(parts)].filter((part) => !known.has(part));
  if (unknown.length > 0) throw unknownNames(unknown, nodes);
  const wanted = new Set(parts);
  return nodes.filter(({ name }) => wanted.has(name));
}

/**
 * The one node that an argument names, for what is asked of one node only. Absent means the only node there is.
 * @param hint What to do when it means several; else one is to be named.
 * @throws GpuError as `selectNodes`, and INVALID_INPUT when it means several.
 */
export function selectOneNode(
  nodes: readonly AgentNode[],
  argument: NodeArgument | undefined,
  hint?: string,
): AgentNode {
  const selected = selectNodes(nodes, argument);
  const [node] = selected;
  if (node === undefined)
    throw new GpuError('UNAVAILABLE', 'no GPU node is known yet, so none can be asked.');
  if (selected.length > 1) {
    const names = selected.slice(0, maximumNear).map(({ name }) => shown(name));
    throw new GpuError('INVALID_INPUT', `this is asked of one node, and ${selected.length} are meant.`, {
      hint: hint ?? `Name one node, for example ${names.join(' or ')}.`,
    });
  }
  return node;
}

function isAll(argument: NodeArgument): boolean {
  return typeof argument === 'string'
    ? argument.trim() === 'all'
    : argument.length === 1 && argument[0] === 'all';
}

function partsOf(argument: NodeArgument): readonly string[] {
  if (typeof argument === 'string' && argument.length > maximumLength) {
    throw new GpuError('INVALID_INPUT', `the node argument is longer than ${maximumLength} characters.`);
  }
  const parts = (typeof argument === 'string' ? argument.split(',') : argument).map((part) => part.trim());
  if (parts.length > maximumNames) {
    throw new GpuError('INVALID_INPUT', `more than ${maximumNames} nodes are named.`, {
      hint: 'Use a label selector, or leave node out for all nodes.',
    });
  }
  if (parts.length === 0 || parts.some((part) => part === '')) {
    throw new GpuError('INVALID_INPUT', 'the node argument has an empty name.', {
      hint: 'Name a node, several with commas, or a label selector; leave node out for all nodes.',
    });
  }
  return parts;
}

/** A bare word is a name that is not there, unless it is the key of a label that some node carries. */
function isSelector(text: string, known: ReadonlySet<string>, nodes: readonly AgentNode[]): boolean {
  if (text.length > maximumLength) return false;
  const parts = text.split(',', maximumNames + 1).map((part) => part.trim());
  if (/[=!<>()]/.test(text)) return !parts.every((part) => known.has(part));
  return (
    parts.length <= maximumNames &&
    !parts.some((part) => known.has(part)) &&
    parts.every((part) => nodes.some(({ labels }) => Object.hasOwn(labels, part)))
  );
}

function selectByLabels(nodes: readonly AgentNode[], text: string): readonly AgentNode[] {
  const matches = parseLabelSelector(text);
  const selected = nodes.filter(({ labels }) => matches(labels));
  if (selected.length === 0) {
    throw new GpuError(
      'INVALID_INPUT',
      `the node selector "${quarantine(text, 120)}" selects none of the ${countOf(nodes)}.`,
      { hint: 'Correct the labels, or name a node; get_gpu_inventory lists them.' },
    );
  }
  return selected;
}

function unknownNames(unknown: readonly string[], nodes: readonly AgentNode[]): GpuError {
  const names = nodes.map(({ name }) => name);
  const sentences = unknown.slice(0, maximumUnknownShown).map((name) => {
    const near = nearNames(name, names, maximumNear).map(shown);
    return `${shown(name)}${near.length > 0 ? ` (near: ${near.join(', ')})` : ''}`;
  });
  const rest = unknown.length - sentences.length;
  return new GpuError(
    'INVALID_INPUT',
    `no node of this name among the ${countOf(nodes)}: ${sentences.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}.`,
    { hint: 'Use a name from get_gpu_inventory, a label selector, or leave node out for all nodes.' },
  );
}

const countOf = (nodes: readonly AgentNode[]) => (nodes.length === 1 ? 'one node' : `${nodes.length} nodes`);
const shown = (name: string) => `"${quarantine(name, 63)}"`;
