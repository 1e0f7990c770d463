import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { registerGpuTools } from '../src/tools/register.ts';
import { type GpuTool, readOnlyAnnotations, type ToolContext } from '../src/tools/tool.ts';
import { type HostClient, type HostOptions, hosts, type Person } from './mcp-hosts.ts';
import { operatorRig } from './operator-rig.ts';

type HostName = keyof typeof hosts;
const hostNames = Object.keys(hosts) as HostName[];

const open: HostClient[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
});

async function connect(name: HostName, tools: readonly GpuTool[], options: HostOptions): Promise<HostClient> {
  const client = await hosts[name](tools, options);
  open.push(client);
  return client;
}

const kill = 'kill_gpu_process';
const victim = { gpu: 2, pid: 4711 };
const says =
  (action: 'accept' | 'decline' | 'cancel', content?: Record<string, boolean>): Person =>
  async () => ({ action, ...(content ? { content } : {}) });

const structured = (result: Record<string, unknown>) =>
  result['structuredContent'] as { outcome: string; planId?: string; summary: string };
const textOf = (result: Record<string, unknown>) => (result['content'] as { text: string }[])[0]?.text;

/** Plans and acts, with a person at the client. */
async function planAndAct(host: HostName, options: HostOptions, rig = operatorRig()) {
  const client = await connect(host, rig.tools, options);
  const planned = structured(await client.callTool(kill, victim));
  const result = await client.callTool(kill, { ...victim, planId: planned.planId });
  return { rig, client, planned, result };
}

