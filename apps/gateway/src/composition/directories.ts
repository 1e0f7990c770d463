import { type Environment, UsageError } from '@k8s-gpu-mcp/command-line';
import { type Cluster, type Logger, systemClock } from '@k8s-gpu-mcp/core';
import { type KubernetesApi, KubernetesError } from '@k8s-gpu-mcp/kubernetes';
import type { GatewayConfig } from '../config.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';

/** The directory asked for; the code of the other one is not loaded. */
export function openDirectory(
  config: GatewayConfig,
  api: KubernetesApi | null,
  logger: Logger,
): Promise<NodeDirectory> {
  return api === null ? openStatic(config, logger) : openKubernetes(config, api, logger);
}

/** Null where the agents are a list. */
export async function openKubernetesApi(
  config: GatewayConfig,
  environment: Environment,
): Promise<KubernetesApi | null> {
  return config.directory === 'static' ? null : connect(config, environment);
}

/** What the API server tells of nodes and pods. Null where there is none to ask. */
export async function openCluster(api: KubernetesApi | null, logger: Logger): Promise<Cluster | null> {
  if (api === null) return null;
  const { createKubernetesCluster } = await import('@k8s-gpu-mcp/kubernetes');
  return createKubernetesCluster(api, { clock: systemClock, logger });
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
  api: KubernetesApi,
  logger: Logger,
): Promise<NodeDirectory> {
  const [{ openKubernetesDirectory }, { keepForDirectory }, { watchCollection }] = await Promise.all([
    import('../adapters/kubernetes-directory/kubernetes-directory.ts'),
    import('../adapters/kubernetes-directory/keep.ts'),
    import('@k8s-gpu-mcp/kubernetes'),
  ]);
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
