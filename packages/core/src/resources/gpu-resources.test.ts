import { describe, expect, test } from 'vitest';
import { rig } from '../../test/rig.ts';
import { createGpuResources } from './gpu-resources.ts';

function resources(nodeName = 'gpu-node-7') {
  const { tools, answer } = rig();
  const [inventory, xid] = createGpuResources({ nodeName, tools });
  if (!inventory || !xid) throw new Error('no resources');
  return { inventory, xid, answer };
}

test('the inventory is the answer of its tool', async () => {
  const { inventory, answer } = resources();
  expect(inventory).toMatchObject({ uri: 'gpu://gpu-node-7/inventory', isTemplate: false });
  expect(JSON.parse(await inventory.read({}))).toEqual(await answer('get_gpu_inventory'));
});

test('a node name that is no URI part is escaped', () => {
  expect(resources('a/b c').inventory.uri).toBe('gpu://a%2Fb%20c/inventory');
});

test('without the tool it is a defect, not a crash', async () => {
  const [inventory] = createGpuResources({ nodeName: 'n', tools: [] });
  await expect(inventory?.read({})).rejects.toMatchObject({ code: 'INTERNAL' });
});

describe('the Xid catalogue', () => {
  test.each(['13', '79', '119'])('tells Xid %s', async (code) => {
    const entry = JSON.parse(await resources().xid.read({ code }));
    expect(entry).toMatchObject({ code: Number(code) });
  });

  test.each(['0', '99999', '-1', '79.0', ' 79', '0x4f', 'x'.repeat(500), '', '../13', '\u0000'])(
    '%j is not in it; the error says what is',
    async (code) => {
      await expect(resources().xid.read({ code })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: expect.stringMatching(/^.{0,160}$/s),
        hint: expect.stringMatching(/numbers from \d+ to \d+/),
      });
    },
  );

  test('completes what was typed', () => {
    const complete = resources().xid.complete?.['code'] ?? expect.fail();
    expect(complete('79')).toEqual(['79']);
    expect(complete('1')).toContain('119');
    expect(complete('1').every((code) => code.startsWith('1'))).toBe(true);
    expect(complete('x')).toEqual([]);
    expect(new Set(complete('')).size).toBe(complete('').length);
  });
});
