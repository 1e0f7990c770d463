import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApiServer, startFakeApiServer } from './fake-api-server.ts';
import type { FakeExec } from './fake-exec.ts';
import {
  agentCommand,
  cleanEnvironment,
  initialize,
  initialized,
  kubeconfigOf,
  modern,
  processesWith,
  type Running,
  request,
  startBridge,
  stop,
  toolCall,
} from './run-bridge.ts';

const agentLabels = {
  'app.kubernetes.io/name': 'k8s-gpu-mcp-server',
  'app.kubernetes.io/component': 'agent',
};
/** A real agent, found again in /proc by its node name. */
const nodeName = `exec-test-${process.pid}`;
const agent = (...more: readonly string[]): readonly string[] => {
  const { command, args } = agentCommand(['--backend', 'mock', '--node-name', nodeName, ...more]);
  return [command, ...args];
};
const agentPrograms = () => processesWith(nodeName);
const program = (source: string): readonly string[] => [process.execPath, '-e', source];

let folder: string;
let kubeconfig: string;
let cluster: FakeApiServer;
let running: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bridge-exec-'));
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  cluster = await startFakeApiServer();
  kubeconfig = join(folder, `config-${new URL(cluster.url).port}`);
  await writeFile(kubeconfig, kubeconfigOf(cluster.url));
});
afterEach(async () => {
  await Promise.all(running.map((each) => stop(each)));
  running = [];
  await cluster.close();
});

function addAgent(node: string, exec: FakeExec = () => agent(), more: { isReady?: boolean } = {}): void {
  cluster.pods.push({
    namespace: 'gpu',
    name: `agent-${node}-${cluster.pods.length}`,
    labels: agentLabels,
    localPort: 1,
    isReady: true,
    node,
    containers: ['sidecar', 'agent'],
    exec,
    ...more,
  });
}

function bridge(...args: readonly string[]): Running {
  const started = startBridge(['--via', 'exec', ...args], { KUBECONFIG: kubeconfig });
  running.push(started);
  return started;
}

async function legacyBridge(...args: readonly string[]): Promise<Running> {
  const host = bridge(...args);
  host.send(initialize(1));
  expect(await host.answerTo(1)).toHaveProperty('result.serverInfo');
  host.send(initialized, request(2, 'tools/list'));
  await host.answerTo(2);
  return host;
}

/** Every id once, the exit code 0, and no agent left behind. */
async function expectCleanEnd(host: Running, ids: readonly (number | string)[]): Promise<void> {
  host.child.stdin.end();
  const { code, stdout } = await host.exited;
  expect(code).toBe(0);
  const answered = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id?: number | string; method?: string })
    .flatMap(({ id, method }) => (id === undefined || method !== undefined ? [] : [id]));
  expect(answered.sort()).toEqual([...ids].sort());
  await expect.poll(() => cluster.execs.running().length).toBe(0);
  expect(await agentPrograms()).toEqual([]);
}

const messageOf = async (host: Running, id = 1) =>
  ((await host.answerTo(id))['error'] as { message: string }).message;

describe('an agent that sleeps in its pod', () => {
  it.each([[['v5.channel.k8s.io', 'v4.channel.k8s.io']], [['v4.channel.k8s.io']]])(
    'answers both eras and ends with the host (%j)',
    async (protocols) => {
      cluster.protocols = protocols;
      addAgent('node-a');
      addAgent('node-b', () => agent('--scenario', 'ecc-uncorrectable'));
      const legacy = await legacyBridge('--node', 'node-b');
      legacy.send(toolCall(3, 'get_gpu_health'));
      expect(await legacy.answerTo(3)).toHaveProperty('result.structuredContent.verdict', 'critical');
      expect(cluster.execs.programs).toHaveLength(1);
      await expectCleanEnd(legacy, [1, 2, 3]);
      const host = bridge('--node', 'node-a');
      host.send(modern(1, 'tools/call', { name: 'get_gpu_health', arguments: {} }));
      expect(await host.answerTo(1)).toHaveProperty('result.structuredContent.verdict', 'ok');
      await expectCleanEnd(host, [1]);
    },
  );

  it('is found without --node where there is only one, and by --pod', async () => {
    addAgent('node-a', () => agent(), { isReady: false });
    addAgent('node-b');
    const host = bridge();
    host.send(modern(1, 'server/discover'));
    expect(await host.answerTo(1)).toHaveProperty('result.supportedVersions');
    const other = bridge('--namespace', 'gpu', '--pod', 'agent-node-b-1');
    other.send(modern(1, 'server/discover'));
    expect(await other.answerTo(1)).toHaveProperty('result.supportedVersions');
    other.child.stdin.end();
    await other.exited;
    await expectCleanEnd(host, [1]);
  });

  it('prints its own log lines without what a terminal would obey', async () => {
    const colours =
      "process.stderr.write('\\u001b[31mred\\u0007\\r\\n\\u202eline two\\n'); process.stdin.resume()";
    addAgent('node-a', () => program(colours));
    const host = bridge('--node', 'node-a');
    host.send(initialize(1));
    await host.logged('line two');
    host.child.stdin.end();
    const { stderr } = await host.exited;
    expect(stderr).toContain('[31mred');
    expect(stderr).not.toMatch(/[\u001b\u0007\r\u202e]/);
  });

  it('two hosts at once, each with its own agent and answers', async () => {
    addAgent('node-a');
    const hosts = await Promise.all([legacyBridge('--node', 'node-a'), legacyBridge('--node', 'node-a')]);
    expect(cluster.execs.programs).toHaveLength(2);
    for (const [index, host] of hosts.entries()) host.send(toolCall(7, 'get_gpu_inventory', { gpu: index }));
    await Promise.all(hosts.map((host) => host.answerTo(7)));
    const [first, second] = hosts;
    first?.child.stdin.end();
    await first?.exited;
    if (second === undefined) throw new Error('no host');
    second.send(request(8, 'ping'));
    await second.answerTo(8);
    await expectCleanEnd(second, [1, 2, 7, 8]);
  });
});

