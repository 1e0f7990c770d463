import {
  checkedTokenFiles,
  lateLogger,
  listenError,
  type Shutdown,
  UsageError,
  watchForShutdown,
} from '@k8s-gpu-mcp/command-line';
import type { GpuServerParts, GpuTool, Logger, ServerListing } from '@k8s-gpu-mcp/core';
import type { McpServerFactory } from '@modelcontextprotocol/server';
import { type AgentOnDemand, agentOnDemand } from '../../agent-on-demand.ts';
import type { Agent } from '../../composition/compose-agent.ts';
import type { AgentConfig } from '../../config.ts';
import { operationLimitMilliseconds, trackOperations } from '../../operations.ts';
import { createReadiness, createServerFactory, principals } from '../../server.ts';
import { agentVersion, programName } from '../../version.ts';
import type { CommandContext } from '../command.ts';

/** Serves MCP until the client, a signal or `--oneshot` ends it. The driver is not touched before the first call needs it. */
export async function serve({ config, createLogger }: CommandContext): Promise<number> {
  const logger = lateLogger(createLogger);
  const agent = await agentOnDemand(config, logger);
  const { backend } = config;
  logger.info('starting', { version: agentVersion(), backend, node: config.nodeName, pid: process.pid });
  if (backend === 'mock') logger.warn('the GPUs are simulated', { backend });
  const operations = trackOperations();
  const { listing } = agent;
  const metrics = config.port === 0 ? null : await openMetrics(listing);
  const servedParts = (whole: Agent): GpuServerParts => {
    const operatorTools = operations.watched(whole.operatorTools);
    if (metrics === null) return { ...whole, operatorTools };
    return { ...whole, tools: metrics.counted(whole.tools), operatorTools: metrics.counted(operatorTools) };
  };
  let served: GpuServerParts | undefined;
  const parts = async () => {
    const whole = await agent.get();
    served ??= servedParts(whole);
    return served;
  };
  const factory = createServerFactory({ listing, parts: () => served ?? parts(), version: agentVersion() });
  const shutdown = watchForShutdown(operations, config.port === 0 ? process.stdin : undefined);
  try {
    await (metrics
      ? overHttp(factory, agent, config, logger, shutdown, metrics.render)
      : overStdio(factory, agent, config, logger));
    // Whatever ended the serving, a client that went away among it.
    operations.stop();
    await Promise.race([operations.finished(), shutdown.isUrgent, over(operationLimitMilliseconds)]);
    return 0;
  } finally {
    shutdown.unwatch();
    await agent.close();
    await logger.flush();
  }
}

const over = (milliseconds: number) => new Promise<void>((resolve) => void setTimeout(resolve, milliseconds));

/** In operator mode the answer of what acts at shutdown is waited for; what only reads has a deadline of seconds. */
const operatorDrain = ({ mode }: AgentConfig) =>
  mode === 'operator' ? { drainMilliseconds: operationLimitMilliseconds } : {};

/** The metrics client is loaded only where something can read them. */
async function openMetrics({ tools, operatorTools }: ServerListing) {
  const { countCalls, createToolMetrics } = await import('@k8s-gpu-mcp/transport-http/tool-metrics');
  const metrics = createToolMetrics([...tools, ...operatorTools].map(({ name }) => name));
  return {
    counted: (some: readonly GpuTool[]) => countCalls(some, metrics),
    render: () => metrics.render(),
  };
}

async function overStdio(
  factory: McpServerFactory,
  { resourceChanges }: AgentOnDemand,
  config: AgentConfig,
  logger: Logger,
): Promise<void> {
  const { serveStdio } = await import('@k8s-gpu-mcp/transport-stdio');
  const { oneshot } = config;
  const serving = serveStdio(factory, {
    logger,
    resourceChanges,
    ...operatorDrain(config),
    ...(oneshot === undefined ? {} : { maxRequests: oneshot }),
  });
  await serving.closed;
}

async function overHttp(
  factory: McpServerFactory,
  agent: AgentOnDemand,
  config: AgentConfig,
  logger: Logger,
  shutdown: Shutdown,
  collectMetrics: () => Promise<string>,
): Promise<void> {
  const [{ HttpConfigurationError, serveHttp }, { gpuProvider }] = await Promise.all([
    import('@k8s-gpu-mcp/transport-http'),
    agent.get(),
  ]);
  const { tlsCertificateFile: cert, tlsKeyFile: key } = config;
  const tokenFiles = tokenFilesOf(config);
  const serving = await serveHttp(factory, {
    logger,
    resourceChanges: agent.resourceChanges,
    port: config.port,
    address: config.address,
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
    allowUnauthenticated: config.allowUnauthenticated,
    readiness: createReadiness(gpuProvider),
    collectMetrics,
    version: { name: programName, version: agentVersion(), node: process.versions.node },
    tokenFiles,
    ...operatorDrain(config),
    ...(config.mode === 'operator' ? { requestTimeoutMilliseconds: operatorRequestMilliseconds } : {}),
    ...(cert === undefined || key === undefined ? {} : { tls: { certFile: cert, keyFile: key } }),
  }).catch((error: unknown) => {
    if (error instanceof HttpConfigurationError)
      throw new UsageError(
        `${error.message} (--auth-token-file, --addr, --allow-unauthenticated, --tls-cert, --tls-key)`,
      );
    throw listenError(error, config);
  });
  const closedOnSignal = shutdown.isAsked.then((signal) => {
    logger.info('shutting down', { signal });
    return serving.close();
  });
  // The second signal means now; the provider is still closed, within its own limit.
  await Promise.race([serving.closed, closedOnSignal, shutdown.isUrgent]);
}

/**
 * None of it may be cut off: 120 s for a person's answer, 120 s for a reset (a process's grace and end take 65 s), 60 s for its verification,
 * and the readings before each.
 */
const operatorRequestMilliseconds = 330_000;

const tokenFilesOf = ({ mode, authTokenFile, operatorTokenFile }: AgentConfig) =>
  checkedTokenFiles([
    {
      flag: '--operator-token-file',
      principal: principals.operator,
      file: mode === 'operator' ? operatorTokenFile : undefined,
    },
    { flag: '--auth-token-file', principal: principals.reader, file: authTokenFile },
  ]);
