import { setTimeout as pause } from 'node:timers/promises';
import {
  checkedTokenFiles,
  type Environment,
  exitCodes,
  listenError,
  UsageError,
  watchForShutdown,
} from '@k8s-gpu-mcp/command-line';
import { createLogger } from '@k8s-gpu-mcp/command-line/logging';
import type { Logger } from '@k8s-gpu-mcp/core';
import { HttpConfigurationError, serveHttp } from '@k8s-gpu-mcp/transport-http';
import type { GatewayConfig } from '../config.ts';
import { type GatewayOnDemand, gatewayOnDemand, type ServedGateway } from '../gateway-on-demand.ts';
import { operatorCallMilliseconds } from '../operator-call.ts';
import { principals } from '../principals.ts';
import { gatewayVersion, programName } from '../version.ts';

/** Longer than any deadline of a question, so that the transport does not cut an answer off. */
const requestTimeoutMilliseconds = 60_000;

/** In operator mode no action is cut off, and the answer of one that is going on at shutdown is waited for. */
const operatorTimes = {
  requestTimeoutMilliseconds: operatorCallMilliseconds + 5_000,
  drainMilliseconds: operatorCallMilliseconds,
};

/** Loading keeps the process busy for some ten milliseconds. A probe that waited for the port is answered before, and between two such. */
const answerMilliseconds = 25;

/** Serves until a signal. Agents are asked when a question needs them; only the directory is kept current meanwhile. */
export async function serve(config: GatewayConfig, environment: Environment): Promise<number> {
  const logger = createLogger(config.logLevel);
  const version = gatewayVersion();
  const tokenFiles = tokenFilesOf(config);
  const gateway = gatewayOnDemand(() => compose(config, environment, logger, version));
  const { mode, directory } = config;
  logger.info('starting', { version, mode, directory, pid: process.pid });
  if (sendsTokensInClear(config))
    logger.warn(
      'tokens go to the agents over the network unencrypted: use --agent-tls, or https in the list',
    );
  const shutdown = watchForShutdown(gateway, undefined);
  try {
    const { tlsCertificateFile: certFile, tlsKeyFile: keyFile } = config;
    const serving = await serveHttp(gateway.serverFactory, {
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
      readiness: gateway.readiness,
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
    const closedOnSignal = shutdown.isAsked.then((signal) => {
      logger.info('shutting down', { signal });
      return serving.close();
    });
    const ended = Promise.race([serving.closed, closedOnSignal, shutdown.isUrgent]);
    await Promise.race([prepare(gateway, logger), ended]).catch(async (error: unknown) => {
      await serving.close();
      throw error;
    });
    await ended;
    return exitCodes.success;
  } finally {
    shutdown.unwatch();
    await gateway.close();
  }
}

/** Puts the gateway together and loads what asks agents, so that the first question waits for neither; one that came before does both at once. */
async function prepare(gateway: GatewayOnDemand, logger: Logger): Promise<void> {
  await pause(answerMilliseconds);
  const { load } = await gateway.get();
  await pause(answerMilliseconds);
  await load().catch((error: unknown) => {
    logger.error('what asks agents cannot be loaded', { error: String(error) });
  });
}

/** @throws UsageError */
async function compose(
  config: GatewayConfig,
  environment: Environment,
  logger: Logger,
  version: string,
): Promise<ServedGateway> {
  const [{ composeGateway }, { createReadiness, createServerFactory }] = await Promise.all([
    import('../composition/compose-gateway.ts'),
    import('../server.ts'),
  ]);
  const gateway = await composeGateway(config, environment, logger);
  return {
    ...gateway,
    serverFactory: createServerFactory({ ...gateway, version }),
    readiness: createReadiness(gateway.directory),
  };
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
