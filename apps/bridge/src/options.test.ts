import { describe, expect, it } from 'vitest';
import { parseCommandLine } from './options.ts';

const parse = (args: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
  parseCommandLine(args, environment, '1.2.3');
const options = (...given: Parameters<typeof parse>) => {
  const parsed = parse(...given);
  if (parsed.kind !== 'serve') throw new Error(parsed.text);
  return parsed.options;
};

describe('the command line', () => {
  it('takes flags before the environment, and the environment before the default', () => {
    const environment = { K8S_GPU_MCP_NAMESPACE: 'env', K8S_GPU_MCP_SERVICE: 'gw', K8S_GPU_MCP_CONTEXT: '' };
    expect(options(['--namespace', 'flag'], environment)).toMatchObject({
      namespace: 'flag',
      service: 'gw',
      context: undefined,
      logLevel: 'info',
    });
  });

  it('adds the usual path to a URL without one', () => {
    expect(options(['--gateway-url', 'https://gw.example']).gatewayUrl?.href).toBe('https://gw.example/mcp');
    expect(options(['--gateway-url=http://gw:8080/x']).gatewayUrl?.href).toBe('http://gw:8080/x');
  });

  it('lets a token flag replace a token of the environment', () => {
    const environment = { K8S_GPU_MCP_TOKEN: 'env' };
    expect(options([], environment).token).toBe('env');
    expect(options(['--token-file', 'f'], environment)).toMatchObject({ token: undefined, tokenFile: 'f' });
  });

  it.each([
    [['--gateway-url', 'ftp://x'], {}],
    [['--gateway-url', 'http://user:pass@x'], {}],
    [['--token', 'a', '--token-file', 'b'], {}],
    [['--log-level', 'loud'], {}],
    [['extra'], {}],
    [['--unknown'], {}],
    [[], { K8S_GPU_MCP_GATEWAY_URL: 'nonsense' }],
  ])('planted fault: %j %j is refused', (args, environment) => {
    expect(parse(args, environment)).toMatchObject({ kind: 'print', isError: true });
  });

  it('prints help and version as what was asked for', () => {
    expect(parse(['--version'])).toEqual({ kind: 'print', text: '1.2.3\n', isError: false });
    expect(parse(['--help'])).toMatchObject({
      isError: false,
      text: expect.stringContaining('--gateway-url'),
    });
  });
});

describe('--via exec', () => {
  it('takes the node, the container and a command of several words', () => {
    expect(
      options([
        '--via',
        'exec',
        '--node',
        'n',
        '--container',
        'c',
        '--exec-command',
        '/agent --backend  mock',
      ]),
    ).toMatchObject({ via: 'exec', node: 'n', container: 'c', execCommand: ['/agent', '--backend', 'mock'] });
    expect(options(['--via', 'exec']).execCommand).toEqual(['/agent']);
  });

  it.each([
    [['--node', 'n'], '--node needs --via exec'],
    [['--via', 'exec', '--node', 'n', '--pod', 'p'], '--node and --pod exclude each other'],
    [['--via', 'exec', '--gateway-url', 'http://x'], '--gateway-url has no effect with --via exec'],
    [['--gateway-url', 'http://x', '--service', 's'], '--service has no effect with --gateway-url'],
    [['--token', 'a', '--token-file', 'b'], '--token and --token-file exclude each other'],
  ])('%j is refused in one line', (args, said) => {
    expect(parse(args)).toEqual({
      kind: 'print',
      isError: true,
      text: expect.stringMatching(new RegExp(`^k8s-gpu-mcp-bridge: ${said}[^\\n]*\\n$`)),
    });
  });

  it('is in the help, with every flag', () => {
    const help = parse(['--help']);
    for (const flag of [
      '--via',
      '--node',
      '--pod',
      '--container',
      '--exec-command',
      '--gateway-ca',
      '--token-file',
    ])
      expect(help).toHaveProperty('text', expect.stringContaining(flag));
  });
});
