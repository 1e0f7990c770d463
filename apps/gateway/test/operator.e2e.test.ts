// Operator tools through the gateway: plan, confirm, act and verify on one node, with real agents over the simulated driver library.
import { existsSync, writeFileSync } from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  auditOf,
  cannotKill,
  createFakeNode,
  endVictims,
  type FakeNode,
  heldBy,
  startVictim,
  trailOf,
  until,
} from '../../agent/test/fake-node.ts';
import { type RunningAgent, startAgent } from '../../agent/test/run-agent.ts';
import { freePort, type RunningProgram, startProgram } from './run-program.ts';

const kill = 'kill_gpu_process';
const acting = [kill, 'reset_gpu'];
const tokens = {
  reader: 'callers-read',
  operator: 'callers-operate',
  agentReader: 'agents-read',
  agentOperator: 'agents-operate',
} as const;
const because = cannotKill ? ` (skipped: ${cannotKill})` : '';

type Answer = { action: 'accept'; content: { confirm: boolean } } | { action: 'decline' };
type Person = (message: string) => Answer | Promise<Answer>;
const yes: Person = () => ({ action: 'accept', content: { confirm: true } });
const no: Person = () => ({ action: 'decline' });
type Era = 'legacy' | 'auto';
const eras = ['legacy', 'auto'] as const;

interface Operated {
  readonly outcome: string;
  readonly planId?: string;
  readonly node: string;
}
interface GatewayRecord {
  readonly caller: string;
  readonly tool: string;
  readonly node: string;
  readonly correlationId: string;
  readonly outcome: string;
}

