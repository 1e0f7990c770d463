import type { Clock } from '@k8s-gpu-mcp/core';
import { AgentFailure } from '../../ports/agent-client.ts';
import type { AgentEventsReading } from '../../ports/agent-events.ts';
import type { AgentNode } from '../../ports/node-directory.ts';
import type { AgentInstance } from '../agent-client/agent-instance.ts';
import { AgentSession, requestOptions } from '../agent-client/agent-session.ts';
import { Exchange } from '../agent-client/exchange.ts';
import { protocolFailure } from '../agent-client/protocol-failure.ts';
import { parseEventsDocument } from './events-document.ts';
import { createNotificationStream } from './notification-stream.ts';

/** Each request but the stream of notifications. */
const requestMilliseconds = 10_000;
const maximumPages = 8;
const eventsUri = /^gpu:\/\/(?!cluster\/)[^/?#]{1,800}\/events$/;

/** A protocol client that stays with one agent: it reads the agent's events, and hears when they change. */
export class EventsSession {
  readonly #node: AgentNode;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  readonly #opened: Promise<void>;
  #session: AgentSession | undefined;
  #uri = '';
  #open = () => {};
  #onChange = () => {};

  private constructor(node: AgentNode, clock: Clock) {
    this.#node = node;
    this.#clock = clock;
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  /** @throws AgentFailure. */
  static async open(
    instance: AgentInstance,
    node: AgentNode,
    signal: AbortSignal,
    clock: Clock,
  ): Promise<EventsSession> {
    const opened = new EventsSession(node, clock);
    const cancelled = () => opened.end(new AgentFailure('cancelled', 'listening was ended'));
    const gone = () =>
      opened.end(new AgentFailure('unreachable', 'the agent is not among the agents any more'));
    signal.addEventListener('abort', cancelled, { once: true });
    instance.closing.addEventListener('abort', gone, { once: true });
    opened.ended.addEventListener(
      'abort',
      () => {
        signal.removeEventListener('abort', cancelled);
        instance.closing.removeEventListener('abort', gone);
      },
      { once: true },
    );
    if (signal.aborted) cancelled();
    try {
      await opened.#connect(instance);
      return opened;
    } catch (error) {
      throw opened.end(protocolFailure(error));
    }
  }

  /** Aborts with the AgentFailure that ended it. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Ends it; the first reason counts and is the result. */
  end(failure: AgentFailure): AgentFailure {
    if (!this.#ended.signal.aborted) {
      this.#ended.abort(failure);
      this.#session?.discard();
    }
    return protocolFailure(this.#ended.signal.reason);
  }

  /** What the agent keeps now. @throws AgentFailure. */
  async read(): Promise<AgentEventsReading> {
    const { contents } = await this.#request(({ client }, options) =>
      client.readResource({ uri: this.#uri }, { ...options, cacheMode: 'bypass' }),
    );
    const [content] = contents;
    if (content === undefined || !('text' in content) || typeof content.text !== 'string')
      throw new AgentFailure('garbage', "the agent's events are not of the expected form");
    return parseEventsDocument(content.text);
  }

  /** Has `onChange` called whenever the agent says that its events have changed. @throws AgentFailure. */
  async subscribe(onChange: () => void): Promise<void> {
    this.#onChange = onChange;
    const uri = this.#uri;
    const session = this.#live();
    if (session.isModern) {
      const options = { signal: this.ended, timeout: requestMilliseconds };
      const { honoredFilter, closed } = await this.#untilEnded(
        session.client.listen({ resourceSubscriptions: [uri] }, options),
      );
      if (!honoredFilter.resourceSubscriptions?.includes(uri)) throw noNotifications();
      void closed.then(() =>
        this.end(
          new AgentFailure('unreachable', 'the agent ended the stream of notifications', {
            isRetryable: true,
          }),
        ),
      );
      return;
    }
    if (session.client.getServerCapabilities()?.resources?.subscribe !== true) throw noNotifications();
    await this.#request(({ client }, options) => client.subscribeResource({ uri }, options));
    // What the agent says before its stream is open, nobody hears.
    await this.#request(() => this.#opened);
  }

  async #connect(instance: AgentInstance): Promise<void> {
    const connection = await instance.connect(this.#node);
    const exchange = this.#exchange();
    const stream = createNotificationStream({
      ...connection,
      signal: this.ended,
      onOpen: () => this.#open(),
      onEnd: (failure) => void this.end(failure),
    });
    const session = await exchange.run(() =>
      AgentSession.open({ ...connection, canAsk: false, prior: undefined, stream }, exchange),
    );
    this.#session = session;
    if (this.ended.aborted) session.discard();
    session.client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      if (params.uri === this.#uri) this.#onChange();
    });
    this.#uri = await this.#findEvents();
  }

  async #findEvents(): Promise<string> {
    if (!this.#live().client.getServerCapabilities()?.resources) throw noEvents();
    let cursor: string | undefined;
    for (let page = 0; page < maximumPages; page += 1) {
      const given = cursor === undefined ? {} : { cursor };
      const { resources, nextCursor } = await this.#request(({ client }, options) =>
        client.listResources(given, { ...options, cacheMode: 'bypass' }),
      );
      const found = resources.find(({ uri }) => eventsUri.test(uri));
      if (found) return found.uri;
      if (nextCursor === undefined) break;
      cursor = nextCursor;
    }
    throw noEvents();
  }

  async #request<T>(
    work: (session: AgentSession, options: ReturnType<typeof requestOptions>) => Promise<T>,
  ): Promise<T> {
    const session = this.#live();
    const exchange = this.#exchange();
    session.exchange = exchange;
    try {
      return await exchange.run(() => work(session, requestOptions(exchange)));
    } catch (error) {
      throw this.ended.aborted ? protocolFailure(this.ended.reason) : error;
    } finally {
      exchange.answered();
    }
  }

  #live(): AgentSession {
    if (this.ended.aborted || !this.#session) throw protocolFailure(this.ended.reason);
    return this.#session;
  }

  #exchange(): Exchange {
    const call = {
      ...{ node: this.#node, tool: 'resources/read', arguments: {}, correlationId: '' },
      ...{ deadlineMilliseconds: requestMilliseconds, signal: this.ended },
    };
    return new Exchange(call, this.#clock);
  }

  #untilEnded<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => reject(protocolFailure(this.ended.reason));
      this.ended.addEventListener('abort', end, { once: true });
      work
        .then(resolve, (error: unknown) =>
          reject(protocolFailure(this.ended.aborted ? this.ended.reason : error)),
        )
        .finally(() => this.ended.removeEventListener('abort', end));
      if (this.ended.aborted) end();
    });
  }
}

const noEvents = () =>
  new AgentFailure('incompatible', 'the agent offers no live events (it may be of another version)');
const noNotifications = () =>
  new AgentFailure(
    'incompatible',
    'the agent does not tell when its events change (it may be of another version)',
  );
