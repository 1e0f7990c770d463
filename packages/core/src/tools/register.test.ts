import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { registerGpuTools } from './register.ts';
import { type GpuTool, readOnlyAnnotations, type ToolContext } from './tool.ts';

type Callback = (input: unknown, host: unknown) => Promise<unknown>;

/** The context that a tool gets when a host calls it with this `_meta`. */
async function contextFor(host: unknown): Promise<ToolContext> {
  let seen: ToolContext = {};
  const tool: GpuTool = {
    name: 'probe',
    title: 'Probe',
    description: 'Shows what a tool is given.',
    inputSchema: z.strictObject({}),
    outputSchema: z.looseObject({}),
    annotations: readOnlyAnnotations,
    async call(_input, context = {}) {
      seen = context;
      return { isError: false, structuredContent: {}, text: '{}' };
    },
  };
  const registered: Callback[] = [];
  const server = {
    registerTool(_name: string, _config: never, callback: never) {
      registered.push(callback);
    },
  };
  registerGpuTools(server, [tool]);
  await registered[0]?.({}, host);
  return seen;
}

const deadline = 'io.github.k8s-gpu-mcp/deadline-milliseconds';
const correlation = 'io.github.k8s-gpu-mcp/correlation-id';
// The example of W3C Trace Context, section 3.2.
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const good = { [deadline]: 4_000, [correlation]: '0123456789abcdef', traceparent };
const terms = { deadlineMilliseconds: 4_000, correlationId: '0123456789abcdef', traceparent };

describe.each([
  ['current SDK', (meta: unknown) => ({ mcpReq: { _meta: meta } })],
  ['v1 SDK', (meta: unknown) => ({ _meta: meta })],
])('%s', (_, host) => {
  test('deadline and trace of the caller reach the tool', async () => {
    expect(await contextFor(host(good))).toMatchObject(terms);
  });

  test('a caller that says nothing costs nothing', async () => {
    for (const meta of [undefined, {}, { progressToken: 1 }])
      expect(Object.keys(await contextFor(host(meta))).filter((key) => key in terms)).toEqual([]);
  });
});

test.each([
  [99, 100],
  [0, 100],
  [-5, 100],
  [100, 100],
  [250, 250],
])('a deadline of %d ms is %d ms', async (given, expected) => {
  expect(await contextFor({ _meta: { [deadline]: given } })).toMatchObject({
    deadlineMilliseconds: expected,
  });
});

test.each([
  [deadline, 'deadlineMilliseconds', [1.5, '4000', null, Number.NaN, Number.POSITIVE_INFINITY, 1e300, {}]],
  [
    correlation,
    'correlationId',
    ['0123456789ABCDEF', '0123456789abcde', '0123456789abcdef0', '\nevil', 16, null],
  ],
  [
    'traceparent',
    'traceparent',
    [
      traceparent.replace('00-', 'ff-'),
      traceparent.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
      traceparent.replace('00f067aa0ba902b7', '0'.repeat(16)),
      `${traceparent}-more`,
      traceparent.toUpperCase(),
      'x',
      7,
    ],
  ],
])('nonsense in %s is ignored', async (key, field, values) => {
  for (const value of values)
    expect(await contextFor({ _meta: { ...good, [key]: value } }), String(value)).not.toHaveProperty(field);
  // Planted fault: the same look finds what is right.
  expect(await contextFor({ _meta: good })).toHaveProperty(field);
});
