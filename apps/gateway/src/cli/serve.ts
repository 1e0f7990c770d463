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
import { createReadiness, createServerFactory, principal } from '../server.ts';
import { gatewayVersion, programName } from '../version.ts';

/** Longer than any deadline of a question, so that the transport does not cut an answer off. */
const requestTimeoutMilliseconds = 60_000;

/** Serves until a signal. Agents are asked when a question needs them; only the directory is kept current meanwhile. */
export async function serve(config: GatewayConfig, environment: Environment): Promise<number> {
  const logger = createLogger(config.logLevel);
  const version = gatewayVersion();
  const tokenFiles = checkedTokenFiles([
    { flag: '--auth-token-file', principal, file: config.authTokenFile },
  ]);
  checkedTokenFiles([{ flag: '--agent-token-file', principal, file: config.agentTokenFile }]);
  const gateway = await composeGateway(config, environment, logger);
  logger.info('starting', { version, directory: gateway.directory.kind, pid: process.pid });
  const shutdown = watchForShutdown({ stop() {} }, undefined);
  try {
    const { tlsCertificateFile: certFile, tlsKeyFile: keyFile } = config;
    const serving = await serveHttp(createServerFactory({ tools: gateway.tools, version }), {
      logger,
      port: config.port,
      address: config.address,
      allowedHosts: config.allowedHosts,
      allowedOrigins: config.allowedOrigins,
      allowUnauthenticated: config.allowUnauthenticated,
      tokenFiles,
      requestTimeoutMilliseconds,
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
    const closedOnSignal = shutdown.isAsked.then((signal) => {
      logger.info('shutting down', { signal });
      return serving.close();
    });
    await Promise.race([serving.closed, closedOnSignal, shutdown.isUrgent]);
    return exitCodes.success;
  } finally {
    shutdown.unwatch();
    await gateway.close();
  }
}
