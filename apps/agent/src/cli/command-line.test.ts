import { UsageError } from '@k8s-gpu-mcp/command-line';
import { describe, expect, it } from 'vitest';
import { builtCommands } from '../options.ts';
import { parseCommandLine } from './command-line.ts';

function commandOf(...argv: string[]) {
  const parsed = parseCommandLine(argv);
  if (parsed.kind !== 'command') throw new Error(`help instead of a command: ${parsed.text}`);
  return parsed;
}

function messageOf(...argv: string[]): string {
  try {
    parseCommandLine(argv);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('parseCommandLine', () => {
  it('serves by default', () => {
    expect(commandOf()).toEqual({ kind: 'command', command: 'serve', operands: [], flags: {} });
    expect(commandOf('--port', '8080')).toMatchObject({ command: 'serve', flags: { port: ['8080'] } });
  });

  it('takes options before and after the command, with a blank or an equals sign', () => {
    const expected = { command: 'health', flags: { backend: ['mock'], json: ['true'] } };
    expect(commandOf('health', '--backend', 'mock', '--json')).toMatchObject(expected);
    expect(commandOf('--backend', 'mock', 'health', '--json')).toMatchObject(expected);
    expect(commandOf('--backend=mock', '--json', 'health')).toMatchObject(expected);
  });

  it.each([
    [['topology', '--gpu', '1', '--json'], { command: 'topology', flags: { gpu: ['1'], json: ['true'] } }],
    [['processes', '--backend=mock'], { command: 'processes', flags: { backend: ['mock'] } }],
    [
      ['--kernel-log', 'none', 'watch', '--gpu', 'GPU-1'],
      { command: 'watch', flags: { kernelLog: ['none'], gpu: ['GPU-1'] } },
    ],
    [
      ['--mode', 'operator', '--audit-file', '/a', '--confirm-without-elicitation'],
      {
        command: 'serve',
        flags: { mode: ['operator'], auditFile: ['/a'], confirmWithoutElicitation: ['true'] },
      },
    ],
    [['tools', '--mode', 'operator'], { command: 'tools', flags: { mode: ['operator'] } }],
  ])('%j', (argv, expected) => {
    expect(commandOf(...argv)).toMatchObject(expected);
  });

  it('keeps operands in order, a dash for standard input among them', () => {
    expect(commandOf('analyze', 'a.log', '-', '--events', 'b.log').operands).toEqual(['a.log', '-', 'b.log']);
    expect(commandOf('call', 'get_gpu_health', '{"gpu":0}').operands).toEqual([
      'get_gpu_health',
      '{"gpu":0}',
    ]);
  });

  it('takes what follows -- as it is', () => {
    expect(commandOf('analyze', '--', '--odd.log').operands).toEqual(['--odd.log']);
  });

  it('collects a repeatable option', () => {
    expect(commandOf('--allowed-host', 'a', '--allowed-host', 'b').flags.allowedHosts).toEqual(['a', 'b']);
  });

  it.each([['--version'], ['-V'], ['version']])('%s is the version command', (word) => {
    expect(commandOf(word).command).toBe('version');
  });

  it.each([['--help'], ['-h'], ['help']])('%s lists every command and the exit codes', (word) => {
    const parsed = parseCommandLine([word]);
    if (parsed.kind !== 'help') throw new Error('no help');
    for (const command of builtCommands) expect(parsed.text).toContain(command);
    expect(parsed.text).toContain('64 usage');
  });

  it.each([
    ['health', '--help'],
    ['help', 'health'],
  ])('help of one command: %s %s', (...argv) => {
    const parsed = parseCommandLine(argv);
    if (parsed.kind !== 'help') throw new Error('no help');
    expect(parsed.text).toContain('--since <TIME>');
    expect(parsed.text).toContain('K8S_GPU_MCP_KERNEL_LOG');
    expect(parsed.text).not.toContain('--record');
  });

  it.each([
    [['--prot', '1'], '--prot'],
    [['helth'], 'helth'],
    [['health', 'extra'], 'argument'],
    [['analyze'], 'file'],
    [['health', '--gpu'], '--gpu'],
    [['analyze', '--backend', 'mock', 'x'], '--backend'],
    [['topology', '--since', '1h'], '--since'],
    [['processes', 'extra'], 'argument'],
    [['watch', '--since', '1h'], '--since'],
    [['health', '--mode', 'operator'], '--mode'],
  ])('%j is refused in one line', (argv, word) => {
    const message = messageOf(...argv);
    expect(message).toContain(word);
    expect(message).not.toContain('\n');
  });
});