describe.skipIf(cannotKill)(`operator tools through the gateway${because}`, () => {
  const nodes: Record<'node-a' | 'node-b', FakeNode | undefined> = {
    'node-a': undefined,
    'node-b': undefined,
  };
  const agents: RunningAgent[] = [];
  const clients: Client[] = [];
  let gateway: RunningProgram;
  let readOnly: RunningProgram;
  let list = '';
  let files: Readonly<Record<keyof typeof tokens, string>>;

  const fakeOf = (name: 'node-a' | 'node-b'): FakeNode => {
    const fake = nodes[name];
    if (!fake) throw new Error(`${name} is not up`);
    return fake;
  };

  async function startOperatorAgent(fake: FakeNode, name: string, ...more: string[]) {
    const port = await freePort();
    const agent = startAgent(
      [
        ...[...fake.args, '--kernel-log', 'none', '--port', String(port), '--node-name', name],
        ...['--mode', 'operator', '--audit-file', fake.path('audit')],
        ...['--auth-token-file', files.agentReader, '--operator-token-file', files.agentOperator, ...more],
      ],
      fake.env,
    );
    agents.push(agent);
    await agent.logged('http: listening');
    return { agent, url: `http://127.0.0.1:${port}` };
  }

  const gatewayArgs = (urls: string) => [
    ...['--agents', urls, '--auth-token-file', files.reader, '--agent-token-file', files.agentReader],
  ];
  const operatorArgs = () => [
    ...['--mode', 'operator', '--operator-token-file', files.operator],
    ...['--agent-operator-token-file', files.agentOperator],
  ];

  beforeAll(async () => {
    nodes['node-a'] = createFakeNode();
    nodes['node-b'] = createFakeNode();
    const fake = fakeOf('node-a');
    files = {
      reader: fake.path('reader'),
      operator: fake.path('operator'),
      agentReader: fake.path('agent-reader'),
      agentOperator: fake.path('agent-operator'),
    };
    for (const name of ['reader', 'operator', 'agentReader', 'agentOperator'] as const)
      writeFileSync(files[name], `${tokens[name]}\n`);
    const a = await startOperatorAgent(fake, 'node-a');
    const b = await startOperatorAgent(fakeOf('node-b'), 'node-b', '--confirm-without-elicitation');
    list = `node-a=${a.url},node-b=${b.url},node-gone=http://127.0.0.1:${await freePort()}`;
    gateway = await startProgram('gateway', [...gatewayArgs(list), ...operatorArgs()]);
    readOnly = await startProgram('gateway', gatewayArgs(list));
  });
  afterAll(async () => {
    await Promise.all([gateway?.stop(), readOnly?.stop()]);
    for (const { child } of agents) child.kill('SIGKILL');
    for (const fake of Object.values(nodes)) fake?.dispose();
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close().catch(() => {})));
    endVictims();
  });

  async function connect(
    era: Era,
    { token = 'operator', person, to = gateway }: ConnectOptions = {},
  ): Promise<Client & { readonly questions: readonly string[] }> {
    const questions: string[] = [];
    const client = new Client(
      { name: 'caller', version: '0' },
      { capabilities: person ? { elicitation: {} } : {}, versionNegotiation: { mode: era } },
    );
    if (person)
      client.setRequestHandler('elicitation/create', async ({ params }) => {
        questions.push(params.message);
        return person(params.message);
      });
    const headers = { authorization: `Bearer ${tokens[token]}` };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${to.origin}/mcp`), { requestInit: { headers } }),
    );
    clients.push(client);
    return Object.assign(client, { questions });
  }
  interface ConnectOptions {
    readonly token?: 'reader' | 'operator';
    readonly person?: Person;
    readonly to?: RunningProgram;
  }

  /** A process that the driver of the node lists until it is told to end. */
  async function holder(name: 'node-a' | 'node-b', isStubborn = false) {
    const fake = fakeOf(name);
    const after = fake.prepare(heldBy());
    const victim = await startVictim({ after, isStubborn });
    fake.configure(heldBy(victim.pid));
    return { ...victim, after, target: { node: name, gpu: 0, pid: victim.pid, graceSeconds: 20 } };
  }

  async function operate(client: Client, given: Record<string, unknown>): Promise<Operated> {
    const result = await client.callTool({ name: kill, arguments: given });
    expect(result.isError ?? false, JSON.stringify(result.content)).toBe(false);
    return result.structuredContent as unknown as Operated;
  }
  async function refusal(client: Client, given: Record<string, unknown>): Promise<string> {
    const result = await client.callTool({ name: kill, arguments: given });
    expect(result.isError, JSON.stringify(result.structuredContent)).toBe(true);
    return JSON.stringify(result.content);
  }
  async function planOf(client: Client, given: Record<string, unknown>): Promise<string> {
    const { outcome, planId } = await operate(client, given);
    expect(outcome).toBe('planned');
    return planId ?? '';
  }
  const recordsOf = (planId: string): readonly GatewayRecord[] =>
    gateway
      .stderr()
      .split('\n')
      .filter((line) => line.includes('"audit":true') && line.includes(planId))
      .map((line) => JSON.parse(line) as GatewayRecord);

  it.each(eras)('a person confirms, the process ends, and both records say so (%s)', async (era) => {
    const victim = await holder('node-a');
    const client = await connect(era, { person: yes });
    const planId = await planOf(client, victim.target);
    expect(client.questions).toEqual([]);
    expect(await operate(client, { ...victim.target, planId })).toMatchObject({
      outcome: 'done',
      node: 'node-a',
    });
    expect(await victim.exited).toEqual({ code: 0, signal: null });
    expect(client.questions).toHaveLength(1);
    expect(client.questions[0]).toMatch(/^Node node-a asks, before kill_gpu_process:\nEnds process \d+/);
    expect(trailOf(fakeOf('node-a').path('audit'), planId).slice(-2)).toEqual(['act done', 'verify done']);
    expect(recordsOf(planId).at(-1)).toMatchObject({
      caller: 'operator',
      tool: kill,
      node: 'node-a',
      correlationId: expect.stringMatching(/^[\da-f]{16}$/),
      outcome: 'done',
    });
  });

  it.each(eras)('a person declines, and nothing happens (%s)', async (era) => {
    const victim = await holder('node-a');
    const client = await connect(era, { person: no });
    const planId = await planOf(client, victim.target);
    expect(await operate(client, { ...victim.target, planId })).toMatchObject({ outcome: 'declined' });
    expect(victim.isAlive()).toBe(true);
    expect(recordsOf(planId).at(-1)).toMatchObject({ outcome: 'declined' });
  });

  it.each(eras)(
    'a client that cannot ask is refused by the agent, and is told what to do (%s)',
    async (era) => {
      const victim = await holder('node-a');
      const client = await connect(era);
      const planId = await planOf(client, victim.target);
      const refused = await refusal(client, { ...victim.target, planId });
      expect(refused).toContain('NOT_SUPPORTED: ');
      expect(refused).toContain('--confirm-without-elicitation');
      expect(victim.isAlive()).toBe(true);
      expect(recordsOf(planId)).toMatchObject([{ outcome: 'refused' }]);
    },
  );

  it.each(eras)(
    'where the agent allows it, a client that cannot ask acts on the plan alone (%s)',
    async (era) => {
      const victim = await holder('node-b');
      const client = await connect(era);
      const planId = await planOf(client, victim.target);
      expect(await operate(client, { ...victim.target, planId })).toMatchObject({ outcome: 'done' });
      await victim.exited;
      const confirmed = auditOf(fakeOf('node-b').path('audit')).find(
        (line) => line.planId === planId && line.phase === 'confirm',
      );
      expect(confirmed?.detail).toContain('No person was asked');
    },
  );

  it.each(eras)('a plan of one node is none at another (%s)', async (era) => {
    const victim = await holder('node-a');
    fakeOf('node-b').configure(heldBy(victim.pid));
    const client = await connect(era, { person: yes });
    const planId = await planOf(client, victim.target);
    expect(await refusal(client, { ...victim.target, node: 'node-b', planId })).toContain('not a plan');
    expect(client.questions).toEqual([]);
    expect(victim.isAlive()).toBe(true);
  });

  it.each([
    ['a name that is near', 'node-c', 'no node has the name'],
    ['all', 'all', 'no node has the name'],
    ['a list', 'node-a,node-b', 'no node has the name'],
    ['a selector', 'gpu=h100', 'no node has the name'],
    ['an array', ['node-a'], 'expected the name of one node'],
    ['nothing', undefined, 'expected the name of one node'],
  ])('%s is not a node to act on', async (_, node, said) => {
    const client = await connect('auto', { person: yes });
    expect(await refusal(client, { node, gpu: 0, pid: 4_711 })).toContain(said);
  });

  it('a node that is gone: nothing was done, and it says so', async () => {
    const client = await connect('auto', { person: yes });
    const text = await refusal(client, { node: 'node-gone', gpu: 0, pid: 4_711 });
    expect(text).toContain('it refuses connections');
    expect(text).not.toContain('whether the action was carried out');
  });

  it.each(eras)('neither the token for reading nor a read-only gateway has the tools (%s)', async (era) => {
    for (const client of [
      await connect(era, { token: 'reader', person: yes }),
      await connect(era, { token: 'reader', person: yes, to: readOnly }),
    ]) {
      const names = (await client.listTools()).tools.map(({ name }) => name);
      expect(names).toContain('get_gpu_health');
      for (const name of acting) {
        expect(names).not.toContain(name);
        await expect(
          client.callTool({ name, arguments: { node: 'node-a', gpu: 0, pid: 4_711 } }),
        ).rejects.toThrow(name);
      }
    }
    await expect(connect(era, { token: 'operator', to: readOnly })).rejects.toThrow();
    // What reads still reads, with the token for reading.
    const reader = await connect(era, { token: 'reader' });
    const health = await reader.callTool({ name: 'get_gpu_health', arguments: { node: 'node-a' } });
    expect(health.structuredContent).toMatchObject({ node: 'node-a' });
  });

  it('the answer of one caller does not confirm for another, nor twice', async () => {
    const victim = await holder('node-a');
    // The protocol by hand: the SDK answers by itself.
    const call = async (given: object, more: object = {}) => {
      const response = await fetch(`${gateway.origin}/mcp`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${tokens.operator}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'tools/call',
          'mcp-name': kill,
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: {
            name: kill,
            arguments: given,
            _meta: {
              'io.modelcontextprotocol/protocolVersion': '2026-07-28',
              'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '0' },
              'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
            },
            ...more,
          },
        }),
      });
      const text = await response.text();
      const json = text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? text);
      return JSON.parse(json).result as {
        resultType?: string;
        requestState?: string;
        structuredContent?: Operated;
        isError?: boolean;
        content?: unknown;
      };
    };
    const accepted = { confirm: { action: 'accept', content: { confirm: true } } };
    const planned = async () => (await call(victim.target)).structuredContent?.planId ?? '';
    const [first, second] = [await planned(), await planned()];
    const asked = await call({ ...victim.target, planId: first });
    expect(asked.resultType).toBe('input_required');
    await call({ ...victim.target, planId: second });
    // An answer to the first question does not confirm the second plan, nor one on another node.
    for (const given of [
      { ...victim.target, planId: second },
      { ...victim.target, planId: first, node: 'node-b' },
    ]) {
      const state = (await call({ ...victim.target, planId: await planned() })).requestState;
      const wrong = await call(given, { inputResponses: accepted, requestState: state });
      expect(wrong.isError).toBe(true);
      expect(JSON.stringify(wrong.content)).toContain('Nothing was done');
    }
    const forged = await call(
      { ...victim.target, planId: first },
      { inputResponses: accepted, requestState: 'forged' },
    );
    expect(JSON.stringify(forged.content)).toContain('no question of this gateway');
    expect(victim.isAlive()).toBe(true);
    const right = { inputResponses: accepted, requestState: asked.requestState };
    expect((await call({ ...victim.target, planId: first }, right)).structuredContent).toMatchObject({
      outcome: 'done',
    });
    const again = await call({ ...victim.target, planId: first }, right);
    expect(JSON.stringify(again.content)).toContain('no question of this gateway');
    await victim.exited;
  });

  it.each(eras)(
    'two callers at once: each is asked about its own, and one is told to wait or acts (%s)',
    async (era) => {
      const [onA, onB] = [await holder('node-a'), await holder('node-b')];
      const [one, two] = [await connect(era, { person: yes }), await connect(era, { person: no })];
      const [planA, planB] = [await planOf(one, onA.target), await planOf(two, onB.target)];
      const [a, b] = await Promise.all([
        operate(one, { ...onA.target, planId: planA }),
        operate(two, { ...onB.target, planId: planB }),
      ]);
      expect([a.outcome, b.outcome]).toEqual(['done', 'declined']);
      expect(one.questions[0]).toContain(`process ${onA.pid}`);
      expect(two.questions[0]).toContain(`process ${onB.pid}`);
      expect(onB.isAlive()).toBe(true);
      await onA.exited;
    },
  );

  it.each(eras)('an agent that dies while it acts: that it may have been done is said (%s)', async (era) => {
    const fake = createFakeNode();
    const { agent, url } = await startOperatorAgent(fake, 'node-x');
    const own = await startProgram('gateway', [...gatewayArgs(`node-x=${url}`), ...operatorArgs()]);
    const after = fake.prepare(heldBy());
    const victim = await startVictim({ after, isStubborn: true });
    fake.configure(heldBy(victim.pid));
    const target = { node: 'node-x', gpu: 0, pid: victim.pid, graceSeconds: 30 };
    const client = await connect(era, { person: yes, to: own });
    const planId = await planOf(client, target);
    const call = refusal(client, { ...target, planId });
    await until(() => !existsSync(after.from));
    agent.child.kill('SIGKILL');
    const text = await call;
    expect(text).toContain('whether the action was carried out is not known');
    expect(text).toContain('get_gpu_processes');
    expect(own.stderr()).toMatch(/"audit":true.*"outcome":"unknown"/);
    await own.stop();
    fake.dispose();
  });

  it('shutdown waits for what acts, and its answer arrives', async () => {
    const own = await startProgram('gateway', [...gatewayArgs(list), ...operatorArgs()]);
    const victim = await holder('node-a', true);
    const client = await connect('auto', { person: yes, to: own });
    const target = { ...victim.target, graceSeconds: 6 };
    const planId = await planOf(client, target);
    const call = operate(client, { ...target, planId });
    await until(() => !existsSync(victim.after.from));
    // Longer than the 5 s that calls which only read are given.
    const ended = own.stop('SIGTERM');
    expect(await call).toMatchObject({ outcome: 'done', act: { result: 'ended-by-sigkill' } });
    expect(await ended).toBe(0);
  });

  it('does not start without what it needs', async () => {
    const started = startProgram('gateway', [...gatewayArgs(list), '--mode', 'operator']);
    await expect(started).rejects.toThrow(/ended with 64: .*--mode operator needs --operator-token-file/);
  });

  it.each([
    ['callers', '--operator-token-file', 'agentOperator', '--agent-operator-token-file'],
    ['agents', '--agent-operator-token-file', 'operator', '--operator-token-file'],
  ] as const)('a token for reading is none for acting (%s)', async (_, flag, other, otherFlag) => {
    // The agents know it: with it they could call here, or call each other.
    const copy = fakeOf('node-a').path('copy');
    writeFileSync(copy, tokens.agentReader);
    const args = ['--mode', 'operator', flag, copy, otherFlag, files[other]];
    await expect(startProgram('gateway', [...gatewayArgs(list), ...args])).rejects.toThrow(
      /ended with 64: .*hold the same token/,
    );
  });
});
