import { parseCommandLine, UsageError } from '@k8s-gpu-mcp/command-line';
import { describe, expect, test } from 'vitest';
import { resolveConfig } from './config.ts';
import { program } from './options.ts';
import { sayProgress } from './progress-line.ts';
import { parseSubject } from './subject.ts';

function configOf(argv: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const line = parseCommandLine(program, argv);
  if (line.kind === 'help') throw new Error('help');
  return { ...line, options: resolveConfig(line.command, line.flags, environment) };
}

describe('what diagnose is asked about', () => {
  test.each([
    [['gpu-7'], { kind: 'node', node: 'gpu-7' }],
    [['node/gpu-7'], { kind: 'node', node: 'gpu-7' }],
    [['pod/train-0'], { kind: 'pod', name: 'train-0' }],
    [['pods', 'train-0'], { kind: 'pod', name: 'train-0' }],
    [['job/train'], { kind: 'job', ownerKind: 'Job', name: 'train' }],
    [['pytorchjobs.kubeflow.org/llm'], { kind: 'job', ownerKind: 'PyTorchJob', name: 'llm' }],
    [['sts', 'x'], { kind: 'job', ownerKind: 'StatefulSet', name: 'x' }],
    [['Widget/x'], { kind: 'job', ownerKind: 'Widget', name: 'x' }],
  ])('%j', (operands, subject) => {
    expect(parseSubject(operands)).toEqual(subject);
  });

  test.each([
    [['Gpu 7']],
    [['pod/']],
    [['/x']],
    [['pod/a/b']],
    [['pod/a', 'b']],
    [['pod/\u001b[2J']],
    [['-x/y']],
  ])('%j is refused', (operands) => {
    expect(() => parseSubject(operands)).toThrow(UsageError);
  });
});

describe('options', () => {
  test.each([[['-n', 'ml']], [['-nml']], [['-n=ml']], [['--namespace', 'ml']]])(
    '%j is the namespace',
    (flags) => {
      expect(configOf(['diagnose', 'pod/a', ...flags]).options.namespace).toBe('ml');
    },
  );

  test('a flag wins over the environment, and what is set for the bridge counts', () => {
    const environment = {
      K8S_GPU_MCP_NAMESPACE: 'gpu',
      K8S_GPU_MCP_CONTEXT: 'one',
      K8S_GPU_MCP_TOKEN_FILE: '/f',
    };
    const { options } = configOf(['health', '--context', 'two', '--token', 't'], environment);
    expect(options).toMatchObject({
      gatewayNamespace: 'gpu',
      context: 'two',
      namespace: undefined,
      token: 't',
    });
    expect(options.tokenFile).toBeUndefined();
  });

  test('a URL without a path is that of the endpoint', () => {
    expect(configOf(['health', '--gateway-url', 'http://gw:8080']).options.gatewayUrl?.href).toBe(
      'http://gw:8080/mcp',
    );
  });

  test.each([
    [['health', '--deadline', '3'], '--deadline'],
    [['health', '--deadline', '11m'], '600s'],
    [['health', '--limit', '0'], '--limit'],
    [['health', '--gateway-url', 'ftp://x'], 'http'],
    [['health', '--gateway-url', 'http://u:p@x'], '--token-file'],
    [['health', '--token', 'a', '--token-file', 'b'], 'choose one'],
    [['top', '--since', '1h'], '--since'],
    [['diagnose'], 'what'],
    [['helth'], 'helth'],
  ])('%j is one clear line', (argv, words) => {
    expect(() => configOf(argv)).toThrow(UsageError);
    expect(() => configOf(argv)).toThrow(words);
  });
});

test('what is well-formed is not refused, so the refusals above are of what they name', () => {
  for (const argv of [
    ['health', '--deadline', '3s', '--limit', '1', '--gateway-url', 'https://x'],
    ['xid', '--since', '1h'],
    ['diagnose', 'pod/a'],
  ])
    expect(() => configOf(argv)).not.toThrow();
});

test.each([
  [{ done: 12, total: 64, message: '12 of 64 nodes' }, '12/64 nodes answered'],
  [{ done: 12, total: 64, message: undefined }, '12/64 nodes answered'],
  [{ done: 3, total: 9, message: 'samples taken' }, '3/9 samples taken'],
  [{ done: 3, total: undefined, message: undefined }, '3 nodes answered'],
])('progress %j', (note, words) => {
  expect(sayProgress(note)).toBe(words);
});
