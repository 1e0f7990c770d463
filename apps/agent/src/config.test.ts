import { hostname } from 'node:os';
import { describeOptions, environmentNameOf, UsageError } from '@k8s-gpu-mcp/command-line';
import { describe, expect, it } from 'vitest';
import { type GivenFlags, resolveConfig } from './config.ts';
import { type CommandName, type OptionName, optionTable } from './options.ts';

/** One valid value per option with a feature behind it, what else must be chosen, and what must come out. */
interface Sample {
  readonly command: CommandName;
  readonly texts: readonly string[];
  readonly expected: unknown;
  readonly context?: GivenFlags;
}
const http: GivenFlags = { port: ['8080'] };
const operator: GivenFlags = { mode: ['operator'] };
const samples: Partial<Record<OptionName, Sample>> = {
  port: { command: 'serve', texts: ['8080'], expected: 8080 },
  address: { command: 'serve', texts: ['0.0.0.0'], expected: '0.0.0.0', context: http },
  mode: { command: 'serve', texts: ['operator'], expected: 'operator' },
  backend: { command: 'health', texts: ['nvml'], expected: 'nvml' },
  scenario: { command: 'health', texts: ['mig'], expected: 'mig', context: { backend: ['mock'] } },
  kernelLog: { command: 'xid', texts: ['file:/var/log/kern.log'], expected: 'file:/var/log/kern.log' },
  podResources: { command: 'call', texts: ['/k.sock'], expected: '/k.sock' },
  nvmlLibrary: { command: 'doctor', texts: ['/opt/x.so'], expected: '/opt/x.so' },
  nvmlIdleExitSeconds: { command: 'serve', texts: ['60'], expected: 60 },
  nodeName: { command: 'serve', texts: ['gpu-7'], expected: 'gpu-7' },
  logLevel: { command: 'serve', texts: ['debug'], expected: 'debug' },
  oneshot: { command: 'serve', texts: ['3'], expected: 3 },
  authTokenFile: { command: 'serve', texts: ['/t'], expected: '/t', context: http },
  operatorTokenFile: {
    command: 'serve',
    texts: ['/o'],
    expected: '/o',
    context: { ...http, ...operator },
  },
  operatorActions: { command: 'serve', texts: ['kill'], expected: 'kill', context: operator },
  confirmWithoutElicitation: { command: 'serve', texts: ['true'], expected: true, context: operator },
  auditFile: { command: 'serve', texts: ['/a'], expected: '/a', context: operator },
  tlsCertificateFile: {
    command: 'serve',
    texts: ['/c'],
    expected: '/c',
    context: { ...http, tlsKeyFile: ['/k'] },
  },
  tlsKeyFile: {
    command: 'serve',
    texts: ['/k'],
    expected: '/k',
    context: { ...http, tlsCertificateFile: ['/c'] },
  },
  allowedHosts: {
    command: 'serve',
    texts: ['a.example', 'b.example'],
    expected: ['a.example', 'b.example'],
    context: http,
  },
  allowedOrigins: {
    command: 'serve',
    texts: ['https://a.example'],
    expected: ['https://a.example'],
    context: http,
  },
  allowUnauthenticated: { command: 'serve', texts: ['true'], expected: true, context: http },
  input: { command: 'health', texts: ['smi.xml'], expected: ['smi.xml'], context: { backend: ['replay'] } },
  record: { command: 'serve', texts: ['true'], expected: true },
  recordDirectory: { command: 'serve', texts: ['/var/lib/gpu'], expected: '/var/lib/gpu' },
  recordIntervalMilliseconds: { command: 'serve', texts: ['500'], expected: 500 },
  recordRetentionHours: { command: 'serve', texts: ['48'], expected: 48 },
  windowSeconds: { command: 'timeline', texts: ['30'], expected: 30 },
  healthThresholds: { command: 'health', texts: ['limits.json'], expected: 'limits.json' },
  gpu: { command: 'health', texts: ['3'], expected: '3' },
  pid: { command: 'diagnose', texts: ['4711'], expected: 4711 },
  at: { command: 'analyze', texts: ['2h'], expected: '2h' },
  since: { command: 'xid', texts: ['2h'], expected: '2h' },
  json: { command: 'analyze', texts: ['true'], expected: true },
  events: { command: 'analyze', texts: ['true'], expected: true },
};

