import { type AgentClient, AgentFailure } from '../ports/agent-client.ts';
import type { AgentEvents } from '../ports/agent-events.ts';

export interface Agents {
  readonly client: AgentClient;
  readonly events: AgentEvents;
}

export interface AgentsOnDemand extends Agents {
  /** Loads it now, so that the first question need not wait. */
  load(): Promise<void>;
}

/**
 * What asks agents, loaded when it is first needed. It is a third of the program, and nothing of it is needed for a gateway to start, to
 * say that it lives and to learn where its agents are.
 */
export function agentsOnDemand(open: () => Promise<Agents>): AgentsOnDemand {
  let opened: Promise<Agents> | undefined;
  let retained: ReadonlySet<string> | undefined;
  let isClosed = false;
  const agents = (): Promise<Agents> => {
    if (isClosed) throw new AgentFailure('cancelled', 'the gateway is shutting down');
    opened ??= open().then((each) => {
      if (retained) each.client.retain(retained);
      return each;
    });
    return opened;
  };
  return {
    client: {
      call: async (call) => (await agents()).client.call(call),
      retain(instances) {
        retained = instances;
        void opened?.then(({ client }) => client.retain(instances));
      },
      async close() {
        isClosed = true;
        await (await opened)?.client.close();
      },
    },
    events: {
      listen: async (...given) => (await agents()).events.listen(...given),
      read: async (...given) => (await agents()).events.read(...given),
    },
    async load() {
      if (!isClosed) await agents();
    },
  };
}
