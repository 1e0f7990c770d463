import { expect, it } from 'vitest';
import { chosenForm } from './program-form.ts';

it('the workspace on this node, unless the environment says otherwise', () => {
  expect(chosenForm({})).toEqual({ form: 'workspace', node: process.execPath });
  expect(chosenForm({ K8S_GPU_MCP_TEST_FORM: 'snapshot', K8S_GPU_MCP_TEST_NODE: '/x/node' })).toEqual({
    form: 'snapshot',
    node: '/x/node',
  });
});

it('planted: a form that is not known is no silent test of the workspace', () => {
  expect(() => chosenForm({ K8S_GPU_MCP_TEST_FORM: 'bundel' })).toThrow(
    /"bundel", not workspace, bundle, snapshot/,
  );
});
