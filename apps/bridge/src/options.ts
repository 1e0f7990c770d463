import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type LogLevel, logLevels } from './log.ts';

const environmentPrefix = 'K8S_GPU_MCP_';

export interface BridgeOptions {
  /** Given: no port-forward is made. */
  readonly gatewayUrl: URL | undefined;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly namespace: string | undefined;
  readonly service: string | undefined;
  /** Number or name of the service's port. */
  readonly servicePort: string | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly logLevel: LogLevel;
}

/** What the command line asks for: to serve, or to print (help, version, what is wrong) and end. */
export type CommandLine =
  | { readonly kind: 'serve'; readonly options: BridgeOptions }
  | { readonly kind: 'print'; readonly text: string; readonly isError: boolean };

/** sysexits(3) EX_USAGE, as the agent says it. */
export const usageExitCode = 64;

export function parseCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
): CommandLine {
  let printed = '';
  const command = new Command('k8s-gpu-mcp-bridge')
    .description('MCP over stdio for a host app, forwarded to the GPU gateway of a cluster.')
    .version(version)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        printed += text;
      },
      writeErr: (text) => {
        printed += text;
      },
    });
  const add = (name: string, value: string, description: string) =>
    new Option(`--${name} <${value}>`, description);
  const options = [
    add('gateway-url', 'URL', 'Gateway to use as it is, without a port-forward').argParser(gatewayUrl),
    add('kubeconfig', 'FILE', 'Instead of KUBECONFIG or ~/.kube/config'),
    add('context', 'NAME', 'Context of the kubeconfig (default: the current one)'),
    add('namespace', 'NAME', 'Namespace of the gateway (default: wherever it is found)'),
    add('service', 'NAME', 'Service of the gateway (default: found by its labels)'),
    add('service-port', 'PORT', 'Number or name of its port (default: "mcp", "http" or the only one)'),
    add('token', 'TOKEN', 'Bearer token for the gateway; other users may see it in the process list'),
    add('token-file', 'FILE', 'File with the bearer token; read again for each request').conflicts('token'),
    add('log-level', 'LEVEL', 'Least severe line on stderr')
      .choices([...logLevels])
      .default('info'),
  ];
  const supplied = { ...environment };
  for (const option of options) {
    const variable = `${environmentPrefix}${option.name().toUpperCase().replaceAll('-', '_')}`;
    // An empty variable is an unset one.
    if (supplied[variable] === '') delete supplied[variable];
    if (option.name() !== 'kubeconfig') option.description += ` [${variable}]`;
    command.addOption(option);
  }
  try {
    command.parse(withEnvironment(args, options, supplied), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { kind: 'print', text: printed, isError: error.exitCode !== 0 };
  }
  const chosen = command.opts<Partial<BridgeOptions>>();
  return {
    kind: 'serve',
    options: {
      gatewayUrl: chosen.gatewayUrl,
      kubeconfig: chosen.kubeconfig,
      context: chosen.context,
      namespace: chosen.namespace,
      service: chosen.service,
      servicePort: chosen.servicePort,
      token: chosen.token,
      tokenFile: chosen.tokenFile,
      logLevel: chosen.logLevel ?? 'info',
    },
  };
}

/** Options of the environment go before those of the command line, which so have the last word and the same checks. */
function withEnvironment(
  args: readonly string[],
  options: readonly Option[],
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const isGiven = (name: string) => args.some((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  const hasToken = isGiven('token') || isGiven('token-file');
  const more = options.flatMap((option) => {
    const name = option.name();
    const value = environment[`${environmentPrefix}${name.toUpperCase().replaceAll('-', '_')}`];
    if (value === undefined || name === 'kubeconfig' || isGiven(name)) return [];
    return hasToken && name.startsWith('token') ? [] : [`--${name}=${value}`];
  });
  return [...more, ...args];
}

function gatewayUrl(value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new InvalidArgumentError('It must be a URL of http or https.');
  if (url.username !== '' || url.password !== '')
    throw new InvalidArgumentError('It must not carry a password: use --token-file.');
  if (url.pathname === '/') url.pathname = '/mcp';
  url.hash = '';
  return url;
}
