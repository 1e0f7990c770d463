import {
  duration,
  file,
  httpOptions,
  type LogLevel,
  logLevels,
  type OptionSpec,
  oneOf,
  portNumber,
  repeated,
  single,
  text,
  toggle,
  UsageError,
} from '@k8s-gpu-mcp/command-line';

export const commandNames = ['serve', 'version'] as const;
export type CommandName = (typeof commandNames)[number];
type Need = 'http' | 'kubernetes' | 'operator' | 'agentTls';

const serveOnly: readonly CommandName[] = ['serve'];
const option = <T>(
  spec: Omit<OptionSpec<T, CommandName, Need>, 'commands'>,
): OptionSpec<T, CommandName, Need> => ({
  ...spec,
  commands: serveOnly,
});

/** Addresses are left out: they are not sent as server names (RFC 6066, section 3). */
function serverName(value: string): string {
  const name = value.trim();
  const labels = name.split('.');
  const isName = labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
  if (isName && name.length <= 253 && !/^\d+$/.test(labels.at(-1) ?? '')) return name;
  throw new UsageError(`${JSON.stringify(name)} is not a DNS name`);
}

/** Which pods are agents, when nothing else is said. */
const agentSelector = 'app.kubernetes.io/name=k8s-gpu-mcp-server,app.kubernetes.io/component=agent';

export const optionTable = {
  port: option({
    flag: 'port',
    value: 'N',
    parse: portNumber,
    fallback: 8_080,
    description: 'Serve MCP over HTTP on this port; 0 takes a free one',
  }),
  ...httpOptions(serveOnly),
  directory: option<'kubernetes' | 'static' | undefined>({
    flag: 'directory',
    value: 'NAME',
    parse: single(oneOf(['kubernetes', 'static'])),
    fallback: undefined,
    fallbackText: 'static with --agents or --agents-file, else kubernetes',
    description: 'Where the agents are known from: the pods of a cluster, or a list',
  }),
  agents: option<readonly string[]>({
    flag: 'agents',
    value: 'NAME=URL,...',
    parse: repeated(text()),
    fallback: [],
    isRepeatable: true,
    description: 'Agents by the name of their node',
  }),
  agentsFile: option<string | undefined>({
    flag: 'agents-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'JSON or YAML list of {name, url, labels}; re-read when it changes',
  }),
  namespace: option<string | undefined>({
    flag: 'namespace',
    value: 'NAMESPACE',
    parse: single(text()),
    fallback: undefined,
    fallbackText: 'that of the pod, or of the context',
    description: 'Where the agent pods are',
    needs: 'kubernetes',
  }),
  selector: option({
    flag: 'selector',
    value: 'LABELS',
    parse: single(text()),
    fallback: agentSelector,
    description: 'Label selector of the agent pods',
    needs: 'kubernetes',
  }),
  daemonSet: option<string | undefined>({
    flag: 'agent-daemonset',
    value: 'NAME',
    parse: single(text()),
    fallback: undefined,
    fallbackText: 'none: no pod is sent a token',
    description: 'DaemonSet whose pods may be sent the tokens for agents',
    needs: 'kubernetes',
  }),
  agentPort: option({
    flag: 'agent-port',
    value: 'N',
    parse: portNumber,
    fallback: 8_080,
    description: 'Port of agent pods that name no port http',
    needs: 'kubernetes',
  }),
  agentTls: option({
    flag: 'agent-tls',
    parse: toggle,
    fallback: false,
    description: 'Ask agent pods over HTTPS',
    needs: 'kubernetes',
  }),
  kubeconfig: option<string | undefined>({
    flag: 'kubeconfig',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    fallbackText: 'KUBECONFIG, ~/.kube/config, then the service account of the pod',
    description: 'How to reach the API server',
    needs: 'kubernetes',
  }),
  context: option<string | undefined>({
    flag: 'context',
    value: 'NAME',
    parse: single(text()),
    fallback: undefined,
    fallbackText: 'the current one',
    description: 'Context of the kubeconfig',
    needs: 'kubernetes',
  }),
  agentTokenFile: option<string | undefined>({
    flag: 'agent-token-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'Bearer token for agents; re-read when it changes',
  }),
  agentOperatorTokenFile: option<string | undefined>({
    flag: 'agent-operator-token-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'Bearer token for agents in operator mode, sent with operator tools only',
    needs: 'operator',
  }),
  agentCaFile: option<string | undefined>({
    flag: 'agent-ca',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    fallbackText: "the system's",
    description: "Authorities (PEM) that agents' certificates may come from",
  }),
  agentTlsName: option<string | undefined>({
    flag: 'agent-tls-name',
    value: 'NAME',
    parse: single(serverName),
    fallback: undefined,
    fallbackText: 'the host of its URL',
    description: "Name that agents' certificates must carry, instead of the address of the pod",
    needs: 'agentTls',
  }),
  mode: option<'read-only' | 'operator'>({
    flag: 'mode',
    value: 'MODE',
    parse: single(oneOf(['read-only', 'operator'])),
    fallback: 'read-only',
    description:
      'What tools may do: read-only, or operator, which can end processes and reset GPUs of one node',
  }),
  operatorTokenFile: option<string | undefined>({
    flag: 'operator-token-file',
    value: 'FILE',
    parse: single(file()),
    fallback: undefined,
    description: 'Bearer token of callers that may change things; another one than for reading',
    needs: 'operator',
  }),
  deadlineMilliseconds: option({
    flag: 'deadline',
    value: 'DURATION',
    parse: single(duration(2_000, 50_000)),
    fallback: 10_000,
    fallbackText: '10s',
    description: 'After this a question is answered with what the nodes have said; from 2s to 50s',
  }),
  logLevel: option<LogLevel>({
    flag: 'log-level',
    value: 'LEVEL',
    parse: single(oneOf(logLevels)),
    fallback: 'info',
    description: 'Least severe log line on stderr: debug, info, warn, error or silent',
  }),
} as const satisfies Record<string, OptionSpec<unknown, CommandName, Need>>;
