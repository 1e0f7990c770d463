import type { GpuResource } from './gpu-resources.ts';
import type { ResourceChanges } from './resource-changes.ts';
import { decoded } from './uris.ts';

/** What one session may subscribe to at once. */
const maximumSubscriptions = 64;

/** The part of a server object of either SDK line that subscriptions need; `McpServer.server` of both has it. */
export interface McpSubscriptionServer {
  registerCapabilities(capabilities: { resources: { subscribe: boolean } }): void;
  setRequestHandler(method: never, handler: never): unknown;
  sendResourceUpdated(params: { uri: string }): Promise<void>;
  onclose?: (() => void) | undefined;
}

export interface SubscriptionHost {
  /** Makes the SDK's own "resource not found"; a plain error otherwise. */
  readonly notFound?: (uri: string, message: string) => Error;
  /** What names the two requests to the SDK. Default: their names, as the current line wants; the v1 line wants its schemas. */
  readonly requests?: { readonly subscribe: unknown; readonly unsubscribe: unknown };
}

type SubscribeRequest = { readonly params: { readonly uri: string } };

/** What subscriptions need to know of a server. */
export interface SubscribableParts {
  readonly resources: readonly Pick<GpuResource, 'uri' | 'isTemplate'>[];
  readonly resourceChanges: ResourceChanges;
}

/**
 * `resources/subscribe` and `resources/unsubscribe` on a server object of one session, up to protocol revision 2025-11-25. Offers the
 * capability also to later revisions, where the transport serves `subscriptions/listen`. Call it before the server is connected. The
 * subscriptions end with the session.
 */
export function registerResourceSubscriptions(
  server: McpSubscriptionServer,
  resources: SubscribableParts['resources'],
  resourceChanges: ResourceChanges,
  { notFound, requests }: SubscriptionHost = {},
): void {
  const parts = { resources, resourceChanges };
  const { subscribe, unsubscribe } = subscriptionHandlers(server, () => parts, notFound);
  server.registerCapabilities({ resources: { subscribe: true } });
  server.setRequestHandler((requests?.subscribe ?? 'resources/subscribe') as never, subscribe as never);
  server.setRequestHandler((requests?.unsubscribe ?? 'resources/unsubscribe') as never, unsubscribe as never);
}

/** The handlers of both requests, for one session. `parts` is asked with the first of them. */
export function subscriptionHandlers(
  server: Pick<McpSubscriptionServer, 'sendResourceUpdated' | 'onclose'>,
  parts: () => SubscribableParts | Promise<SubscribableParts>,
  notFound: SubscriptionHost['notFound'],
) {
  const subscriptions = new Map<string, () => void>();
  let session: 'unwatched' | 'open' | 'ended' = 'unwatched';
  /** With the first subscription, when whoever serves the object has set its own. */
  const watchSession = () => {
    if (session !== 'unwatched') return;
    session = 'open';
    const before = server.onclose;
    server.onclose = () => {
      session = 'ended';
      for (const end of subscriptions.values()) end();
      subscriptions.clear();
      before?.();
    };
  };
  return {
    async subscribe({ params: { uri } }: SubscribeRequest) {
      watchSession();
      const { resources, resourceChanges } = await parts();
      if (!resources.some((resource) => isAt(resource, uri))) {
        const message = `There is no resource ${JSON.stringify(uri.slice(0, 120))} here: resources/list and resources/templates/list tell what there is.`;
        throw notFound?.(uri, message) ?? new Error(message);
      }
      // Nobody would end a subscription of a session that ended meanwhile.
      if (session === 'ended' || subscriptions.has(uri)) return {};
      if (subscriptions.size >= maximumSubscriptions)
        throw new Error(
          `This session has ${maximumSubscriptions} subscriptions, which is all it may have: unsubscribe from one first.`,
        );
      // A client that has gone, or does not listen, hears of it no more.
      const tell = (changed: string) => void server.sendResourceUpdated({ uri: changed }).catch(() => {});
      subscriptions.set(uri, resourceChanges.onChange(tell, [uri]));
      return {};
    },
    async unsubscribe({ params: { uri } }: SubscribeRequest) {
      // Waits as `subscribe` does, so that it ends one that was asked for just before.
      await parts();
      subscriptions.get(uri)?.();
      subscriptions.delete(uri);
      return {};
    },
  };
}

/** The name of a node, 253 characters at most, with all of it percent-encoded. */
const maximumVariableLength = 759;

/** Whether a URI is the resource's, or one of a template: segment by segment, a variable being a whole segment. */
function isAt({ uri, isTemplate }: Pick<GpuResource, 'uri' | 'isTemplate'>, asked: string): boolean {
  if (!isTemplate) return uri === asked;
  const segments = uri.split('/');
  const given = asked.split('/', segments.length + 1);
  return (
    given.length === segments.length &&
    segments.every((segment, index) => {
      const text = given[index] ?? '';
      if (!segment.startsWith('{')) return segment === text;
      return text !== '' && text.length <= maximumVariableLength && decoded(text) !== undefined;
    })
  );
}
