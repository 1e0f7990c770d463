import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApiServer, startFakeApiServer } from './fake-api-server.ts';
import {
  freePort,
  initialize,
  initialized,
  kubeconfigOf,
  modern,
  type Running,
  request,
  startBridge,
  startGateway,
  stop,
  toolCall,
} from './run-bridge.ts';

const name = { 'app.kubernetes.io/name': 'k8s-gpu-mcp-server' };
const gatewayLabels = { ...name, 'app.kubernetes.io/component': 'gateway' };
const agentLabels = { ...name, 'app.kubernetes.io/component': 'agent' };

let folder: string;
let healthy: Running;
let healthyPort: number;
let cluster: FakeApiServer;
let running: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bridge-forward-'));
  healthyPort = await freePort();
  healthy = await startGateway(healthyPort);
});
afterAll(async () => {
  await stop(healthy);
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  cluster = await startFakeApiServer();
  // The agents' service comes first by name, and must never be taken.
  cluster.services.push(
    { namespace: 'gpu', name: 'agents', labels: agentLabels, selector: agentLabels },
    { namespace: 'gpu', name: 'gateway', labels: gatewayLabels, selector: gatewayLabels },
  );
  cluster.pods.push({ namespace: 'gpu', name: 'agent-0', labels: agentLabels, localPort: 1, isReady: true });
});
afterEach(async () => {
  await Promise.all(running.map((each) => stop(each)));
  running = [];
  await cluster.close();
});

const addPod = (podName: string, localPort: number, isReady = true) =>
  cluster.pods.push({ namespace: 'gpu', name: podName, labels: gatewayLabels, localPort, isReady });

async function bridge(...args: readonly string[]): Promise<Running> {
  const kubeconfig = join(folder, `config-${new URL(cluster.url).port}`);
  await writeFile(kubeconfig, kubeconfigOf(cluster.url));
  const started = startBridge(args, { KUBECONFIG: kubeconfig });
  running.push(started);
  return started;
}

const forwardedTo = () => cluster.requests.filter((each) => each.startsWith('FORWARD'));

describe('through a port-forward', () => {
  it.each([[[]], [['--namespace', 'gpu', '--service', 'gateway', '--service-port', '80']]])(
    'finds the gateway and never an agent %j',
    async (args) => {
      addPod('gateway-starting', 1, false);
      addPod('gateway-up', healthyPort);
      const host = await bridge(...args);
      host.send(modern(1, 'tools/call', { name: 'get_gpu_health', arguments: {} }));
      expect(await host.answerTo(1)).toHaveProperty('result.structuredContent.verdict', 'ok');
      expect(new Set(forwardedTo())).toEqual(
        new Set(['FORWARD /api/v1/namespaces/gpu/pods/gateway-up/portforward']),
      );
      host.child.stdin.end();
      expect(await host.exited).toMatchObject({ code: 0 });
    },
  );

  it('opens once for first messages that come together', async () => {
    addPod('gateway-up', healthyPort);
    const host = await bridge();
    const ids = Array.from({ length: 20 }, (_, index) => index);
    host.send(...ids.map((id) => modern(id, 'server/discover')));
    await Promise.all(ids.map((id) => host.answerTo(id)));
    expect(cluster.requests.filter((each) => each === 'GET /api/v1/services')).toHaveLength(1);
    host.child.stdin.end();
    const { stderr } = await host.exited;
    expect(stderr.split('port-forward to the gateway')).toHaveLength(2);
  });

  it.each(['the forward', 'the pod'] as const)('%s is killed in the middle of a call', async (what) => {
    const hungPort = await freePort();
    const hung = await startGateway(hungPort, '--scenario', 'hung-driver');
    running.push(hung);
    addPod('gateway-a', hungPort);
    const host = await bridge();
    host.send(initialize(1));
    await host.answerTo(1);
    host.send(initialized, request(2, 'tools/list'));
    await host.answerTo(2);
    host.send(toolCall(3, 'get_gpu_health'), modern(4, 'tools/call', { name: 'get_gpu_health' }));
    host.send(request(5, 'ping'));
    await host.answerTo(5);
    cluster.pods.splice(1);
    addPod('gateway-b', healthyPort);
    if (what === 'the pod') await stop(hung);
    else cluster.killForwards();
    for (const id of [3, 4])
      expect(await host.answerTo(id)).toHaveProperty('result.structuredContent.verdict', 'ok');
    host.child.stdin.end();
    const { code, stdout } = await host.exited;
    expect(code).toBe(0);
    for (const id of [1, 2, 3, 4, 5])
      expect(stdout.split(`"id":${id},`).length + stdout.split(`"id":${id}}`).length).toBe(3);
  });
});

describe('says clearly', () => {
  const messageOf = async (...args: readonly string[]) => {
    const host = await bridge(...args);
    host.send(modern(1, 'server/discover'));
    return ((await host.answerTo(1))['error'] as { message: string }).message;
  };
  it('no gateway', async () => {
    cluster.services.splice(1);
    expect(await messageOf()).toContain('No gateway was found in any namespace of context "test"');
  });
  it('several gateways', async () => {
    cluster.services.push({ namespace: 'other', name: 'gw', labels: gatewayLabels, selector: gatewayLabels });
    expect(await messageOf()).toContain('2 gateways were found (gpu/gateway, other/gw): choose one');
  });
  it('no rights to list', async () => {
    cluster.refusals.set('/services', 403);
    expect(await messageOf()).toContain('You may not list services');
  });
  it('no rights to forward', async () => {
    addPod('gateway-up', healthyPort);
    cluster.refusals.set('/portforward', 403);
    expect(await messageOf()).toContain('You may not forward a port to the gateway');
  });
  it('expired credentials', async () => {
    cluster.refusals.set('/api', 401);
    expect(await messageOf()).toContain('does not accept your credentials: log in again');
  });
  it('an agent named as the gateway', async () => {
    expect(await messageOf('--namespace', 'gpu', '--service', 'agents')).toContain('is of the agents');
  });
  it('a context that does not exist', async () => {
    expect(await messageOf('--context', 'nope')).toContain('no cluster for context "nope"');
  });
  it('no kubeconfig', async () => {
    const host = startBridge([], { HOME: folder });
    running.push(host);
    host.send(modern(1, 'server/discover'));
    expect(await host.answerTo(1)).toHaveProperty(
      'error.message',
      expect.stringContaining('No kubeconfig: set KUBECONFIG'),
    );
  });
  it('planted fault: the checks would see a forward to an agent', async () => {
    cluster.services.splice(1, 1, {
      namespace: 'gpu',
      name: 'wrong',
      labels: gatewayLabels,
      selector: agentLabels,
    });
    const host = await bridge();
    host.send(modern(1, 'server/discover'));
    await host.answerTo(1);
    expect(forwardedTo()).toContain('FORWARD /api/v1/namespaces/gpu/pods/agent-0/portforward');
  });
});
