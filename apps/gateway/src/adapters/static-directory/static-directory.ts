import { resolve } from 'node:path';
import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import type { AgentNode, NodeDirectory, NodeDirectorySnapshot } from '../../ports/node-directory.ts';
import { AgentListError, type StaticAgent } from './agent-list.ts';
import { parseAgentsFile } from './agents-file.ts';
import { type FollowFileOptions, followFile } from './follow-file.ts';

/** Where the agents are named: on the command line (`parseAgentList`), or in a file that is read again when it changes. */
export type StaticDirectorySource = { readonly entries: readonly StaticAgent[] } | { readonly file: string };

export interface StaticDirectoryOptions extends Pick<FollowFileOptions, 'pollMilliseconds' | 'watchFolder'> {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** In code-unit order, so that it is the same everywhere. */
const asNodes = (agents: readonly StaticAgent[]): readonly AgentNode[] =>
  agents
    .map(({ name, url, labels }) => ({
      name,
      url,
      labels,
      notReadyBecause: null,
      instance: url,
      mayReceiveToken: true,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

/**
 * Agents that an operator lists: Slurm, bare metal. All of them count as ready, and the operator vouches for them, so the token may go there.
 * A file that breaks keeps the last good set, marked stale with the line or entry at fault.
 */
export function openStaticDirectory(
  source: StaticDirectorySource,
  options: StaticDirectoryOptions,
): NodeDirectory {
  const { clock, logger } = options;
  const listeners = new Set<() => void>();
  const isoNow = () => new Date(clock.now()).toISOString();
  let endWait: () => void = () => {};
  const firstRead = new Promise<void>((done) => {
    endWait = done;
  });
  let current: NodeDirectorySnapshot = { nodes: [], readAt: null, staleSince: null, problem: null };

  function publish(next: NodeDirectorySnapshot): void {
    current = Object.freeze(next);
    endWait();
    for (const listener of [...listeners]) {
      try {
        listener();
      } catch (error) {
        logger.error('a listener of the node directory failed', { error });
      }
    }
  }

  function fail(problem: string): void {
    const words = `the list of agents: ${problem}`;
    if (current.problem === words) return;
    logger.warn('the list of agents cannot be read, the last good one stays', { problem });
    publish({ ...current, staleSince: current.staleSince ?? isoNow(), problem: words });
  }

  function take(agents: readonly StaticAgent[]): void {
    const problem = agents.length === 0 ? 'the list of agents is empty' : null;
    publish({ nodes: Object.freeze(asNodes(agents)), readAt: isoNow(), staleSince: null, problem });
  }

  let endFollowing = () => {};
  let lastGoodText: string | null = null;
  if ('entries' in source) take(source.entries);
  else {
    endFollowing = followFile(
      resolve(source.file),
      { ...options },
      {
        onText(text) {
          if (text === lastGoodText && current.staleSince === null) {
            current = Object.freeze({ ...current, readAt: isoNow() });
            return;
          }
          try {
            const agents = parseAgentsFile(text);
            logger.info('read the list of agents', { agents: agents.length });
            lastGoodText = text;
            take(agents);
          } catch (error) {
            if (!(error instanceof AgentListError))
              logger.error('parsing the list of agents failed', { error });
            fail(error instanceof AgentListError ? error.message : 'it cannot be read');
          }
        },
        onProblem: fail,
      },
    );
  }

  return {
    kind: 'static',
    snapshot: () => current,
    settled(signal) {
      if (signal.aborted) return Promise.resolve();
      return new Promise((done) => {
        const end = () => {
          signal.removeEventListener('abort', end);
          done();
        };
        signal.addEventListener('abort', end, { once: true });
        void firstRead.then(end);
      });
    },
    onChange(listener) {
      // Wrapped: the same function given twice is two listeners.
      const own = () => listener();
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    async close() {
      endFollowing();
      listeners.clear();
      endWait();
    },
  };
}
