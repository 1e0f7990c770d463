import { expect, test } from 'vitest';
import { z } from 'zod';
import { silentLogger } from '../ports/runtime.ts';
import { fixedClock } from '../testing.ts';
import { makeTool } from './run-tool.ts';
import {
  destructiveAnnotations,
  readOnlyAnnotations,
  type ToolContext,
  type ToolDefinition,
} from './tool.ts';

function rig(changes: Partial<ToolDefinition> = {}) {
  const clock = fixedClock();
  const seen: { signal: AbortSignal; context: ToolContext }[] = [];
  const definition: ToolDefinition = {
    name: 'probe',
    title: 'Probe',
    description: 'Shows what a tool is given.',
    inputSchema: z.strictObject({}),
    outputSchema: z.looseObject({}),
    async handle(_input, signal, _progress, context) {
      seen.push({ signal, context });
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return { at: clock.now() };
    },
    ...changes,
  };
  const tool = makeTool(definition, { clock, logger: silentLogger, deadlineMilliseconds: 10_000 });
  return { clock, seen, tool };
}

test('a tool reads only, unless it says otherwise', () => {
  expect(rig().tool.annotations).toBe(readOnlyAnnotations);
  expect(rig({ annotations: destructiveAnnotations }).tool.annotations).toBe(destructiveAnnotations);
});

// Half a second before the deadline, so that the answer is on its way when it passes.
test.each([
  [undefined, 9_500],
  [180_000, 179_500],
])('a deadline of its own (%j) comes instead of the common one', async (deadlineMilliseconds, expected) => {
  const { clock, seen, tool } = rig(deadlineMilliseconds === undefined ? {} : { deadlineMilliseconds });
  const call = tool.call({});
  clock.advance(expected - 1);
  expect(seen[0]?.signal.aborted).toBe(false);
  clock.advance(1);
  expect(seen[0]?.signal.aborted).toBe(true);
  expect((await call).isError).toBe(false);
});

test('a flood of unknown arguments does not flood the error', async () => {
  const flood = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key${index}`, 1]));
  const result = await rig().tool.call(flood);
  expect(result.text).toMatch(/"key4" and 9995 more/);
  expect(result.text.length).toBeLessThan(1_000);
});

test('what an error echoes is made harmless', async () => {
  const result = await rig().tool.call({ '\u202eevil\u200b': 1 });
  expect(result.text).toContain('"evil"');
  expect(result.text).not.toMatch(/[\u0000-\u001f\u200b\u202e]/);
});

test('who calls and how to ask reach the tool', async () => {
  const { clock, seen, tool } = rig();
  const context: ToolContext = { caller: 'operator', confirm: async () => 'declined', answeredQuestion: 'q' };
  const call = tool.call({}, context);
  expect(seen[0]?.context).toBe(context);
  clock.advance(10_000);
  await call;
});