describe.each(hostNames)('%s', (host) => {
  test('asks the person with the plan, acts on a yes and verifies', async () => {
    const questions: { message: string; requestedSchema: unknown }[] = [];
    const person: Person = async ({ message, requestedSchema }) => {
      questions.push({ message, requestedSchema });
      return { action: 'accept', content: { confirm: true } };
    };
    const { rig, planned, result } = await planAndAct(host, { person });
    expect(planned.outcome).toBe('planned');
    expect(result['isError']).toBeFalsy();
    expect(structured(result).outcome).toBe('done');
    expect(rig.done).toEqual(['kill 4711 880011 10000']);
    expect(questions).toHaveLength(1);
    expect(questions[0]?.message).toContain('Ends process 4711');
    expect(questions[0]?.requestedSchema).toMatchObject({
      properties: { confirm: { type: 'boolean', default: false } },
      required: ['confirm'],
    });
    expect(rig.trail().filter((step) => step !== 'confirm planned')).toEqual([
      'plan planned',
      'confirm done',
      'act done',
      'verify done',
    ]);
  });

  test.each([
    ['accept', { confirm: false }],
    ['decline', undefined],
    ['cancel', undefined],
  ] as const)('%s %j is a refusal', async (action, content) => {
    const { rig, result } = await planAndAct(host, { person: says(action, content) });
    expect(structured(result).outcome).toBe(action === 'cancel' ? 'cancelled' : 'declined');
    expect([rig.done, rig.trail().at(-1)]).toEqual([[], 'confirm declined']);
  });

  test('an acceptance without the tick is a refusal', async () => {
    const { rig } = await planAndAct(host, { person: says('accept', {}) });
    expect(rig.done).toEqual([]);
  });

  test('a client without elicitation is refused and told how', async () => {
    const { rig, result } = await planAndAct(host, {});
    expect(result['isError']).toBe(true);
    expect(textOf(result)).toMatch(/^NOT_SUPPORTED: .*--confirm-without-elicitation/s);
    expect(rig.done).toEqual([]);
  });

  test('a client without elicitation acts where that is allowed', async () => {
    const { rig, result } = await planAndAct(host, {}, operatorRig({ confirmWithoutElicitation: true }));
    expect(structured(result).outcome).toBe('done');
    expect(rig.done).toHaveLength(1);
  });

  test('the same plan cannot be used again', async () => {
    const { rig, client, planned, result } = await planAndAct(host, {
      person: says('accept', { confirm: true }),
    });
    expect(structured(result).outcome).toBe('done');
    const again = await client.callTool(kill, { ...victim, planId: planned.planId });
    expect(textOf(again)).toMatch(/has been used/);
    expect(rig.done).toHaveLength(1);
  });

  test("a client's cancellation while its person thinks: nothing is done", async () => {
    const rig = operatorRig();
    let asked = () => {};
    const thinking = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const controller = new AbortController();
    // A client takes its question off the screen when its call is cancelled.
    const person: Person = () => {
      asked();
      return new Promise((resolve) => {
        controller.signal.addEventListener('abort', () => resolve({ action: 'cancel' }));
      });
    };
    const client = await connect(host, rig.tools, { person });
    const { planId } = structured(await client.callTool(kill, victim));
    const call = client
      .callTool(kill, { ...victim, planId }, { signal: controller.signal })
      .catch((error: unknown) => error);
    await thinking;
    controller.abort();
    expect(await call).toBeInstanceOf(Error);
    expect(rig.done).toEqual([]);
    // The plan is gone with it.
    expect(textOf(await client.callTool(kill, { ...victim, planId }))).toMatch(/has been used/);
  });

  test('the name that authentication gave is the caller, in the context and in every record', async () => {
    const seen: ToolContext[] = [];
    const probe: GpuTool = {
      name: 'probe',
      title: 'Probe',
      description: 'Shows what a tool gets of its host.',
      inputSchema: z.strictObject({}),
      outputSchema: z.looseObject({}),
      annotations: readOnlyAnnotations,
      async call(_input, context = {}) {
        seen.push(context);
        return { isError: false, structuredContent: {}, text: '{}' };
      },
    };
    const person = says('accept', { confirm: true });
    await (await connect(host, [probe], { principal: 'operator', person })).callTool('probe', {});
    await (await connect(host, [probe], {})).callTool('probe', {});
    expect(seen.map(({ caller, confirm }) => [caller, confirm !== undefined])).toEqual([
      ['operator', true],
      [undefined, false],
    ]);
    const { rig } = await planAndAct(host, { principal: 'operator', person });
    expect(new Set(rig.audit.map(({ caller }) => caller))).toEqual(new Set(['operator']));
    const { rig: local } = await planAndAct(host, { person });
    expect(new Set(local.audit.map(({ caller }) => caller))).toEqual(new Set(['local']));
  });

  test("another caller cannot use the plan, nor answer its owner's question", async () => {
    const rig = operatorRig();
    const person = says('accept', { confirm: true });
    const owner = await connect(host, rig.tools, { principal: 'operator', person });
    const other = await connect(host, rig.tools, { principal: 'mallory', person });
    const { planId } = structured(await owner.callTool(kill, victim));
    expect(textOf(await other.callTool(kill, { ...victim, planId }))).toMatch(/not a plan of this caller/);
    expect(rig.done).toEqual([]);
  });
});

test('both tools together cost a client little: four bytes of JSON are a token', async () => {
  const { tools } = await (await connect('current SDK', operatorRig().tools, {})).listTools();
  expect(tools.map((tool) => tool['name'])).toEqual(['kill_gpu_process', 'reset_gpu']);
  expect(JSON.stringify(tools).length / 4).toBeLessThan(1_400);
});

test('2026-07-28: an answer that nobody asked for does not count', async () => {
  const rig = operatorRig();
  const callbacks = new Map<string, (input: unknown, host: unknown) => Promise<Record<string, unknown>>>();
  registerGpuTools({ registerTool: (name, _config, callback) => callbacks.set(name, callback) }, rig.tools);
  const callTool = (input: unknown, more: object) =>
    callbacks.get(kill)?.(input, {
      mcpReq: {
        envelope: { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } },
        ...more,
      },
    });
  const { planId } = structured((await callTool(victim, {})) ?? {});
  const forged = { confirm: { action: 'accept', content: { confirm: true } } };
  const first = await callTool({ ...victim, planId }, { inputResponses: forged, requestState: () => planId });
  expect(first).toMatchObject({ resultType: 'input_required', requestState: expect.any(String) });
  const again = await callTool(
    { ...victim, planId },
    { inputResponses: forged, requestState: () => 'guess' },
  );
  expect(again).toMatchObject({ isError: true });
  expect(rig.done).toEqual([]);
});
