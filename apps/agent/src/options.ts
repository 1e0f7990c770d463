import {
  file,
  oneOf,
  repeated,
  single,
  type TextParser,
  text,
  toggle,
  wholeNumber,
} from './option-parsers.ts';

export const builtCommands = [
  'serve',
  'inventory',
  'health',
  'xid',
  'topology',
  'processes',
  'timeline',
  'diagnose',
  'watch',
  'analyze',
  'call',
  'tools',
  'doctor',
  'version',
] as const;
export type CommandName = (typeof builtCommands)[number];

const backendCommands: readonly CommandName[] = [
  'serve',
  'inventory',
  'health',
  'xid',
  'topology',
  'processes',
  'timeline',
  'diagnose',
  'watch',
  'call',
  'doctor',
];
/** Those that record. */
const recordingCommands: readonly CommandName[] = ['serve', 'timeline', 'doctor'];
/** Those that judge. */
const judgingCommands: readonly CommandName[] = ['serve', 'health', 'diagnose', 'analyze', 'call'];
const serveOnly: readonly CommandName[] = ['serve'];

/** One option: the command line, the environment, `--help` and the docs table are all made from it. */
export interface OptionSpec<T> {
  /** Without the dashes. The environment name follows from it (`K8S_GPU_MCP_LOG_LEVEL` for `log-level`). */
  readonly flag: string;
  /** Placeholder of the value; a switch has none. */
  readonly value?: string;
  readonly short?: string;
  readonly parse: TextParser<T>;
  readonly fallback: T;
  /** The default in words, when the value alone does not tell. */
  readonly fallbackText?: string;
  readonly description: string;
  readonly commands: readonly CommandName[];
  readonly isRepeatable?: true;
  /** False for what belongs to one question and not to an installation. */
  readonly hasEnvironment?: false;
  /** What must be chosen for this option to have any effect. */
  readonly needs?: 'http' | 'stdio' | 'mock' | 'nvml' | 'replay' | 'operator' | 'operatorHttp';
}

const option = <T>(spec: OptionSpec<T>): OptionSpec<T> => spec;
const kernelLogSources = ['auto', 'kmsg', 'syslog', 'journal', 'none'] as const;
export type KernelLogChoice = (typeof kernelLogSources)[number] | `file:${string}`;

