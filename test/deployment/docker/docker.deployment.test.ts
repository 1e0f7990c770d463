import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { flagsIn, unknownOptions, variablesIn } from '../agent-options.ts';
import { askHealth, connect, statusWithoutToken } from '../ask-agent.ts';
import { noContainers, runOnce } from '../image/built-image.ts';
import { named, tellMissing } from '../missing.ts';
import {
  type Composed,
  type Composition,
  compose,
  composeFiles,
  composeFolder,
  composeSkipReason,
  noDockerCompose,
  schemaProblems,
  token,
} from './compose.ts';

const read = (name: string) => readFileSync(join(composeFolder, name), 'utf8');
const documented = readFileSync(join(composeFolder, '../../docs/docker.md'), 'utf8');
/** The `docker run` lines of the documentation, as words. */
const runLines = (documented.match(/^docker run .*$/gm) ?? []).map((line) => line.split(' '));
const image = 'ghcr.io/k8s-gpu-mcp/k8s-gpu-mcp-server';

describe.skipIf(noDockerCompose)(named('docker-compose', noDockerCompose), () => {
  it.each(composeFiles)('finds nothing wrong with %s', (file) => {
    expect(schemaProblems(read(file))).toBe('');
  });

  it.each([
    ['a misspelt option', 'cap_drop:', 'cap_drops:'],
    ['a misspelt request for GPUs', 'driver: nvidia', 'drivers: nvidia'],
    ['a text where a list belongs', 'cap_add: [SYSLOG]', 'cap_add: SYSLOG'],
  ])('turns red for %s', (_what, from, to) => {
    expect(schemaProblems(read('compose.yaml').replace(from, to))).not.toBe('');
  });
});

describe('what the agent is told', () => {
  const composeFile = z.object({ services: z.object({ agent: z.object({ command: z.array(z.string()) }) }) });
  const mentioned = (text: string) => [
    ...flagsIn(composeFile.parse(parse(text)).services.agent.command),
    ...variablesIn(text),
  ];

  it.each(composeFiles)('by %s is what `serve` takes', (file) => {
    expect(mentioned(read(file))).toEqual(expect.arrayContaining(['--auth-token-file']));
    expect(unknownOptions('serve', mentioned(read(file)))).toEqual([]);
  });

  it('turns red for a misspelt flag and variable', () => {
    const planted = read('compose.yaml').replace('--addr', '--adr').replace('_NODE_NAME', '_NODENAME');
    expect(unknownOptions('serve', mentioned(planted))).toEqual(['--adr', 'K8S_GPU_MCP_NODENAME']);
  });
});

const skipped = composeSkipReason();
tellMissing(noDockerCompose, skipped, noContainers);
describe.skipIf(skipped)(named('started by podman-compose', skipped), () => {
  let composed: Composed | undefined;
  const start = async (how: Composition) => {
    composed = await compose(how);
    return composed;
  };
  afterEach(async () => {
    await composed?.stop();
    composed = undefined;
  });
  // capabilities(7): CAP_SYSLOG is 34.
  const onlySyslog = (1n << 34n).toString(16).padStart(16, '0');
  const nothing = '0'.repeat(16);

  it.each([
    ['compose.mock.yaml', { user: '65532', capabilities: nothing }],
    ['compose.yaml', { user: '0', capabilities: onlySyslog }],
  ] as const)(
    '%s answers the bearer of the token, with no more rights than it says',
    async (file, { user, capabilities }) => {
      const { url, status, isReadOnly } = await start({ file });
      expect(await statusWithoutToken(url)).toBe(401);
      await expect(connect(url, 'another')).rejects.toThrow();
      expect(await askHealth(url, token)).toHaveProperty('verdict');
      expect(isReadOnly).toBe(true);
      expect(await status('Uid')).toBe(user);
      expect(await status('CapBnd')).toBe(capabilities);
      expect(await status('CapEff')).toBe(capabilities);
      expect(await status('NoNewPrivs')).toBe('1');
      // proc(5): 2 is a filter.
      expect(await status('Seccomp')).toBe('2');
    },
  );

  it('shows the scenario that was asked for', async () => {
    const environment = { K8S_GPU_MCP_SCENARIO: 'fallen-off-bus' };
    const { url } = await start({ file: 'compose.mock.yaml', environment });
    expect(await askHealth(url, token)).toMatchObject({
      verdict: 'critical',
      coverage: { gpuBackend: { backend: 'mock', simulated: true } },
    });
  });

  it('reads the kernel log; without a GPU nothing is said to be well', async () => {
    const { url } = await start({ file: 'compose.yaml', environment: { K8S_GPU_MCP_NODE_NAME: 'rack-7' } });
    expect(await askHealth(url, token)).toMatchObject({
      node: 'rack-7',
      verdict: 'unknown',
      coverage: { kernelLog: { source: 'syslog', readable: true }, gpuBackend: { readable: false } },
    });
  });

  it('cannot read it without SYSLOG, and says so', async () => {
    const { url } = await start({
      file: 'compose.yaml',
      change: (text) => text.replace('cap_add: [SYSLOG]', ''),
    });
    expect(await askHealth(url, token)).toMatchObject({ coverage: { kernelLog: { readable: false } } });
  });

  it('does not come up with a flag that does not exist', async () => {
    const change = (text: string) => text.replace('--auth-token-file', '--token-file');
    await expect(compose({ file: 'compose.mock.yaml', change })).rejects.toThrow(/--token-file/);
  });
});

describe.skipIf(noContainers)(named('the lines of docs/docker.md', noContainers), () => {
  // As a host begins, and what it asks first.
  const session = [
    {
      method: 'initialize',
      id: 1,
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'host', version: '1' } },
    },
    { method: 'notifications/initialized' },
    { method: 'tools/list', id: 2, params: {} },
  ]
    .map((message) => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
    .join('');
  /** What the documentation says for a machine without GPUs; a terminal there is none. */
  const run = (words: readonly string[], ...more: readonly string[]) => {
    const at = words.indexOf(image);
    const flags = words.slice(2, at).filter((word) => !['--gpus', 'all', '-i', '-it', '--rm'].includes(word));
    return runOnce(flags, [...words.slice(at + 1), ...more], session);
  };
  const lineWith = (...last: readonly string[]) => {
    const line = runLines.find((words) => words.slice(words.indexOf(image) + 1).join(' ') === last.join(' '));
    if (line === undefined) throw new Error(`no line with ${last.join(' ')}`);
    return line;
  };

  it('are one for stdio, two for a question, one for operator mode', () => {
    expect(runLines.map((words) => words.slice(words.indexOf(image)))).toEqual([
      [image],
      [image, 'health'],
      [image, 'doctor'],
      [image, '--mode=operator'],
    ]);
  });

  it('serve MCP over stdio', () => {
    const { stdout } = run(lineWith(), '--backend', 'mock');
    expect(stdout).toContain('"get_gpu_health"');
    expect(stdout).not.toContain('"kill_gpu_process"');
  });

  it('answer one question', () => {
    expect(run(lineWith('health'), '--backend', 'mock', '--scenario', 'fallen-off-bus').code).toBe(2);
    expect(run(lineWith('doctor'), '--backend', 'mock').stdout).toContain('mock');
  });

  it('have the tools that change something in operator mode', () => {
    expect(run(lineWith('--mode=operator')).stdout).toContain('"kill_gpu_process"');
  });
});
