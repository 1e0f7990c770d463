import { AsyncLocalStorage } from 'node:async_hooks';
import { InMemoryServerEventBus, type ServerEvent, type ServerEventBus } from '@modelcontextprotocol/server';
import type { ResourceChanges } from './options.ts';
import { UpdateGate, watchStream } from './update-gate.ts';

/** Resources that one `subscriptions/listen` may name. */
export const MAX_LISTENED_RESOURCES = 64;

/** What one request wants to hear of, and once its stream is open, how it is told. */
interface Listening {
  readonly uris: readonly string[];
  gate?: UpdateGate;
}

/**
 * Where `subscriptions/listen` streams get their changes from: what is published, and the changes of the resources they name. The SDK
 * subscribes a stream without saying to what, so the request says it on the way: then nobody is listened to whom nobody listens to.
 */
export class ListenBus implements ServerEventBus {
  readonly #changes: ResourceChanges | undefined;
  readonly #published: InMemoryServerEventBus;
  readonly #named = new AsyncLocalStorage<Listening>();

  constructor(changes: ResourceChanges | undefined, onError: (error: Error) => void) {
    this.#changes = changes;
    this.#published = new InMemoryServerEventBus(onError);
  }

  /** Runs `listen`; the stream that it answers with hears of these resources. */
  async naming(uris: readonly string[], listen: () => Promise<Response>): Promise<Response> {
    const listening: Listening = { uris };
    const response = await this.#named.run(listening, listen);
    const { gate } = listening;
    if (gate === undefined || response.body === null) return response;
    return watchStream(response, response.body, { taken: () => gate.taken(), ended: () => {} });
  }

  publish(event: ServerEvent): void {
    this.#published.publish(event);
  }

  subscribe(listener: (event: ServerEvent) => void): () => void {
    const unsubscribe = this.#published.subscribe(listener);
    const listening = this.#named.getStore();
    if (this.#changes === undefined || listening === undefined || listening.uris.length === 0)
      return unsubscribe;
    const gate = new UpdateGate((uri) => listener({ kind: 'resource_updated', uri }));
    listening.gate = gate;
    const stop = this.#changes.onChange((uri) => gate.tell(uri), listening.uris);
    return () => {
      unsubscribe();
      stop();
    };
  }
}

/** The resources that a `subscriptions/listen` request names; the SDK answers one that is malformed. */
export function listenedResources(request: unknown): readonly string[] {
  const notifications = memberOf(memberOf(request, 'params'), 'notifications');
  const uris = memberOf(notifications, 'resourceSubscriptions');
  return Array.isArray(uris) ? [...new Set(uris.filter((uri) => typeof uri === 'string'))] : [];
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