const optionEntries = Object.entries(optionTable) as [OptionName, (typeof optionTable)[OptionName]][];
const working = optionEntries.filter(([name]) => name !== 'nvmlMode');
const inEnvironment = (name: OptionName, texts: readonly string[]) => ({
  [environmentNameOf(optionTable[name]) ?? 'none']: texts.join(','),
});
const resolvedValue = (name: OptionName, ...given: Parameters<typeof resolveConfig>) =>
  resolveConfig(...given)[name as keyof ReturnType<typeof resolveConfig>];

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('every option', () => {
  it('has a sample here, so that none goes untested', () => {
    expect(Object.keys(samples).sort()).toEqual(working.map(([name]) => name).sort());
  });

  for (const [name] of working) {
    const { command, texts, expected, context = {} } = samples[name] as Sample;
    it(`${name}: flag`, () => {
      expect(resolvedValue(name, command, { ...context, [name]: texts }, {})).toEqual(expected);
    });

    if (environmentNameOf(optionTable[name]) === undefined) {
      it(`${name}: belongs to one question and is not read from the environment`, () => {
        const environment = { [`K8S_GPU_MCP_${optionTable[name].flag.toUpperCase()}`]: texts.join(',') };
        expect(resolvedValue(name, command, context, environment)).toEqual(optionTable[name].fallback);
      });
      continue;
    }

    it(`${name}: environment`, () => {
      expect(resolvedValue(name, command, context, inEnvironment(name, texts))).toEqual(expected);
    });

    it(`${name}: an empty variable is as good as none`, () => {
      const flagless = name === 'port' ? {} : context;
      const pairs: readonly OptionName[] = ['tlsCertificateFile', 'tlsKeyFile', 'operatorTokenFile'];
      const needed = pairs.includes(name) ? http : flagless;
      const value = resolvedValue(name, command, needed, inEnvironment(name, ['']));
      expect(value).toEqual(resolvedValue(name, command, needed, {}));
    });
  }

  it('has its environment name from its flag', () => {
    expect(environmentNameOf(optionTable.logLevel)).toBe('K8S_GPU_MCP_LOG_LEVEL');
  });
});

describe('precedence', () => {
  it('is flag, then environment, then default', () => {
    const environment = { K8S_GPU_MCP_LOG_LEVEL: 'warn' };
    expect(resolveConfig('serve', { logLevel: ['debug'] }, environment).logLevel).toBe('debug');
    expect(resolveConfig('serve', {}, environment).logLevel).toBe('warn');
    expect(resolveConfig('serve', {}, {}).logLevel).toBe('info');
    expect(resolveConfig('health', {}, {}).logLevel).toBe('error');
  });

  it('takes the last of a flag given twice', () => {
    expect(resolveConfig('serve', { port: ['1', '2'] }, {}).port).toBe(2);
  });

  it('ignores variables of other commands', () => {
    expect(resolveConfig('analyze', {}, { K8S_GPU_MCP_PORT: 'nonsense' }).port).toBe(0);
  });

  it('names the node after the host, and an offline analysis after nothing', () => {
    expect(resolveConfig('health', {}, {}).nodeName).toBe(hostname());
    expect(resolveConfig('analyze', {}, {}).nodeName).toBe('offline');
  });
});

describe('bad values', () => {
  const bad: readonly (readonly [OptionName, CommandName, string])[] = [
    ['recordIntervalMilliseconds', 'serve', '100'],
    ['recordRetentionHours', 'serve', '0'],
    ['port', 'serve', '65536'],
    ['port', 'serve', '-1'],
    ['port', 'serve', '80a'],
    ['port', 'serve', '8e3'],
    ['port', 'serve', '0x50'],
    ['oneshot', 'serve', '0'],
    ['mode', 'serve', 'write'],
    ['backend', 'health', 'cuda'],
    ['backend', 'health', 'NVML'],
    ['kernelLog', 'xid', 'dmesg'],
    ['kernelLog', 'xid', 'file:'],
    ['logLevel', 'serve', 'loud'],
    ['nvmlMode', 'health', 'fake'],
    ['allowUnauthenticated', 'serve', 'perhaps'],
    ['nodeName', 'serve', '   '],
  ];
  for (const [name, command, text] of bad) {
    const { flag } = optionTable[name];
    it(`--${flag} ${JSON.stringify(text)} is one line naming the flag`, () => {
      const message = messageOf(() => resolveConfig(command, { [name]: [text] }, {}));
      expect(message).toMatch(new RegExp(`^--${flag}: `));
      expect(message).not.toContain('\n');
      if (text.trim() !== '') expect(message).toContain(text);
    });
    it(`and in the environment, naming the variable (${flag} ${JSON.stringify(text)})`, () => {
      const message = messageOf(() => resolveConfig(command, {}, inEnvironment(name, [text])));
      expect(message).toContain(environmentNameOf(optionTable[name]));
    });
  }

  it('a long value is cut, and control characters do not reach the terminal', () => {
    const message = messageOf(() => resolveConfig('serve', { port: [`\u001b[31m${'9'.repeat(5000)}`] }, {}));
    expect(message.length).toBeLessThan(200);
    expect(message).not.toContain('\u001b');
  });

  it('a Kubernetes service link is recognised for what it is', () => {
    const message = messageOf(() => resolveConfig('serve', {}, { K8S_GPU_MCP_PORT: 'tcp://10.0.0.1:8080' }));
    expect(message).toContain('enableServiceLinks');
  });
});

