import { expect, test } from 'vitest';
import { z } from 'zod';
import { type Logger, silentLogger } from '../ports/runtime.ts';
import { fixedClock } from '../testing.ts';
import { makeTool } from './run-tool.ts';
import {
  destructiveAnnotations,
  readOnlyAnnotations,
  type ToolContext,
  type ToolDefinition,
} from './tool.ts';

function rig(changes: Partial<ToolDefinition> = {}, logger: Logger = silentLogger) {
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
  const tool = makeTool(definition, { clock, logger, deadlineMilliseconds: 10_000 });
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

test.each([
  ['shorter', 4_000, 3_500],
  ['longer', 60_000, 9_500],
  ['very short', 100, 50],
])(
  'a %s deadline of the caller (%d ms): the shorter one counts, with its margin',
  async (_, deadlineMilliseconds, expected) => {
    const { clock, seen, tool } = rig();
    const call = tool.call({}, { deadlineMilliseconds });
    clock.advance(expected - 1);
    expect(seen[0]?.signal.aborted).toBe(false);
    clock.advance(1);
    expect(seen[0]?.signal.aborted).toBe(true);
    await call;
  },
);

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const ids: ToolContext = {
  correlationId: '0123456789abcdef',
  traceparent: `00-${trace}-00f067aa0ba902b7-01`,
};

test.each([
  ['ok', {}, async () => ({})],
  ['INVALID_INPUT', { nonsense: 1 }, async () => ({})],
  [
    'INTERNAL',
    {},
    async () => {
      throw new Error('a defect');
    },
  ],
])('every call leaves one line with its ids: %s', async (outcome, input, handle) => {
  const lines: unknown[] = [];
  const write =
    (level: string): Logger['debug'] =>
    (_, fields) => {
      lines.push({ level, ...fields });
    };
  const logger: Logger = { ...silentLogger, debug: write('debug'), error: write('error') };
  await rig({ handle }, logger).tool.call(input, ids);
  const common = { tool: 'probe', correlationId: ids.correlationId, traceId: trace };
  expect(lines).toEqual([
    ...(outcome === 'INTERNAL' ? [{ level: 'error', ...common, error: new Error('a defect') }] : []),
    { level: 'debug', ...common, outcome },
  ]);
});

test('what is missing is said to be missing, and what is wrong is shown', async () => {
  const { tool } = rig({ inputSchema: z.strictObject({ node: z.string({ error: 'expected a name' }) }) });
  expect((await tool.call({})).text).toContain(
    'Invalid arguments for probe: node is missing: expected a name.',
  );
  expect((await tool.call({ node: null })).text).toContain('node = null: expected a name.');
});
