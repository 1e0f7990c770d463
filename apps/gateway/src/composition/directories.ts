import { type Environment, UsageError } from '@k8s-gpu-mcp/command-line';
import { type Logger, systemClock } from '@k8s-gpu-mcp/core';
import { type KubernetesApi, KubernetesError } from '@k8s-gpu-mcp/kubernetes';
import type { GatewayConfig } from '../config.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';

/** The directory asked for; the code of the other one is not loaded. */
export function openDirectory(
  config: GatewayConfig,
  environment: Environment,
  logger: Logger,
): Promise<NodeDirectory> {
  return config.directory === 'static'
    ? openStatic(config, logger)
    : openKubernetes(config, environment, logger);
}

async function openStatic({ agents, agentsFile }: GatewayConfig, logger: Logger): Promise<NodeDirectory> {
  const [{ openStaticDirectory }, { AgentListError, parseAgentList }] = await Promise.all([
    import('../adapters/static-directory/static-directory.ts'),
    import('../adapters/static-directory/agent-list.ts'),
  ]);
  const options = { clock: systemClock, logger };
  if (agentsFile !== undefined) return openStaticDirectory({ file: agentsFile }, options);
  try {
    const [first = '', ...more] = agents;
    const entries = more.reduce((known, text) => parseAgentList(text, known), parseAgentList(first));
    return openStaticDirectory({ entries }, options);
  } catch (error) {
    if (error instanceof AgentListError) throw new UsageError(`--agents: ${error.message}`);
    throw error;
  }
}

async function openKubernetes(
  config: GatewayConfig,
  environment: Environment,
  logger: Logger,
): Promise<NodeDirectory> {
  const [{ openKubernetesDirectory }, { keepForDirectory }, { watchCollection }] = await Promise.all([
    import('../adapters/kubernetes-directory/kubernetes-directory.ts'),
    import('../adapters/kubernetes-directory/keep.ts'),
    import('@k8s-gpu-mcp/kubernetes'),
  ]);
  const api = await connect(config, environment);
  const options = { clock: systemClock, logger, keep: keepForDirectory };
  const { namespace } = api;
  const pods = watchCollection(
    api,
    { path: `/api/v1/namespaces/${namespace}/pods`, labelSelector: config.selector },
    options,
  );
  const nodes = watchCollection(api, { path: '/api/v1/nodes' }, options);
  const directory = openKubernetesDirectory(pods, nodes, {
    clock: systemClock,
    logger,
    port: config.agentPort,
    scheme: config.agentTls ? 'https' : 'http',
    namespace,
    ...(config.daemonSet === undefined ? {} : { daemonSetName: config.daemonSet }),
  });
  return {
    ...directory,
    async close() {
      await directory.close();
      pods.close();
      nodes.close();
    },
  };
}

/** @throws UsageError for what the person can change: no kubeconfig, no such context. */
async function connect(
  { kubeconfig, context, namespace }: GatewayConfig,
  environment: Environment,
): Promise<KubernetesApi> {
  const { connectKubernetes } = await import('@k8s-gpu-mcp/kubernetes');
  try {
    return await connectKubernetes({ kubeconfig, context, namespace, environment });
  } catch (error) {
    if (error instanceof KubernetesError && error.reason === 'configuration')
      throw new UsageError(error.message);
    throw error;
  }
}
