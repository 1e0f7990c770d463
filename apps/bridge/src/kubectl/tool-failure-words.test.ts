import { expect, test } from 'vitest';
import { sayToolFailure } from './tool-failure-words.ts';

test('a code and the tool that was called are not for a terminal', () => {
  expect(
    sayToolFailure(
      'INVALID_INPUT: Invalid arguments for explain_failure: no node "a". Use a name from get_gpu_inventory.',
      false,
    ),
  ).toBe('no node "a". Use a name from kubectl mcp inventory.');
  expect(sayToolFailure('UNAVAILABLE: it is away. Call get_gpu_health again.', false)).toBe(
    'it is away. Call kubectl mcp health again.',
  );
});

test.each([
  ['get_gpu_health', 'kubectl mcp health'],
  ['get_gpu_inventory', 'kubectl mcp inventory'],
  ['analyze_xid_errors', 'kubectl mcp xid'],
  ['explain_failure', 'kubectl mcp diagnose'],
  ['get_incident_report', 'get_incident_report'],
  ['my_get_gpu_health', 'my_get_gpu_health'],
])('%s is told as %s', (tool, told) => {
  expect(sayToolFailure(`Call ${tool}.`, false)).toBe(`Call ${told}.`);
});

const absent =
  'INVALID_INPUT: Invalid arguments for explain_failure: no pod "a" in namespace "default"; no pods were found there. Correct the name.';

test('a pod that was looked for in the namespace of the context may be in another', () => {
  expect(sayToolFailure(absent, true)).toBe(
    'no pod "a" in namespace "default"; no pods were found there. Correct the name. If it is in another namespace, give -n NAMESPACE.',
  );
});

test('planted fault: who gave a namespace, or has pods there, is not told to give one', () => {
  expect(sayToolFailure(absent, false)).not.toContain('-n ');
  expect(sayToolFailure(absent.replace('no pods were found there', 'pods there: "b"'), true)).not.toContain(
    '-n ',
  );
});

test('text without either stays, however long', () => {
  for (const text of ['', 'The gateway says that it failed, and not why.', 'a_'.repeat(100_000)])
    expect(sayToolFailure(text, true)).toBe(text);
});
