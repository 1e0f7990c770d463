import type { Logger, ResourceChanges, ServerListing } from '@k8s-gpu-mcp/core';
import type { Agent } from './composition/compose-agent.ts';
import type { AgentConfig } from './config.ts';
import { type AgentOffer, knownOffer, unknownNode } from './offer.ts';
import { optionTable } from './options.ts';
import { podResourcesSocket } from './pod-resources-socket.ts';

/** What a server needs of the agent: what it offers, at once, and the agent itself when it is first asked for something. */
export interface AgentOnDemand {
  readonly listing: ServerListing;
  readonly resourceChanges: ResourceChanges;
  /** The same one every time. */
  get(): Promise<Agent>;
  /** Gives back what was opened, if anything was. */
  close(): Promise<void>;
}

/**
 * An agent that loads its tools with the first question, where it may: answering `initialize` and the lists needs none of them, and a
 * session that asks nothing costs neither their time nor their memory.
 * @throws UsageError when the configuration names something that does not exist
 */
export async function agentOnDemand(config: AgentConfig, logger: Logger): Promise<AgentOnDemand> {
  let composed: Promise<Agent> | undefined;
  const get = () => {
    composed ??= compose(config, logger).catch((error: unknown) => {
      // A disk that failed may be there again for the next question.
      composed = undefined;
      throw error;
    });
    return composed;
  };
  return {
    listing: mayWait(config) ? listingFor(config, await knownOffer()) : (await get()).listing(),
    get,
    resourceChanges: changesOf(get, logger),
    close: async () => (await composed?.catch(() => undefined))?.close(),
  };
}

async function compose(config: AgentConfig, logger: Logger): Promise<Agent> {
  const { composeAgent } = await import('./composition/compose-agent.ts');
  const agent = await composeAgent(config, logger);
  agent.recorder.start(config.record);
  return agent;
}

/** Whether nothing has to begin before the first question, and nothing that was asked for can turn out wrong. */
export const mayWait = (config: AgentConfig): boolean =>
  config.port === 0 &&
  config.mode === 'read-only' &&
  config.backend !== 'replay' &&
  config.scenario === undefined &&
  config.healthThresholds === undefined &&
  !config.record &&
  config.recordDirectory === undefined &&
  config.recordIntervalMilliseconds === optionTable.recordIntervalMilliseconds.fallback &&
  config.recordRetentionHours === optionTable.recordRetentionHours.fallback;

/** Of an agent that may wait: what any agent offers, on this node. */
export function listingFor(config: AgentConfig, { allocationTool, ...offer }: AgentOffer): ServerListing {
  const named = (text: string) => text.replaceAll(unknownNode, () => config.nodeName);
  const addressed = (uri: string) => uri.replaceAll(unknownNode, () => encodeURIComponent(config.nodeName));
  return {
    ...offer,
    tools: podResourcesSocket(config) === undefined ? offer.tools : [...offer.tools, allocationTool],
    operatorTools: [],
    resources: offer.resources.map(({ title, uri, ...rest }) => ({
      ...rest,
      title: named(title),
      uri: addressed(uri),
    })),
    resourceTemplates: offer.resourceTemplates.map(({ title, uriTemplate, ...rest }) => ({
      ...rest,
      title: named(title),
      uriTemplate: addressed(uriTemplate),
    })),
  };
}

function changesOf(get: () => Promise<Agent>, logger: Logger): ResourceChanges {
  return {
    onChange(listener, uris) {
      let stop: (() => void) | undefined;
      let isEnded = false;
      const listen = ({ resourceChanges }: Agent) => {
        if (!isEnded) stop = resourceChanges.onChange(listener, uris);
      };
      get().then(listen, (error: unknown) => {
        logger.error('nothing can be listened to', { error: String(error) });
      });
      return () => {
        isEnded = true;
        stop?.();
      };
    },
  };
}
