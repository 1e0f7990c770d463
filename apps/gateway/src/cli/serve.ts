import {
  checkedTokenFiles,
  type Environment,
  exitCodes,
  listenError,
  UsageError,
  watchForShutdown,
} from '@k8s-gpu-mcp/command-line';
import { createLogger } from '@k8s-gpu-mcp/command-line/logging';
import { HttpConfigurationError, serveHttp } from '@k8s-gpu-mcp/transport-http';
import { composeGateway } from '../composition/compose-gateway.ts';
import type { GatewayConfig } from '../config.ts';
import { createReadiness, createServerFactory, principals } from '../server.ts';
import { operatorCallMilliseconds } from '../tools/create-operator-tools.ts';
import { gatewayVersion, programName } from '../version.ts';

/** Longer than any deadline of a question, so that the transport does not cut an answer off. */
const requestTimeoutMilliseconds = 60_000;

/** In operator mode no action is cut off, and the answer of one that is going on at shutdown is waited for. */
const operatorTimes = {
  requestTimeoutMilliseconds: operatorCallMilliseconds + 5_000,
  drainMilliseconds: operatorCallMilliseconds,
};

/** Long enough for a probe that tries again and again, too short for a person. */
const loadAfterMilliseconds = 100;

/** Serves until a signal. Agents are asked when a question needs them; only the directory is kept current meanwhile. */
export async function serve(config: GatewayConfig, environment: Environment): Promise<number> {
  const logger = createLogger(config.logLevel);
  const version = gatewayVersion();
  const tokenFiles = tokenFilesOf(config);
  const gateway = await composeGateway(config, environment, logger);
  const { mode } = config;
  logger.info('starting', { version, mode, directory: gateway.directory.kind, pid: process.pid });
  if (sendsTokensInClear(config))
    logger.warn(
      'tokens go to the agents over the network unencrypted: use --agent-tls, or https in the list',
    );
  const shutdown = watchForShutdown(gateway, undefined);
  try {
    const { tlsCertificateFile: certFile, tlsKeyFile: keyFile } = config;
    const serving = await serveHttp(createServerFactory({ ...gateway, version }), {
      logger,
      resourceChanges: gateway.resourceChanges,
      port: config.port,
      address: config.address,
      allowedHosts: config.allowedHosts,
      allowedOrigins: config.allowedOrigins,
      allowUnauthenticated: config.allowUnauthenticated,
      tokenFiles,
      requestTimeoutMilliseconds,
      ...(config.mode === 'operator' ? operatorTimes : {}),
      readiness: createReadiness(gateway.directory),
      version: { name: programName, version, node: process.versions.node },
      collectMetrics: gateway.collectMetrics,
      ...(certFile === undefined || keyFile === undefined ? {} : { tls: { certFile, keyFile } }),
    }).catch((error: unknown) => {
      if (error instanceof HttpConfigurationError)
        throw new UsageError(
          `${error.message} (--auth-token-file, --addr, --allow-unauthenticated, --tls-cert, --tls-key)`,
        );
      throw listenError(error, config);
    });
    // Who waited for the port is answered first.
    const loading = setTimeout(() => {
      gateway.load().catch((error: unknown) => {
        logger.error('what asks agents cannot be loaded', { error: String(error) });
      });
    }, loadAfterMilliseconds);
    const closedOnSignal = shutdown.isAsked.then((signal) => {
      logger.info('shutting down', { signal });
      return serving.close();
    });
    await Promise.race([serving.closed, closedOnSignal, shutdown.isUrgent]);
    clearTimeout(loading);
    return exitCodes.success;
  } finally {
    shutdown.unwatch();
    await gateway.close();
  }
}

/**
 * The tokens of callers. A token for reading, whoever it is for, must not be one for acting: its bearers, the agents among them, could act.
 * @throws UsageError
 */
function tokenFilesOf(config: GatewayConfig) {
  const isOperator = config.mode === 'operator';
  const reader = { flag: '--auth-token-file', principal: principals.reader, file: config.authTokenFile };
  const agent = { flag: '--agent-token-file', principal: principals.reader, file: config.agentTokenFile };
  const operator = {
    flag: '--operator-token-file',
    principal: principals.operator,
    file: isOperator ? config.operatorTokenFile : undefined,
  };
  const agentOperator = {
    flag: '--agent-operator-token-file',
    principal: principals.operator,
    file: isOperator ? config.agentOperatorTokenFile : undefined,
  };
  for (const acting of [operator, agentOperator])
    for (const reading of [reader, agent]) checkedTokenFiles([acting, reading]);
  return checkedTokenFiles([operator, reader]);
}

/** Whether a token leaves this machine where others may read it. An entry of a file is not looked at: it changes while we run. */
function sendsTokensInClear(config: GatewayConfig): boolean {
  if ((config.agentTokenFile ?? config.agentOperatorTokenFile) === undefined) return false;
  if (config.directory === 'kubernetes') return !config.agentTls;
  return config.agents.join(',').split(',').some(isClearRemote);
}

function isClearRemote(entry: string): boolean {
  const url = entry.slice(entry.indexOf('=') + 1);
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !/^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(hostname);
}