function kernelLogChoice(value: string): KernelLogChoice {
  if (/^file:./.test(value)) return value as `file:${string}`;
  return oneOf(kernelLogSources, { alsoValid: 'file:PATH' })(value);
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export const optionTable = {
  port: option({
    flag: 'port',
    value: 'N',
    parse: single(wholeNumber(0, 65_535)),
    fallback: 0,
    fallbackText: '0: MCP over stdio',
    description: 'Serve MCP over HTTP on this port',
    commands: serveOnly,
  }),
  address: option({
    flag: 'addr',
    value: 'ADDRESS',
    parse: single(text()),
    fallback: '127.0.0.1',
    description: 'Address to listen on; others than loopback need a token file',
    commands: serveOnly,
    needs: 'http',
  }),
  mode: option<'read-only' | 'operator'>({
    flag: 'mode',
    value: 'MODE',
    parse: single(oneOf(['read-only', 'operator'])),
    fallback: 'read-only',
    description: 'What tools may do: read-only, or operator, which can end processes and reset GPUs',
    commands: ['serve', 'tools'],
  }),
  backend: option({
    flag: 'backend',
    value: 'NAME',
    parse: single(oneOf(['auto', 'nvml', 'mock', 'replay'], { planned: ['rocm'] })),
    fallback: 'auto' as const,
    description: 'Where readings come from; auto never takes mock, whose GPUs are simulated',
    commands: backendCommands,
  }),
  nvmlMode: option<'real' | 'mock' | undefined>({
    flag: 'nvml-mode',
    value: 'MODE',
    parse: single(oneOf(['real', 'mock'])),
    fallback: undefined,
    fallbackText: 'as --backend says',
    description: 'Other spelling of --backend nvml and --backend mock',
    commands: backendCommands,
  }),
  scenario: option<string | undefined>({
    flag: 'scenario',
    value: 'NAME',
    parse: single(text()),
    fallback: undefined,
    fallbackText: 'a healthy node',
    description: 'What the mock backend shows',
    commands: backendCommands,
    needs: 'mock',
  }),
  input: option<readonly string[]>({
    flag: 'input',
    value: 'FILE',
    parse: repeated(file()),
    fallback: [],
    isRepeatable: true,
    description: 'File that the replay backend answers from: anything that analyze reads',
    commands: backendCommands,
    needs: 'replay',
  }),
  kernelLog: option<KernelLogChoice>({
    flag: 'kernel-log',
    value: 'SOURCE',
    parse: single(kernelLogChoice),
    fallback: 'auto',
    description: 'Kernel log: auto, kmsg, syslog, journal, file:PATH or none',
    commands: backendCommands,
  }),
  nvmlLibrary: option<string | undefined>({
    flag: 'nvml-library',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    fallbackText: 'searched for',
    description: 'Another libnvidia-ml, for example of a driver root',
    commands: backendCommands,
    needs: 'nvml',
  }),
  nvmlIdleExitSeconds: option({
    flag: 'nvml-idle-exit',
    value: 'SECONDS',
    parse: single(wholeNumber(1, 3_600)),
    fallback: 10,
    description:
      'Let go of the driver after this long without a call, so that it can be unloaded and GPUs reset',
    commands: backendCommands,
    needs: 'nvml',
  }),
  nodeName: option({
    flag: 'node-name',
    value: 'NAME',
    parse: single(text()),
    fallback: '',
    fallbackText: 'host name; "offline" for analyze',
    description: 'Name of this node in answers; in a pod, the node and not the pod',
    commands: [...backendCommands, 'analyze'],
  }),
  logLevel: option<LogLevel | undefined>({
    flag: 'log-level',
    value: 'LEVEL',
    parse: single(oneOf(logLevels)),
    fallback: undefined,
    fallbackText: 'info for serve, error for the other commands',
    description: 'Least severe log line on stderr: debug, info, warn, error or silent',
    commands: [...builtCommands],
  }),
  oneshot: option<number | undefined>({
    flag: 'oneshot',
    value: 'N',
    parse: single(wholeNumber(1, 1_000_000)),
    fallback: undefined,
    fallbackText: 'no limit',
    description: 'Exit after answering this many requests (initialize counts)',
    commands: serveOnly,
    needs: 'stdio',
  }),
  authTokenFile: option<string | undefined>({
    flag: 'auth-token-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'Bearer token that callers must present; re-read when it changes',
    commands: serveOnly,
    needs: 'http',
  }),
  operatorTokenFile: option<string | undefined>({
    flag: 'operator-token-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'Bearer token of callers that may change things; another one than for reading',
    commands: serveOnly,
    needs: 'operatorHttp',
  }),
  confirmWithoutElicitation: option({
    flag: 'confirm-without-elicitation',
    parse: toggle,
    fallback: false,
    description: 'Let a plan id alone act where the client cannot ask a person',
    commands: serveOnly,
    needs: 'operator',
  }),
  auditFile: option<string | undefined>({
    flag: 'audit-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    fallbackText: 'stderr only',
    description: 'Append a record of every attempt to change something, refused or done',
    commands: serveOnly,
    needs: 'operator',
  }),
  tlsCertificateFile: option<string | undefined>({
    flag: 'tls-cert',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'Certificate chain (PEM); re-read when it changes',
    commands: serveOnly,
    needs: 'http',
  }),
  tlsKeyFile: option<string | undefined>({
    flag: 'tls-key',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'Private key of the certificate (PEM)',
    commands: serveOnly,
    needs: 'http',
  }),
  allowedHosts: option<readonly string[]>({
    flag: 'allowed-host',
    value: 'HOST',
    parse: repeated(text()),
    fallback: [],
    isRepeatable: true,
    description: 'Further host name that callers may use',
    commands: serveOnly,
    needs: 'http',
  }),
  allowedOrigins: option<readonly string[]>({
    flag: 'allowed-origin',
    value: 'ORIGIN',
    parse: repeated(text()),
    fallback: [],
    isRepeatable: true,
    description: 'Further browser origin that may call',
    commands: serveOnly,
    needs: 'http',
  }),
  allowUnauthenticated: option({
    flag: 'allow-unauthenticated',
    parse: toggle,
    fallback: false,
    description: 'Let anyone who can reach the address call everything',
    commands: serveOnly,
    needs: 'http',
  }),
  gpu: option<string | undefined>({
    flag: 'gpu',
    value: 'SEL',
    parse: single(text()),
    fallback: undefined,
    fallbackText: 'all',
    description: 'One GPU: index, UUID or unique prefix, PCI address, MIG UUID',
    commands: [
      'inventory',
      'health',
      'xid',
      'topology',
      'processes',
      'timeline',
      'diagnose',
      'watch',
      'analyze',
    ],
    hasEnvironment: false,
  }),
  pid: option<number | undefined>({
    flag: 'pid',
    value: 'N',
    parse: single(wholeNumber(1, 4_194_304)),
    fallback: undefined,
    description: 'Explain what happened to this host process',
    commands: ['diagnose', 'analyze'],
    hasEnvironment: false,
  }),
  at: option<string | undefined>({
    flag: 'at',
    value: 'TIME',
    parse: single(text()),
    fallback: undefined,
    description: 'Explain what happened then: ISO 8601, or a duration back from now (30m, 2h, 1d)',
    commands: ['diagnose', 'analyze'],
    hasEnvironment: false,
  }),
  since: option<string | undefined>({
    flag: 'since',
    value: 'TIME',
    parse: single(text()),
    fallback: undefined,
    fallbackText: '24h for health and diagnose, 10m for timeline, everything for xid and analyze',
    description: 'What happened after this: ISO 8601, or a duration back from now (30m, 2h, 1d)',
    commands: ['health', 'xid', 'timeline', 'diagnose', 'analyze'],
    hasEnvironment: false,
  }),
  json: option({
    flag: 'json',
    parse: toggle,
    fallback: false,
    description: 'Print the structured answer, one line of JSON',
    commands: [
      'inventory',
      'health',
      'xid',
      'topology',
      'processes',
      'timeline',
      'diagnose',
      'watch',
      'analyze',
      'tools',
      'doctor',
      'version',
    ],
    hasEnvironment: false,
  }),
  events: option({
    flag: 'events',
    parse: toggle,
    fallback: false,
    description: 'Print one line of JSON per recognised event, in input order',
    commands: ['analyze'],
    hasEnvironment: false,
  }),
  record: option({
    flag: 'record',
    parse: toggle,
    fallback: false,
    fallbackText: 'off: for 15 minutes after each call',
    description: 'Record all the time, also while nobody asks',
    commands: serveOnly,
  }),
  recordDirectory: option<string | undefined>({
    flag: 'record-directory',
    value: 'DIRECTORY',
    parse: single(file()),
    fallback: undefined,
    fallbackText: 'memory only',
    description: 'Keep what is recorded in this directory too, so that it outlives the process',
    commands: recordingCommands,
  }),
  recordIntervalMilliseconds: option({
    flag: 'record-interval',
    value: 'MILLISECONDS',
    parse: single(wholeNumber(200, 60_000)),
    fallback: 1_000,
    description: 'Between two recorded samples, for the last 10 minutes',
    commands: recordingCommands,
  }),
  recordRetentionHours: option({
    flag: 'record-retention',
    value: 'HOURS',
    parse: single(wholeNumber(1, 168)),
    fallback: 24,
    description: 'How long samples are kept, one for every 10 seconds after the first 10 minutes',
    commands: recordingCommands,
  }),
  windowSeconds: option({
    flag: 'window',
    value: 'SECONDS',
    parse: single(wholeNumber(1, 600)),
    fallback: 10,
    description: 'How long timeline records before it shows what there is, when nothing was recorded before',
    commands: ['timeline'],
    hasEnvironment: false,
  }),
  healthThresholds: option<string | undefined>({
    flag: 'health-thresholds',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    fallbackText: 'those of docs/health-rules.md',
    description: 'JSON file with other thresholds for health rules; answers say which are in force',
    commands: judgingCommands,
  }),
} as const satisfies Record<string, OptionSpec<unknown>>;

export type OptionName = keyof typeof optionTable;

export const environmentNameOf = (spec: OptionSpec<unknown>) =>
  spec.hasEnvironment === false ? undefined : `K8S_GPU_MCP_${spec.flag.toUpperCase().replaceAll('-', '_')}`;

export const optionEntries = Object.entries(optionTable) as [OptionName, OptionSpec<unknown>][];

export interface OptionDescription {
  readonly flag: string;
  readonly environment: string | null;
  readonly default: string;
  readonly description: string;
  readonly commands: readonly CommandName[];
  readonly isRepeatable: boolean;
}

/** Every option that works, for `--help` and for generated documentation. */
export function describeOptions(): readonly OptionDescription[] {
  return optionEntries.map(([, spec]) => ({
    flag: flagText(spec),
    environment: environmentNameOf(spec) ?? null,
    default: spec.fallbackText ?? fallbackText(spec.fallback),
    description: spec.description,
    commands: spec.commands,
    isRepeatable: spec.isRepeatable ?? false,
  }));
}

export const flagText = (spec: OptionSpec<unknown>) =>
  `--${spec.flag}${spec.value === undefined ? '' : ` <${spec.value}>`}`;

function fallbackText(value: unknown): string {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return 'none';
  return value === false ? 'off' : String(value);
}
