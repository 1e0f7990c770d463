import {
  duration,
  endpointUrl,
  environmentNameOf,
  file,
  type OptionSpec,
  type OptionValues,
  type ProgramSpec,
  single,
  text,
  toggle,
  wholeNumber,
} from '@k8s-gpu-mcp/command-line';

export const questionNames = ['health', 'inventory', 'xid', 'top', 'diagnose'] as const;
export type QuestionName = (typeof questionNames)[number];
export type CommandName = QuestionName | 'version';

const option = <T>(
  spec: Omit<OptionSpec<T, CommandName>, 'commands'>,
  commands: readonly CommandName[] = questionNames,
): OptionSpec<T, CommandName> => ({ ...spec, commands });

const name = single(text());

export const optionTable = {
  kubeconfig: option<string | undefined>({
    flag: 'kubeconfig',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    hasEnvironment: false,
    description: 'Instead of KUBECONFIG or ~/.kube/config',
  }),
  context: option<string | undefined>({
    flag: 'context',
    value: 'NAME',
    parse: name,
    fallback: undefined,
    description: 'Context of the kubeconfig; the current one when not given',
  }),
  namespace: option<string | undefined>({
    flag: 'namespace',
    short: 'n',
    value: 'NAME',
    parse: name,
    fallback: undefined,
    fallbackText: 'that of the context',
    hasEnvironment: false,
    description: 'Namespace of the pod or job to diagnose',
  }),
  since: option<string | undefined>(
    {
      flag: 'since',
      value: 'TIME',
      parse: name,
      fallback: undefined,
      hasEnvironment: false,
      description: 'Kernel-log events after this: ISO 8601, or a duration back from now (30m, 24h, 7d)',
    },
    ['xid', 'diagnose'],
  ),
  limit: option(
    {
      flag: 'limit',
      value: 'N',
      parse: single(wholeNumber(1, 1_000)),
      fallback: 50,
      fallbackText: '50',
      hasEnvironment: false,
      description: 'Nodes to list, worst first',
    },
    ['health', 'inventory', 'xid', 'top'],
  ),
  json: option({
    flag: 'json',
    parse: toggle,
    fallback: false,
    hasEnvironment: false,
    description: 'Print the structured answer',
  }),
  anyVerdict: option(
    {
      flag: 'any-verdict',
      parse: toggle,
      fallback: false,
      hasEnvironment: false,
      description: 'Exit with 0 when a node answered, whatever it says of its GPUs',
    },
    ['health', 'inventory', 'xid', 'top'],
  ),
  progress: option({
    flag: 'progress',
    parse: toggle,
    fallback: false,
    hasEnvironment: false,
    description: 'Say on stderr how many nodes have answered, even when it is no terminal',
  }),
  deadline: option({
    flag: 'deadline',
    value: 'DURATION',
    parse: single(duration(1_000, 600_000)),
    fallback: 60_000,
    fallbackText: '60s',
    hasEnvironment: false,
    description: 'For all of it, connecting included',
  }),
  gatewayUrl: option<URL | undefined>({
    flag: 'gateway-url',
    value: 'URL',
    parse: single(endpointUrl()),
    fallback: undefined,
    description: 'Gateway to use as it is, without a port-forward',
  }),
  gatewayNamespace: option<string | undefined>({
    flag: 'gateway-namespace',
    value: 'NAME',
    parse: name,
    fallback: undefined,
    fallbackText: 'wherever it is found',
    description: 'Namespace of the gateway',
  }),
  service: option<string | undefined>({
    flag: 'service',
    value: 'NAME',
    parse: name,
    fallback: undefined,
    fallbackText: 'found by its labels',
    description: 'Service of the gateway',
  }),
  servicePort: option<string | undefined>({
    flag: 'service-port',
    value: 'PORT',
    parse: name,
    fallback: undefined,
    fallbackText: '"mcp", "http", "https" or the only one',
    description: 'Number or name of its port',
  }),
  gatewayCa: option<string | undefined>({
    flag: 'gateway-ca',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    fallbackText: "the system's",
    description: "Authorities (PEM) that the gateway's certificate may come from",
  }),
  token: option<string | undefined>({
    flag: 'token',
    value: 'TOKEN',
    parse: name,
    fallback: undefined,
    fallbackText: "the release's Secret, if you may read it",
    description: 'Bearer token for the gateway; other users may see it in the process list',
  }),
  tokenFile: option<string | undefined>({
    flag: 'token-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'File with the bearer token',
  }),
} as const satisfies Readonly<Record<string, OptionSpec<unknown, CommandName>>>;

export type OptionName = keyof typeof optionTable;
export type PluginOptions = OptionValues<typeof optionTable>;

export const program: ProgramSpec<CommandName, typeof optionTable> = {
  name: 'kubectl-mcp',
  description: 'GPUs of the cluster: is it my code or the hardware, and what one thing do I do now?',
  commands: {
    health: { description: 'Verdict on every node, worst first, with one action', operands: '[nodes...]' },
    inventory: { description: 'What GPUs and drivers are where, and which differ', operands: '[nodes...]' },
    xid: { description: 'GPU errors of the kernel logs as incidents', operands: '[nodes...]' },
    top: {
      description: 'Utilization, memory, power, temperature and who holds the GPUs, most loaded first',
      operands: '[nodes...]',
    },
    diagnose: {
      description: 'Why it failed: NODE, pod/NAME, job/NAME or KIND/NAME',
      operands: '<what> [name]',
    },
    version: { description: 'Print the version' },
  },
  defaultCommand: 'health',
  options: optionTable,
  footer: `
NODES are names, or one label selector such as gpu=h100,zone!=a; none means all. One name shows that node in full.
Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown (no gateway or no answer too); 64 usage, 70 internal, 130 interrupted.
Every option but those of one question can be set by ${environmentNameOf(optionTable.gatewayUrl)?.replace('GATEWAY_URL', '<OPTION>')}; a flag wins.`,
};
