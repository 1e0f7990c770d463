import {
  checkNeeds,
  endpointUrl,
  file,
  type LogLevel,
  logLevels,
  type OptionSpec,
  type OptionValues,
  oneOf,
  type ProgramSpec,
  parseCommandLine as parse,
  resolveOptions,
  single,
  text,
  UsageError,
} from '@k8s-gpu-mcp/command-line';

type CommandName = 'serve' | 'version';
type Need = 'gateway' | 'forward' | 'exec';

const serveOnly: readonly CommandName[] = ['serve'];
const option = <T>(
  spec: Omit<OptionSpec<T, CommandName, Need>, 'commands'>,
): OptionSpec<T, CommandName, Need> => ({ ...spec, commands: serveOnly });
const optionalText = single<string | undefined>(text());
const optionalFile = single<string | undefined>(file());

const optionTable = {
  via: option({
    flag: 'via',
    value: 'WAY',
    parse: single(oneOf(['gateway', 'exec'])),
    fallback: 'gateway' as const,
    description: 'The gateway of the cluster, or one agent that is started in its pod (as kubectl exec -i)',
  }),
  gatewayUrl: option({
    flag: 'gateway-url',
    value: 'URL',
    parse: single<URL | undefined>(endpointUrl()),
    fallback: undefined,
    description: 'Gateway to use as it is, without a port-forward',
    needs: 'gateway',
  }),
  kubeconfig: option({
    flag: 'kubeconfig',
    value: 'FILE',
    parse: optionalFile,
    fallback: undefined,
    fallbackText: 'KUBECONFIG or ~/.kube/config',
    hasEnvironment: false,
    description: 'How to reach the cluster',
  }),
  context: option({
    flag: 'context',
    value: 'NAME',
    parse: optionalText,
    fallback: undefined,
    fallbackText: 'the current one',
    description: 'Context of the kubeconfig',
  }),
  namespace: option({
    flag: 'namespace',
    value: 'NAME',
    parse: optionalText,
    fallback: undefined,
    fallbackText: 'wherever it is found',
    description: 'Namespace of the gateway or the agents',
  }),
  service: option({
    flag: 'service',
    value: 'NAME',
    parse: optionalText,
    fallback: undefined,
    fallbackText: 'found by its labels',
    description: 'Service of the gateway',
    needs: 'forward',
  }),
  servicePort: option({
    flag: 'service-port',
    value: 'PORT',
    parse: optionalText,
    fallback: undefined,
    fallbackText: '"mcp", "http", "https" or the only one',
    description: 'Number or name of its port',
    needs: 'forward',
  }),
  gatewayCa: option({
    flag: 'gateway-ca',
    value: 'FILE',
    parse: optionalFile,
    fallback: undefined,
    fallbackText: "the system's",
    description: "Authorities (PEM) that the gateway's certificate may come from",
    needs: 'gateway',
  }),
  token: option({
    flag: 'token',
    value: 'TOKEN',
    parse: optionalText,
    fallback: undefined,
    fallbackText: "the release's Secret, if you may read it",
    description: 'Bearer token for the gateway; other users may see it in the process list',
    needs: 'gateway',
  }),
  tokenFile: option({
    flag: 'token-file',
    value: 'FILE',
    parse: optionalFile,
    fallback: undefined,
    description: 'File with the bearer token; read again for each request',
    needs: 'gateway',
  }),
  node: option({
    flag: 'node',
    value: 'NAME',
    parse: optionalText,
    fallback: undefined,
    fallbackText: 'the only one with an agent',
    description: 'Node whose agent to start',
    needs: 'exec',
  }),
  pod: option({
    flag: 'pod',
    value: 'NAME',
    parse: optionalText,
    fallback: undefined,
    description: 'Pod of the agent, instead of --node',
    needs: 'exec',
  }),
  container: option({
    flag: 'container',
    value: 'NAME',
    parse: optionalText,
    fallback: undefined,
    fallbackText: '"agent" or the only one',
    description: 'Container of the agent in its pod',
    needs: 'exec',
  }),
  execCommand: option({
    flag: 'exec-command',
    value: 'COMMAND',
    parse: single((value) => text()(value).split(/\s+/)),
    fallback: ['/agent'],
    fallbackText: '/agent',
    description: 'Program and arguments, parted by spaces, that serve MCP over stdio in the container',
    needs: 'exec',
  }),
  logLevel: option<LogLevel>({
    flag: 'log-level',
    value: 'LEVEL',
    parse: single(oneOf(logLevels)),
    fallback: 'info',
    description: 'Least severe line on stderr: debug, info, warn, error or silent',
  }),
} as const satisfies Record<string, OptionSpec<unknown, CommandName, Need>>;

export type BridgeOptions = Omit<OptionValues<typeof optionTable>, 'execCommand'> & {
  readonly execCommand: readonly string[];
};

/** What the command line asks for: to serve, or to print (help, version, what is wrong) and end. */
export type CommandLine =
  | { readonly kind: 'serve'; readonly options: BridgeOptions }
  | { readonly kind: 'print'; readonly text: string; readonly isError: boolean };

/** sysexits(3) EX_USAGE, as the agent says it. */
export const usageExitCode = 64;
const programName = 'k8s-gpu-mcp-bridge';

const program: ProgramSpec<CommandName, typeof optionTable> = {
  name: programName,
  description: 'MCP over stdio for a host app, forwarded to the GPU gateway of a cluster.',
  commands: {
    serve: { description: 'MCP over stdio for a host app, until it closes stdin (the default command)' },
    version: { description: 'Print the version' },
  },
  defaultCommand: 'serve',
  options: optionTable,
  footer: '',
};

export function parseCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
): CommandLine {
  try {
    // There is one command that takes options: its help is the program's.
    const asked = args[0] === '--help' || args[0] === '-h' ? ['serve', '--help'] : args;
    const commandLine = parse(program, asked);
    if (commandLine.kind === 'help') return { kind: 'print', text: commandLine.text, isError: false };
    if (commandLine.command === 'version') return { kind: 'print', text: `${version}\n`, isError: false };
    return { kind: 'serve', options: resolve(commandLine.flags, environment) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const line = error.message.replaceAll(/\p{Cc}+/gu, ' ');
    return { kind: 'print', text: `${programName}: ${line}\n`, isError: true };
  }
}

/** @throws UsageError */
function resolve(
  flags: Parameters<typeof resolveOptions<typeof optionTable>>[2],
  environment: Readonly<Record<string, string | undefined>>,
): BridgeOptions {
  const { values, origins } = resolveOptions(optionTable, 'serve', flags, environment);
  checkNeeds(
    optionTable,
    origins,
    {
      gateway: values.via === 'gateway',
      forward: values.via === 'gateway' && values.gatewayUrl === undefined,
      exec: values.via === 'exec',
    },
    {
      gateway: 'has no effect with --via exec',
      forward: 'has no effect with --gateway-url or --via exec',
      exec: 'needs --via exec',
    },
  );
  if (values.node !== undefined && values.pod !== undefined && values.via === 'exec')
    throw new UsageError('--node and --pod exclude each other');
  if (values.token === undefined || values.tokenFile === undefined) return values;
  if (origins.token === origins.tokenFile)
    throw new UsageError('--token and --token-file exclude each other');
  // A flag replaces what the environment says about the other one.
  return origins.token === 'flag' ? { ...values, tokenFile: undefined } : { ...values, token: undefined };
}
