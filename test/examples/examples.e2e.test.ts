// Every example runs as its reader would run it, on the built packages.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../apps/agent/test/run-agent.ts';

const run = promisify(execFile);
const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const agentBin = path('apps/agent/bin/k8s-gpu-mcp-server.js');
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
});

function startAgent(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [agentBin, '--backend', 'mock', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

test('embed-in-your-server: the tools list and answer alike on both SDK lines', async () => {
  const { stdout } = await run(process.execPath, [path('examples/embed-in-your-server/dist/main.js')]);
  expect(stdout).toContain('get_gpu_health on both: critical');
});

test('third-party-adapter: passes the contract suite', async () => {
  const { stdout } = await run(process.execPath, [
    '--test-reporter=tap',
    path('examples/third-party-adapter/dist/main.js'),
  ]);
  expect(stdout).toMatch(/^# fail 0$/m);
  expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(20);
});

test('http-client: prints the verdict of an agent over HTTP', async () => {
  const port = await freePort();
  const agent = startAgent('--scenario', 'healthy-8xh100', '--port', String(port));
  const url = `http://127.0.0.1:${port}`;
  await expect
    .poll(
      () =>
        fetch(`${url}/healthz`).then(
          (response) => response.status,
          () => 0,
        ),
      { timeout: 20_000 },
    )
    .toBe(200);
  const { stdout } = await run(process.execPath, [path('examples/http-client/dist/main.js'), `${url}/mcp`]);
  expect(stdout).toMatch(/: ok\n/);
  expect(agent.exitCode).toBeNull();
});

test('requests/*.json: sent as they are, each is answered', async () => {
  const agent = startAgent('--scenario', 'mixed-faults');
  const lines = createInterface({ input: agent.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const folder = path('examples/requests');
  const order = ['initialize.json', 'gpu_inventory.json', 'gpu_health.json', 'analyze_xid.json'];
  expect(readdirSync(folder).sort()).toEqual([...order].sort());
  for (const file of order) {
    const request = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8'));
    agent.stdin?.write(`${JSON.stringify(request)}\n`);
    const answer = JSON.parse((await lines.next()).value);
    expect(answer.id, file).toBe(request.id);
    expect(answer.error, file).toBeUndefined();
    if (file === 'initialize.json') {
      agent.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`);
    } else {
      expect(answer.result.isError, file).not.toBe(true);
      expect(answer.result.structuredContent.apiVersion, file).toBe('v1');
    }
  }
});
