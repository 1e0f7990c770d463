import { isGpuError } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import type { AgentNode } from '../ports/node-directory.ts';
import { boundedEditDistance, nearNames } from './near-names.ts';
import { type NodeArgument, selectNodes, selectOneNode } from './node-selection.ts';

const nodeOf = (name: string, labels: Record<string, string> = {}): AgentNode => ({
  name,
  url: `http://${name}`,
  labels,
  notReadyBecause: null,
  instance: name,
  mayReceiveToken: true,
});
const nodes = [
  nodeOf('gpu', { zone: 'a' }),
  nodeOf('gpu-1', { gpu: 'h100', zone: 'a' }),
  nodeOf('gpu-2', { gpu: 'h100', zone: 'b' }),
  nodeOf('gpu-3.dc1.example.com', { gpu: 'a100', zone: 'b' }),
];
const names = (argument: NodeArgument | undefined) => selectNodes(nodes, argument).map(({ name }) => name);

function errorOf(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (isGpuError(error)) return error;
  }
  throw new Error('no GpuError');
}

describe('selecting nodes', () => {
  test.each<readonly [NodeArgument | undefined, readonly string[]]>([
    [undefined, ['gpu', 'gpu-1', 'gpu-2', 'gpu-3.dc1.example.com']],
    ['all', ['gpu', 'gpu-1', 'gpu-2', 'gpu-3.dc1.example.com']],
    [['all'], ['gpu', 'gpu-1', 'gpu-2', 'gpu-3.dc1.example.com']],
    ['gpu-2', ['gpu-2']],
    [' gpu-2 , gpu-1 ', ['gpu-1', 'gpu-2']],
    [
      ['gpu-2', 'gpu-1', 'gpu-2'],
      ['gpu-1', 'gpu-2'],
    ],
    ['gpu=h100,zone!=a', ['gpu-2']],
    ['zone in (b)', ['gpu-2', 'gpu-3.dc1.example.com']],
    ['zone', ['gpu', 'gpu-1', 'gpu-2', 'gpu-3.dc1.example.com']],
    ['!gpu', ['gpu']],
    // A name and the key of a label: the name wins. With an operator beside it no name can be meant.
    ['gpu', ['gpu']],
    ['gpu,gpu-1', ['gpu', 'gpu-1']],
    ['gpu,zone=b', ['gpu-2', 'gpu-3.dc1.example.com']],
  ])('%j', (argument, expected) => {
    expect(names(argument)).toEqual(expected);
  });

  test('a name that has the form of a selector is a name', () => {
    const odd = [nodeOf('gpu=h100', { gpu: 'a100' }), nodeOf('other', { gpu: 'h100' })];
    expect(selectNodes(odd, 'gpu=h100').map(({ name }) => name)).toEqual(['gpu=h100']);
    // Planted: without that node the same text is the selector.
    expect(selectNodes(odd.slice(1), 'gpu=h100').map(({ name }) => name)).toEqual(['other']);
  });

  test('unknown names are told with those that come near, and how many there are', () => {
    const error = errorOf(() => names('gpu-1,gpu-22,gpu-3'));
    expect(error.code).toBe('INVALID_INPUT');
    expect(error.message).toContain('4 nodes');
    expect(error.message).toMatch(/[^.]\.$/);
    expect(error.message).toContain('"gpu-22" (near: "gpu-2"');
    expect(error.message).toContain('"gpu-3" (near: "gpu-3.dc1.example.com"');
    expect(error.message).not.toContain('"gpu-1" (');
  });

  test.each<readonly [NodeArgument, string]>([
    ['gpu=b200', 'selects none of the 4 nodes'],
    ['gpu=', 'selects none'],
    ['gpu in (h100', 'closing parenthesis'],
    ['', 'empty name'],
    [[], 'empty name'],
    ['gpu-1,,gpu-2', 'empty name'],
    [Array.from({ length: 1_001 }, (_, index) => `n${index}`), 'more than 1000'],
    ['x'.repeat(70_000), 'longer than'],
  ])('%# %.20s is wrong input', (argument, words) => {
    const error = errorOf(() => names(argument));
    expect(error.code).toBe('INVALID_INPUT');
    expect(error.message).toContain(words);
    if (!words.includes('parenthesis')) expect(error.message).toMatch(/[^.]\.$/);
  });

  test('many unknown names give a short message, hostile text a clean one', () => {
    const error = errorOf(() => names(Array.from({ length: 900 }, (_, index) => `no\u001b[31m\n-${index}`)));
    expect(error.message.length).toBeLessThan(500);
    expect(error.message).toContain('and 897 more');
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
  });

  test('an empty directory: all is nothing, a name is unavailable', () => {
    expect(selectNodes([], 'all')).toEqual([]);
    expect(errorOf(() => selectNodes([], 'gpu-1')).code).toBe('UNAVAILABLE');
  });

  test('one node: the only one, or the one that is named', () => {
    expect(selectOneNode(nodes.slice(1, 2), undefined).name).toBe('gpu-1');
    expect(selectOneNode(nodes, 'gpu-2').name).toBe('gpu-2');
    expect(errorOf(() => selectOneNode(nodes, undefined)).message).toMatch(/and 4 are meant\.$/);
    expect(errorOf(() => selectOneNode(nodes, undefined)).hint).toContain('Name one node');
    expect(errorOf(() => selectOneNode(nodes, undefined, 'Give node or pod.')).hint).toBe(
      'Give node or pod.',
    );
    expect(errorOf(() => selectOneNode([], undefined)).code).toBe('UNAVAILABLE');
  });
});

describe('near names', () => {
  test.each([
    ['kitten', 'sitting', 3, 3],
    ['kitten', 'sitting', 2, undefined],
    ['', 'ab', 2, 2],
    ['ab', '', 1, undefined],
    ['same', 'same', 1, 0],
    ['abcdef', 'bcdefg', 2, 2],
    ['abcdef', 'bcdefg', 1, undefined],
  ])('%s and %s within %d: %s', (left, right, limit, distance) => {
    expect(boundedEditDistance(left, right, limit)).toBe(distance);
    expect(boundedEditDistance(right, left, limit)).toBe(distance);
  });

  test('best first, a shortened name before a misspelled one, at most as many as asked for', () => {
    const known = ['gpu-node-18', 'gpu-node-17.local', 'gpu-node-27', 'other'];
    expect(nearNames('GPU-node-17', known, 3)).toEqual(['gpu-node-17.local', 'gpu-node-18', 'gpu-node-27']);
    expect(nearNames('gpu-node-17', known, 1)).toHaveLength(1);
    expect(nearNames('zzz', known, 3)).toEqual([]);
  });
});