describe('drills', () => {
  it.each(['the pod', 'the connection'] as const)('%s is killed in the middle of calls', async (what) => {
    let isFirst = true;
    addAgent('node-a', () => {
      const program = agent(...(isFirst ? ['--scenario', 'hung-driver'] : []));
      isFirst = false;
      return program;
    });
    const host = await legacyBridge('--node', 'node-a');
    host.send(toolCall(3, 'get_gpu_health'), toolCall(4, 'not_known_to_only_read'), request(5, 'ping'));
    await host.answerTo(5);
    const unsafeAnswered = host.messages().some(({ id }) => id === 4);
    if (what === 'the pod') cluster.execs.killPods();
    else cluster.execs.cut();
    expect(await host.answerTo(3)).toHaveProperty('result.structuredContent.verdict', 'ok');
    if (!unsafeAnswered) await host.answerTo(4);
    // The session was opened again unseen.
    host.send(toolCall(6, 'get_gpu_inventory'));
    expect(await host.answerTo(6)).toHaveProperty('result.structuredContent.gpuCount', 8);
    expect(cluster.execs.programs).toHaveLength(2);
    await expectCleanEnd(host, [1, 2, 3, 4, 5, 6]);
  });

  it('killed in the middle of a call that is not known to only read: told, not sent again', async () => {
    addAgent('node-a', () => agent('--scenario', 'hung-driver'));
    const host = bridge('--node', 'node-a');
    host.send(initialize(1));
    await host.answerTo(1);
    host.send(initialized, toolCall(3, 'get_gpu_health'), request(4, 'ping'));
    await host.answerTo(4);
    cluster.execs.killPods();
    expect(await messageOf(host, 3)).toContain(
      'The connection to the agent broke during tools/call (the agent has ended (exit code 137)). Whether it took effect is not known',
    );
    expect(cluster.execs.programs).toHaveLength(1);
    await expectCleanEnd(host, [1, 3, 4]);
  });

  it.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])(
    'the host closes stdin in the middle of a call (%s)',
    async (protocol) => {
      cluster.protocols = [protocol];
      addAgent('node-a', () => agent('--scenario', 'hung-driver'));
      const host = await legacyBridge('--node', 'node-a');
      host.send(toolCall(3, 'get_gpu_health'), request(4, 'ping'));
      await host.answerTo(4);
      expect(await agentPrograms()).not.toEqual([]);
      const startedAt = performance.now();
      host.child.stdin.end();
      await host.exited;
      expect(performance.now() - startedAt).toBeLessThan(3_000);
      await expectCleanEnd(host, [1, 2, 3, 4]);
    },
  );

  it('a flood of output: notifications, garbage and an endless line', async () => {
    const flood = `
      const line = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x'.repeat(1000) } });
      process.stdin.once('data', () => {
        for (let i = 0; i < 5000; i += 1) process.stdout.write(line + '\\n' + 'garbage\\n');
        process.stderr.write('y'.repeat(100000) + '\\n');
        process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id: 1, result: {} }) + '\\n');
        process.stdin.on('data', () => process.stdout.write('z'.repeat(20 * 1024 * 1024)));
      });`;
    addAgent('node-a', () => program(flood));
    const host = bridge('--node', 'node-a');
    host.send(modern(1, 'server/discover'));
    await host.message(({ id }) => id === 1);
    host.send(modern(2, 'server/discover'));
    expect(await messageOf(host, 2)).toContain('was refused. It is of more than 16777216 bytes');
    await expectCleanEnd(host, [1, 2]);
  });

  it('a session with a subscription is opened again without being asked', async () => {
    const echo = `
      require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { id, method } = JSON.parse(line);
        console.error('got ' + method);
        const result = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'a', version: '0' } };
        if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
      });`;
    addAgent('node-a', () => program(echo));
    const host = bridge('--node', 'node-a');
    host.send(initialize(1));
    await host.answerTo(1);
    host.send(initialized, request(2, 'resources/subscribe', { uri: 'gpu://health' }));
    await host.answerTo(2);
    cluster.execs.killPods();
    await host.logged('got resources/subscribe', 2);
    await expectCleanEnd(host, [1, 2]);
  });

  it('an answer to a cancelled call is not taken for the answer to a later one with its id', async () => {
    const late = `
      let held;
      require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { id, method, params } = JSON.parse(line);
        const answer = (to, from) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id: to, result: { from } }) + '\\n');
        if (method === 'tools/call' && held === undefined) { held = id; console.error('call held'); }
        else if (method === 'tools/call') { answer(held, 'first'); answer(id, 'second'); }
      });`;
    addAgent('node-a', () => program(late));
    const host = bridge('--node', 'node-a');
    host.send(modern(7, 'tools/call', { name: 'slow' }));
    await host.logged('call held');
    host.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
    host.send(modern(7, 'tools/call', { name: 'slow' }));
    expect(await host.answerTo(7)).toHaveProperty('result.from', 'second');
    await expectCleanEnd(host, [7]);
  });
});

