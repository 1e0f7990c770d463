import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect } from 'vitest';
import { type FakeNode, heldBy, startVictim, type Victim } from './fake-node.ts';
import { agentCommand, cleanEnvironment, initialize, startAgent, toolCall } from './run-agent.ts';

export const kill = 'kill_gpu_process';
const operator = ['--mode', 'operator', '--kernel-log', 'none', '--node-name', 'node-a'];
const operatorArgs = (node: FakeNode) => [
  ...[...node.args, ...operator, '--audit-file', node.path('audit')],
  ...['--log-level', 'error'],
];

/** For the title of what is skipped. */
export const because = (reason: string | undefined) => (reason ? ` (skipped: ${reason})` : '');

interface Operated {
  readonly outcome: string;
  readonly canAct: boolean;
  readonly reasons: readonly string[];
  readonly planId?: string;
  readonly summary: string;
  readonly plan: Readonly<Record<string, unknown>>;
  readonly act?: { readonly result: string };
  readonly verification?: readonly { readonly check: string; readonly passed: boolean | null }[];
}

type Answer = { action: 'accept'; content: { confirm: boolean } } | { action: 'decline' | 'cancel' };
type Person = (message: string) => Answer | Promise<Answer>;
export const yes: Person = () => ({ action: 'accept', content: { confirm: true } });

/** A process that the driver lists until it is told to end. */
export async function holder(
  node: FakeNode,
  options: { isStubborn?: boolean; after?: ReturnType<FakeNode['prepare']> } = {},
) {
  const victim = await startVictim({ after: node.prepare(heldBy()), ...options });
  node.configure(heldBy(victim.pid));
  return victim;
}
export const targetOf = ({ pid }: Victim) => ({ gpu: 0, pid, graceSeconds: 20 });

/** A client with a person behind it, and the agent it started. */
export async function connectPerson(node: FakeNode, versionNegotiation: object) {
  const client = new Client(
    { name: 'person', version: '0' },
    { capabilities: { elicitation: {} }, versionNegotiation },
  );
  let person: Person = yes;
  const questions: string[] = [];
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    questions.push(params.message);
    return person(params.message);
  });
  const transport = new StdioClientTransport({
    ...agentCommand(operatorArgs(node)),
    env: cleanEnvironment(node.env),
    stderr: 'ignore',
  });
  await client.connect(transport);
  const raw = (name: string, input: Record<string, unknown>) => client.callTool({ name, arguments: input });
  const operate = async (name: string, input: Record<string, unknown>) => {
    const result = await raw(name, input);
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return result.structuredContent as unknown as Operated;
  };
  return {
    client,
    questions,
    pid: transport.pid,
    operate,
    refusal: async (name: string, input: Record<string, unknown>) => {
      const result = await raw(name, input);
      expect(result.isError).toBe(true);
      return JSON.stringify(result.content);
    },
    plan: async (input: Record<string, unknown>) => {
      const { planId } = await operate(kill, input);
      if (planId === undefined) throw new Error('no plan');
      return planId;
    },
    answerWith(next: Person) {
      person = next;
      questions.length = 0;
    },
  };
}

/** A client that cannot ask: the protocol by hand. */
export async function connectAlone(node: FakeNode, ...more: string[]) {
  const agent = startAgent([...operatorArgs(node), ...more], node.env);
  agent.child.stdin.write(initialize(1));
  await agent.answerTo(1);
  let lastId = 1;
  return {
    ...agent,
    async call(input: Record<string, unknown>) {
      lastId += 1;
      agent.child.stdin.write(toolCall(lastId, kill, input));
      const { result } = await agent.answerTo(lastId);
      return result as { isError?: boolean; structuredContent?: Operated; content: { text: string }[] };
    },
    send(input: Record<string, unknown>) {
      lastId += 1;
      agent.child.stdin.write(toolCall(lastId, kill, input));
    },
  };
}
