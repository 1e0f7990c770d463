import { type Clock, systemClock } from '@k8s-gpu-mcp/core';
import { newsOf } from '../../domain/cluster-events-news.ts';
import { AgentFailure } from '../../ports/agent-client.ts';
import type { AgentEventBatch, AgentEvents, EventsPosition } from '../../ports/agent-events.ts';
import type { AgentInstances } from '../agent-client/agent-instances.ts';
import { protocolFailure } from '../agent-client/protocol-failure.ts';
import { EventsSession } from './events-session.ts';

export interface McpAgentEventsOptions {
  readonly clock?: Clock;
  /** Notifications that come faster are answered with one reading. Default 500 ms. */
  readonly leastReadMilliseconds?: number;
  /** Without a notification the agent is read after so long: it may be gone without a word. Default 30 s. */
  readonly idleReadMilliseconds?: number;
}

/** Hears the live events of agents over MCP, in both eras of the protocol, on the connections that calls use. */
export function createMcpAgentEvents(
  instances: AgentInstances,
  options: McpAgentEventsOptions = {},
): AgentEvents {
  const { clock = systemClock, leastReadMilliseconds = 500, idleReadMilliseconds = 30_000 } = options;
  return {
    async listen(node, onEvents, signal, since) {
      const session = await open(instances, node, signal, clock);
      try {
        const alarm = new Alarm(clock, session.ended);
        await session.subscribe(() => alarm.ring());
        let position = since;
        for (;;) {
          alarm.reset();
          position = await tellNews(session, onEvents, position);
          await alarm.pause(leastReadMilliseconds);
          await alarm.rung(idleReadMilliseconds);
        }
      } catch (error) {
        throw session.end(protocolFailure(error));
      }
    },
    async read(node, signal) {
      const session = await open(instances, node, signal, clock);
      try {
        return await session.read();
      } catch (error) {
        throw protocolFailure(error);
      } finally {
        session.end(new AgentFailure('cancelled', 'the events were read'));
      }
    },
  };
}

async function open(
  instances: AgentInstances,
  node: Parameters<AgentEvents['read']>[0],
  signal: AbortSignal,
  clock: Clock,
): Promise<EventsSession> {
  try {
    return await EventsSession.open(instances.of(node), node, signal, clock);
  } catch (error) {
    throw protocolFailure(error);
  }
}

async function tellNews(
  session: EventsSession,
  onEvents: (batch: AgentEventBatch) => void,
  since: EventsPosition | undefined,
): Promise<EventsPosition> {
  const batch = newsOf(await session.read(), since);
  onEvents(batch);
  return batch.position;
}

/** Waits for notifications. Its waits reject with what ended the session. */
class Alarm {
  readonly #clock: Clock;
  readonly #ended: AbortSignal;
  #isRung = false;
  #wake = () => {};

  constructor(clock: Clock, ended: AbortSignal) {
    this.#clock = clock;
    this.#ended = ended;
  }

  ring(): void {
    this.#isRung = true;
    this.#wake();
  }

  /** What rang until now is answered by the reading that begins now. */
  reset(): void {
    this.#isRung = false;
  }

  pause(milliseconds: number): Promise<void> {
    return this.#wait(milliseconds, () => {});
  }

  /** Until it rings, or rang since `reset`, at most so long. */
  async rung(milliseconds: number): Promise<void> {
    if (this.#isRung) return;
    await this.#wait(milliseconds, (wake) => {
      this.#wake = wake;
    });
  }

  #wait(milliseconds: number, onStart: (wake: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        cancel();
        this.#ended.removeEventListener('abort', fail);
        settle();
      };
      const fail = () => finish(() => reject(this.#ended.reason));
      const wake = () => finish(resolve);
      const cancel = this.#clock.after(milliseconds, wake);
      this.#ended.addEventListener('abort', fail, { once: true });
      onStart(wake);
      if (this.#ended.aborted) fail();
    });
  }
}