describe('says clearly', () => {
  const ask = (...args: readonly string[]) => {
    const host = bridge(...args);
    host.send(modern(1, 'server/discover'));
    return messageOf(host);
  };
  it('no pod on that node, and which nodes have one', async () => {
    for (let index = 0; index < 12; index += 1) addAgent(`node-${index + 10}`);
    expect(await ask('--node', 'nowhere')).toMatch(
      /No agent pod runs on node "nowhere".*Nodes that have one: node-10, .*node-19 and 2 more\./,
    );
  });
  it('several agents and no --node', async () => {
    addAgent('node-a');
    addAgent('node-b');
    expect(await ask()).toContain('2 agents are ready: choose one with --node or --pod');
  });
  it('no rights to exec, and the verbs', async () => {
    addAgent('node-a');
    cluster.refusals.set('/exec', 403);
    expect(await ask('--node', 'node-a')).toContain('ask for the verbs get and create on pods/exec');
  });
  it.each<[string, { exitCode?: number; message: string }]>([
    ['exit code 126', { exitCode: 126, message: 'command terminated with exit code 126' }],
    ['exit code 127', { exitCode: 127, message: 'command terminated with exit code 127' }],
    [
      "the runtime's words",
      {
        message:
          'Internal error occurred: error executing command in container: failed to exec in container: OCI runtime exec failed: exec: "/agent": stat /agent: no such file or directory',
      },
    ],
  ])('a command that the image lacks (%s)', async (_name, failure) => {
    addAgent('node-a', () => failure);
    const said = await ask('--node', 'node-a');
    expect(said).toContain("/agent cannot be run in the image of the agent's container");
    expect(said).toContain('--exec-command');
  });
  it('a container that is not there', async () => {
    addAgent('node-a');
    expect(await ask('--node', 'node-a', '--container', 'nope')).toContain(
      'has no container "nope": choose one of sidecar, agent with --container',
    );
  });
  it('an agent that ends at once', async () => {
    addAgent('node-a', () => program('process.exit(70)'));
    expect(await ask('--node', 'node-a')).toContain('the agent has ended (exit code 70)');
  });
  it('planted fault: the check for orphans sees an agent that is left', async () => {
    const [file = '', ...args] = agent();
    const child = spawn(file, args, { env: cleanEnvironment() });
    await expect.poll(agentPrograms).toEqual([child.pid]);
    child.kill('SIGKILL');
    await expect.poll(agentPrograms).toEqual([]);
  });
});

describe('the fake API server speaks the real protocol', () => {
  it('kubectl exec -i gets an answer from the agent', async (context) => {
    addAgent('node-a');
    const child = spawn(
      'kubectl',
      ['exec', '-i', '-n', 'gpu', 'agent-node-a-0', '-c', 'agent', '--', '/agent'],
      {
        env: cleanEnvironment({ KUBECONFIG: kubeconfig, HOME: folder }),
      },
    );
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.stdin.on('error', () => {});
    const isThere = await new Promise<boolean>((resolve) => {
      child.once('error', () => resolve(false)).once('spawn', () => resolve(true));
    });
    if (!isThere) return context.skip('kubectl is not here');
    child.stdin.end(`${JSON.stringify(initialize(1))}\n`);
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(stderr).not.toContain('error');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty('result.serverInfo');
    expect(cluster.requests).toContain('EXEC /api/v1/namespaces/gpu/pods/agent-node-a-0/exec');
    await expect.poll(agentPrograms).toEqual([]);
  });
});
