// Whether a program takes what a rendered container gives it: asked of the program's own tables and parsers.
import {
  environmentNameOf,
  type OptionSpec,
  type ProgramSpec,
  parseCommandLine,
  UsageError,
} from '@k8s-gpu-mcp/command-line';
import { parseCommandLine as parseAgent } from '../../../apps/agent/src/cli/command-line.ts';
import { resolveConfig as resolveAgent } from '../../../apps/agent/src/config.ts';
import { optionTable as agentOptions } from '../../../apps/agent/src/options.ts';
import { resolveConfig as resolvePlugin } from '../../../apps/bridge/src/kubectl/config.ts';
import {
  optionTable as pluginOptions,
  program as pluginProgram,
} from '../../../apps/bridge/src/kubectl/options.ts';
import { resolveConfig as resolveGateway } from '../../../apps/gateway/src/config.ts';
import { optionTable as gatewayOptions } from '../../../apps/gateway/src/options.ts';
import { type Container, containersOf, nameOf, type PodTemplate } from './kubernetes-objects.ts';

type Environment = Readonly<Record<string, string>>;
type Flags = Readonly<Record<string, readonly string[] | undefined>>;

interface Program {
  readonly options: Readonly<Record<string, OptionSpec<unknown>>>;
  /** What this command line means, as text of every option. @throws UsageError */
  readonly flagsOf: (args: readonly string[], environment: Environment) => Flags;
  readonly isServer: boolean;
}

const gatewayProgram: ProgramSpec<'serve', typeof gatewayOptions> = {
  name: 'k8s-gpu-mcp-gateway',
  description: '',
  commands: { serve: { description: '' } },
  defaultCommand: 'serve',
  options: gatewayOptions,
  footer: '',
};

/** By its path in the image, whose entry point is the agent. */
const programs: Readonly<Record<string, Program>> = {
  '/agent': {
    options: agentOptions,
    isServer: true,
    flagsOf: (args, environment) => {
      const line = parseAgent(args);
      if (line.kind === 'help') throw new UsageError('only help is asked for');
      resolveAgent(line.command, line.flags, environment);
      return line.flags;
    },
  },
  '/gateway': {
    options: gatewayOptions,
    isServer: true,
    flagsOf: (args, environment) => {
      const line = parseCommandLine(gatewayProgram, args);
      if (line.kind === 'help') throw new UsageError('only help is asked for');
      resolveGateway(line.command, line.flags, environment);
      return line.flags;
    },
  },
  '/kubectl-mcp': {
    options: pluginOptions,
    isServer: false,
    flagsOf: (args, environment) => {
      const line = parseCommandLine(pluginProgram, args);
      if (line.kind === 'help') throw new UsageError('only help is asked for');
      resolvePlugin(line.command, line.flags, environment);
      return line.flags;
    },
  },
};
/** Of the image too, but without options. */
const others = ['/healthcheck', '/pause'];

export function programProblems({ owner, spec }: PodTemplate): readonly string[] {
  return containersOf(spec).flatMap(({ path, container }) =>
    containerProblems(container).map((problem) => `${nameOf(owner)} ${path}: ${problem}`),
  );
}

export function containerProblems(container: Container): readonly string[] {
  const { command = ['/agent'], args = [], env = [] } = container;
  const [path = '', ...first] = command;
  const environment = Object.fromEntries(env.map(({ name, value }) => [name, value ?? 'from-a-field']));
  // What sleeps is there for an agent that is started in it.
  const program = programs[path === '/pause' ? '/agent' : path];
  const unknownProgram = program === undefined && !others.includes(path) ? [`the image has no ${path}`] : [];
  const all = [...first, ...args].map((argument) => expanded(argument, environment));
  return [
    ...unknownProgram,
    ...(program === undefined ? [] : environmentProblems(program, environment)),
    ...(program === undefined || path === '/pause'
      ? []
      : argumentProblems(program, all, environment, container)),
    ...(path === '/agent' || path === '/pause' ? executedProblems(environment) : []),
  ];
}

/** $(NAME), as the kubelet does it. */
const expanded = (argument: string, environment: Environment) =>
  argument.replaceAll(/\$\(([^)]+)\)/g, (whole, name: string) => environment[name] ?? whole);

function environmentProblems({ options }: Program, environment: Environment): readonly string[] {
  const known = Object.values(options).flatMap((option) => environmentNameOf(option) ?? []);
  return Object.keys(environment)
    .filter((name) => name.startsWith('K8S_GPU_MCP_') && !known.includes(name))
    .map((name) => `the program does not know ${name}`);
}

function argumentProblems(
  program: Program,
  args: readonly string[],
  environment: Environment,
  container: Container,
): readonly string[] {
  try {
    const flags = program.flagsOf(args, environment);
    const port = Number(flags['port']?.[0] ?? program.options['port']?.fallback);
    const isOpen =
      !program.isServer || (container.ports ?? []).some(({ containerPort }) => containerPort === port);
    return [
      ...fileProblems(program, flags, container),
      ...(isOpen ? [] : [`it serves on ${port}, which is not one of the container's ports`]),
    ];
  } catch (error) {
    if (error instanceof UsageError) return [error.message];
    throw error;
  }
}

/** A file that a flag names is under something that is mounted. */
function fileProblems(
  { options }: Program,
  flags: Flags,
  { volumeMounts = [] }: Container,
): readonly string[] {
  const isMounted = (file: string) =>
    volumeMounts.some(({ mountPath }) => file === mountPath || file.startsWith(`${mountPath}/`));
  return Object.entries(flags).flatMap(([name, texts = []]) => {
    const { flag, value } = options[name] ?? { flag: name };
    const isPath = value === 'FILE' || value === 'DIRECTORY';
    return texts
      .filter((text) => isPath && !isMounted(text))
      .map((text) => `--${flag}: nothing is mounted at ${text}`);
  });
}

/** `kubectl exec -i POD -- /agent` has the environment and no arguments: MCP over stdio, whatever the pod itself does. */
function executedProblems(environment: Environment): readonly string[] {
  try {
    const { port } = resolveAgent('serve', {}, environment);
    return port === 0 ? [] : ['an agent started by kubectl exec would serve HTTP'];
  } catch (error) {
    if (error instanceof UsageError) return [`an agent started by kubectl exec: ${error.message}`];
    throw error;
  }
}