it('a backend that is planned but not built says so', () => {
  expect(messageOf(() => resolveConfig('serve', { backend: ['rocm'] }, {}))).toContain('not built yet');
});

describe('options together', () => {
  it.each([
    [{ scenario: ['mig'] }, '--scenario needs --backend mock'],
    [{ input: ['smi.xml'] }, '--input needs --backend replay'],
    [{ address: ['0.0.0.0'] }, '--addr needs --port'],
    [{ tlsCertificateFile: ['c'], port: ['1'] }, '--tls-cert and --tls-key'],
    [{ oneshot: ['1'], port: ['1'] }, '--oneshot works with MCP over stdio only'],
    [{ nvmlLibrary: ['x'], backend: ['mock'] }, '--nvml-library has no effect'],
    [{ nvmlMode: ['mock'], backend: ['nvml'] }, 'contradicts'],
    [{ auditFile: ['x'] }, '--audit-file needs --mode operator'],
    [{ confirmWithoutElicitation: ['true'] }, '--confirm-without-elicitation needs --mode operator'],
    [{ operatorActions: ['kill'] }, '--operator-actions needs --mode operator'],
    [{ operatorTokenFile: ['x'], port: ['1'] }, '--operator-token-file needs --mode operator'],
    [{ operatorTokenFile: ['x'], mode: ['operator'] }, '--operator-token-file needs --mode operator and'],
    [{ mode: ['operator'], port: ['1'] }, '--mode operator with --port needs --operator-token-file'],
    [{ mode: ['operator'], port: ['1'], allowUnauthenticated: ['true'] }, 'exclude each other'],
    [{ mode: ['operator'], backend: ['mock'] }, 'does not go with --backend mock'],
    [
      { mode: ['operator'], port: ['1'], operatorTokenFile: ['t'], authTokenFile: ['t'] },
      'two files with two tokens',
    ],
  ] satisfies readonly (readonly [GivenFlags, string])[])('%o is refused', (flags, message) => {
    expect(messageOf(() => resolveConfig('serve', flags, {}))).toContain(message);
  });

  it('--json and --events exclude each other', () => {
    expect(messageOf(() => resolveConfig('analyze', { json: ['true'], events: ['true'] }, {}))).toContain(
      'exclude',
    );
  });

  it('a variable without effect is left alone: it may be meant for another command', () => {
    expect(resolveConfig('health', {}, { K8S_GPU_MCP_SCENARIO: 'mig' }).backend).toBe('auto');
  });

  it.each([
    [{ nvmlMode: ['mock'] }, {}, 'mock'],
    [{ nvmlMode: ['real'] }, {}, 'nvml'],
    [{ nvmlMode: ['real'] }, { K8S_GPU_MCP_BACKEND: 'mock' }, 'nvml'],
    [{ backend: ['nvml'] }, { K8S_GPU_MCP_NVML_MODE: 'mock' }, 'nvml'],
    [{ nvmlMode: ['mock'], backend: ['mock'] }, {}, 'mock'],
  ] satisfies readonly (readonly [GivenFlags, Record<string, string>, string])[])(
    'nvml-mode: %o with %o is backend %s',
    (flags, environment, backend) => {
      expect(resolveConfig('health', flags, environment).backend).toBe(backend);
    },
  );
});

describe('describeOptions', () => {
  it('tells every working option once, with its variable and default', () => {
    const described = describeOptions(optionTable);
    expect(new Set(described.map(({ flag }) => flag)).size).toBe(described.length);
    expect(described).toContainEqual(
      expect.objectContaining({
        flag: '--addr <ADDRESS>',
        environment: 'K8S_GPU_MCP_ADDR',
        default: '127.0.0.1',
      }),
    );
  });
});
