import type { Logger } from '@k8s-gpu-mcp/core';
import type { ClusterAccess } from './cluster-access.ts';
import { ClusterError } from './cluster-error.ts';
import type { ExecConnection, ExecEnd, ExecEvents } from './cluster-exec.ts';
import { type AgentPod, type AgentQuery, findAgentPod } from './find-agent.ts';
import { routeErrorOf } from './find-gateway.ts';
import { RouteError } from './gateway-route.ts';

/** Exit codes of a shell and of container runtimes for a command that cannot be run and one that is not there (POSIX, 2.8.2). */
const cannotRun: readonly (number | null)[] = [126, 127];
const notThere = /no such file or directory|executable file not found|permission denied/i;

export interface ExecRoute {
  /** Starts the agent. Rejects with `RouteError`. */
  open(events: ExecEvents, signal: AbortSignal): Promise<ExecConnection>;
}

export interface ExecRouteOptions {
  /** Opened anew each time, so that a changed kubeconfig is seen. Throws `ClusterError`. */
  readonly openCluster: () => ClusterAccess | Promise<ClusterAccess>;
  readonly query: AgentQuery;
  readonly command: readonly string[];
  readonly logger: Logger;
}

/** Finds the agent's pod each time, because the one of before may have been replaced. */
export function execRoute({ openCluster, query, command, logger }: ExecRouteOptions): ExecRoute {
  return {
    async open(events, signal) {
      let cluster: ClusterAccess;
      try {
        cluster = await openCluster();
      } catch (error) {
        if (!(error instanceof ClusterError)) throw error;
        throw new RouteError(error.message, { isTransient: false, cause: error });
      }
      // A pod may go between being found and being asked; nothing has been sent yet.
      for (let isLastTry = false; ; isLastTry = true) {
        const found = await findAgentPod(cluster, query, signal);
        try {
          const connection = await cluster.exec({ ...found, command }, events);
          logger.info('exec into the agent', { ...found, command });
          return connection;
        } catch (error) {
          if (!isLastTry && error instanceof ClusterError && error.reason === 'not-found') continue;
          throw explain(error, cluster, found);
        }
      }
    },
  };
}

function explain(error: unknown, cluster: ClusterAccess, { namespace, pod }: AgentPod): RouteError {
  if (error instanceof ClusterError && error.reason === 'forbidden')
    return new RouteError(
      `You may not exec into pods in namespace "${namespace}" of context "${cluster.contextName}": ask for the verbs get and create on pods/exec. (${error.message})`,
      { isTransient: false, cause: error },
    );
  return routeErrorOf(error, cluster, `exec into pod ${namespace}/${pod}`);
}

/** What to do about a program that ended before it said anything; undefined when trying again may help. */
export function explainStart({ exitCode, reason }: ExecEnd, command: readonly string[]): string | undefined {
  const isMissing = cannotRun.includes(exitCode) || (exitCode === null && notThere.test(reason));
  if (!isMissing) return undefined;
  return `${command[0]} cannot be run in the image of the agent's container (${reason}): name the program with --exec-command, or another --container.`;
}
