import { randomBytes, randomUUID } from 'node:crypto';
import { type Logger, systemClock } from '@k8s-gpu-mcp/core';
import { ContainerModule } from 'inversify';
import type { GatewayMetrics } from '../adapters/metrics/gateway-metrics.ts';
import { measured } from '../adapters/metrics/measured-client.ts';
import type { GatewayConfig } from '../config.ts';
import { FanOut } from '../domain/fan-out.ts';
import type { AgentClient } from '../ports/agent-client.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';
import { createOperatorTools, type OperatorRecord } from '../tools/create-operator-tools.ts';
import { counted, openAgents } from './modules.ts';
import { operatorTokens, tokens } from './tokens.ts';

/**
 * What makes agents act, with a client of its own: the operator token, and the sessions opened with it, are out of reach of whatever
 * only reads. The circuits are the same: whether an agent is well does not depend on who asks.
 */
export const operatorModule = () =>
  new ContainerModule(({ bind }) => {
    bind(operatorTokens.client)
      .toResolvedValue(openOperatorClient, [tokens.config, tokens.directory, tokens.metrics, tokens.logger])
      .inSingletonScope()
      .onDeactivation((client) => client.close());
    bind(operatorTokens.fanOut)
      .toResolvedValue(
        (directory, client, circuits, logger) =>
          new FanOut({ directory, client, circuits, clock: systemClock, logger, random: Math.random }),
        [tokens.directory, operatorTokens.client, tokens.circuits, tokens.logger],
      )
      .inSingletonScope();
    bind(operatorTokens.record).toConstantValue(recordOnStandardError);
    bind(operatorTokens.stopping).toConstantValue(new AbortController());
    bind(operatorTokens.tools)
      .toResolvedValue(
        (directory, fanOut, metrics, logger, record, stopping) =>
          counted(
            createOperatorTools({
              directory,
              fanOut,
              clock: systemClock,
              logger,
              newCorrelationId: () => randomBytes(8).toString('hex'),
              newQuestionId: () => randomUUID(),
              record,
              stopping: stopping.signal,
            }),
            metrics,
          ),
        [
          tokens.directory,
          operatorTokens.fanOut,
          tokens.metrics,
          tokens.logger,
          operatorTokens.record,
          operatorTokens.stopping,
        ],
      )
      .inSingletonScope();
  });

function openOperatorClient(
  config: GatewayConfig,
  directory: NodeDirectory,
  metrics: GatewayMetrics,
  logger: Logger,
): AgentClient {
  const tokenFile = config.agentOperatorTokenFile;
  if (tokenFile === undefined) throw new Error('operator mode needs a token for the agents');
  const { client } = openAgents(config, logger, tokenFile);
  directory.onChange(() =>
    client.retain(new Set(directory.snapshot().nodes.map(({ instance }) => instance))),
  );
  return measured(client, metrics, systemClock);
}

/** One JSON object a line, whatever the log level. The agent's audit record, on its disk, is the one that acting waits for. */
function recordOnStandardError(entry: OperatorRecord): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stderr.write(`${JSON.stringify({ audit: true, ...entry })}\n`, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}
