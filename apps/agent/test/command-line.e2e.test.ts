import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { mockScenarios } from '@k8s-gpu-mcp/nvml-mock';
import { describe, expect, it } from 'vitest';
import { programNodeVersion } from '../../../test/programs/program-form.ts';
import { agentCommand, cleanEnvironment, runAgent } from './run-agent.ts';

const codeByVerdict: Record<string, number> = { ok: 0, warning: 1, critical: 2, unknown: 3 };

describe('health per mock scenario', () => {
  /** What the scenario's own description obliges the verdict to be. */
  const obliged: Record<string, string> = {
    'healthy-8xh100': 'ok',
    mig: 'ok',
    // Nothing is broken: another command has the news, see below.
    'vbios-drift': 'ok',
    straggler: 'ok',
    // The fault was the program's, or is over.
    'application-page-fault': 'ok',
    'recovered-by-reset': 'ok',
    'memory-held-by-nobody': 'warning',
    'fallen-off-bus': 'critical',
    'hung-driver': 'critical',
    'mixed-faults': 'critical',
    'ecc-uncorrectable': 'critical',
    'row-remap-failed': 'critical',
  };
  it('knows the scenarios it names', () => {
    const names: string[] = mockScenarios.map(({ name }) => name);
    for (const name of Object.keys(obliged)) expect(names).toContain(name);
  });

  it.each(mockScenarios.map(({ name }) => name))('%s', async (scenario) => {
    const { code, stdout } = await runAgent([
      'health',
      '--backend',
      'mock',
      '--scenario',
      scenario,
      '--json',
    ]);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const answer = JSON.parse(stdout);
    expect(answer.coverage.gpuBackend).toMatchObject({ backend: 'mock', simulated: true });
    expect(code).toBe(codeByVerdict[answer.verdict]);
    if (obliged[scenario]) expect(answer.verdict).toBe(obliged[scenario]);
    else expect(['warning', 'critical']).toContain(answer.verdict);
  });
});

