import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startFakeKubelet } from '../../../packages/kubelet/test/fake-kubelet.ts';
import { startAgent } from './run-agent.ts';

// The program asks a gRPC server on a socket, as a kubelet is one.

let folder = '';
let close = () => {};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-kubelet-'));
});
afterEach(() => {
  close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...args: readonly string[]) => startAgent(args).exited;
const call = (socket: string) =>
  run(
    'call',
    'get_pod_gpu_allocation',
    '{}',
    '--backend',
    'mock',
    '--node-name',
    'n1',
    '--pod-resources',
    socket,
  );

async function kubeletOf(pod: string, deviceIds: readonly string[]): Promise<string> {
  const devices = [{ resourceName: 'nvidia.com/gpu', deviceIds }];
  const kubelet = await startFakeKubelet(folder, {
    list: {
      podResources: [
        { name: pod, namespace: 'ml', containers: [{ name: 'main', devices, dynamicResources: [] }] },
      ],
    },
    allocatable: { devices },
  });
  close = kubelet.close;
  return kubelet.socket;
}

test('the socket that is named tells who has which device', async () => {
  const { code, stdout } = await call(await kubeletOf('trainer-0', ['GPU-a', 'GPU-b']));
  expect(JSON.parse(stdout)).toMatchObject({
    node: 'n1',
    containers: [
      {
        namespace: 'ml',
        pod: 'trainer-0',
        container: 'main',
        devices: [{ resourceName: 'nvidia.com/gpu', deviceIds: ['GPU-a', 'GPU-b'] }],
      },
    ],
    coverage: { podResources: true },
  });
  expect(code).toBe(0);
});

test('what is shown is what this kubelet says, not another', async () => {
  const { stdout } = await call(await kubeletOf('other-0', ['GPU-c']));
  expect(JSON.parse(stdout)).toMatchObject({ containers: [{ pod: 'other-0' }] });
  expect(stdout).not.toContain('trainer-0');
});

test('a socket that is not there is unknown, with the reason', async () => {
  const { code, stdout } = await call(join(folder, 'none.sock'));
  expect(JSON.parse(stdout)).toMatchObject({
    verdict: 'unknown',
    coverage: { podResources: false },
    gaps: [{ field: 'podResources', reason: 'not-observable' }],
  });
  expect(code).toBe(3);
});

test('without a kubelet there is no such tool', async () => {
  const { code, stderr } = await run('call', 'get_pod_gpu_allocation', '{}', '--backend', 'mock');
  expect(code).toBe(64);
  expect(stderr).toContain('there is no tool "get_pod_gpu_allocation"');
});