describe('what has a command of its own', () => {
  it.each([
    [['inventory'], 'vbios-drift', 'GPU 6', 1],
    [['processes'], 'memory-held-by-nobody', 'GPU 1', 1],
    [['call', 'compare_gpus'], 'straggler', 'GPU 5', 1],
    [['topology'], 'nvlink-down', 'GPU 4', 2],
    [['diagnose'], 'fallen-off-bus', 'not your code', 2],
    [['diagnose'], 'application-page-fault', 'your code', 1],
  ])('%j finds it in %s', async (command, scenario, gpu, expected) => {
    const { code, stdout } = await runAgent([...command, '--backend', 'mock', '--scenario', scenario]);
    expect(code).toBe(expected);
    expect(stdout).toContain(gpu);
    // How long a read takes is compared too, and on a machine under load that is no simulation.
    if (command.includes('compare_gpus')) return;
    const healthy = await runAgent([...command, '--backend', 'mock']);
    expect(healthy).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('libraries that cannot be used', () => {
  const readme = fileURLToPath(new URL('../README.md', import.meta.url));
  it.each([
    ['a file that is no library', readme, 'LIBRARY_INVALID'],
    ['a file that does not exist', '/does/not/exist.so', 'LIBRARY_NOT_FOUND'],
  ])('%s: unknown, never healthy', async (_, file, reason) => {
    const { code, stdout } = await runAgent([
      'health',
      '--nvml-library',
      file,
      '--kernel-log',
      'none',
      '--json',
    ]);
    expect(code).toBe(3);
    const answer = JSON.parse(stdout);
    expect(answer.verdict).toBe('unknown');
    expect(answer.coverage.gpuBackend.detail).toContain(reason);
    const doctor = await runAgent(['doctor', '--nvml-library', file, '--kernel-log', 'none', '--json']);
    expect(doctor.code).toBe(2);
    expect(doctor.stdout).toContain(reason);
  });
});

describe('commands', () => {
  it('inventory is a success when it judges nothing', async () => {
    const { code, stdout } = await runAgent(['inventory', '--backend', 'mock']);
    expect(code).toBe(0);
    expect(stdout).toContain('NVIDIA H100');
    expect(stdout).toContain('SIMULATED');
  });

  it('xid says what and where', async () => {
    const { code, stdout } = await runAgent(['xid', '--backend', 'mock', '--scenario', 'fallen-off-bus']);
    expect(code).toBe(2);
    expect(stdout).toContain('CRITICAL');
    expect(stdout).toContain('Xid 79');
  });

  it('call prints the structured result', async () => {
    const { code, stdout } = await runAgent(['call', 'get_gpu_telemetry', '{"gpu":0}', '--backend', 'mock']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ apiVersion: 'v1', gpus: [{ index: 0 }] });
  });

  it.each([
    [['call', 'get_gpu_weather', '--backend', 'mock'], 'get_gpu_weather'],
    [['call', 'get_gpu_health', '{"gpu":99}', '--backend', 'mock'], '99'],
    [['call', 'get_gpu_health', '{"gpuu":0}', '--backend', 'mock'], 'gpuu'],
    [['call', 'get_gpu_health', '{oops', '--backend', 'mock'], 'not JSON'],
    [['health', '--backend', 'mock', '--gpu', 'x'], 'gpu = "x"'],
    [['health', '--backend', 'mock', '--scenario', 'sunny'], 'healthy-8xh100'],
    [['health', '--backend', 'rocm'], 'not built yet'],
    [['topology', '--since', '1h'], '--since'],
    [['serve', '--record-interval', '5'], '--record-interval'],
    [['diagnose', '--gpu', '1', '--pid', '7'], 'exclude each other'],
    [['health', '--backend', 'replay'], '--input'],
    [['--port', 'x'], '--port'],
    [['health', '--bogus'], '--bogus'],
    [['frobnicate'], 'frobnicate'],
  ])('%j is one line on stderr and exit 64', async (args, named) => {
    const { code, stdout, stderr } = await runAgent(args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(named);
  });

  it('a bad environment value is refused as a bad flag is', async () => {
    const { code, stderr } = await runAgent(['health'], { env: { K8S_GPU_MCP_BACKEND: 'cuda' } });
    expect(code).toBe(64);
    expect(stderr).toContain('K8S_GPU_MCP_BACKEND');
  });

  it('tools --json is the tools/list of MCP', async () => {
    const { code, stdout } = await runAgent(['tools', '--json']);
    expect(code).toBe(0);
    for (const tool of JSON.parse(stdout).tools) expect(tool.annotations.readOnlyHint).toBe(true);
  });

  it('version and doctor have a JSON form', async () => {
    const version = JSON.parse((await runAgent(['version', '--json'])).stdout);
    expect(version).toMatchObject({ name: 'k8s-gpu-mcp-server', node: programNodeVersion() });
    const { stdout } = await runAgent(['doctor', '--backend', 'mock', '--json']);
    expect(JSON.parse(stdout).checks).toContainEqual(
      expect.objectContaining({ name: 'simulated', status: 'warn' }),
    );
  });
});

describe('output', () => {
  const health = ['health', '--backend', 'mock', '--scenario', 'mixed-faults'];
  const escapeSequence = '\u001b[';

  it('is plain in a pipe, and coloured when forced', async () => {
    expect((await runAgent(health)).stdout).not.toContain(escapeSequence);
    expect((await runAgent(health, { env: { FORCE_COLOR: '1' } })).stdout).toContain(escapeSequence);
  });

  it('says the verdict in words with and without colour', async () => {
    for (const env of [{}, { FORCE_COLOR: '1' }, { NO_COLOR: '1' }] as Record<string, string>[])
      expect((await runAgent(health, { env })).stdout).toContain('CRITICAL');
  });

  it('a reader that goes away ends it quietly', async () => {
    const { command, args } = agentCommand(health);
    const child = spawn(command, args, { env: cleanEnvironment() });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdout.destroy();
    const [code] = await once(child, 'close');
    expect(stderr).toBe('');
    expect([0, 2]).toContain(code);
  });
});
