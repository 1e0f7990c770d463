import { promptResult } from '../prompts/prompt.ts';
import type { GpuServerParts, RegisterServerOptions } from '../register-gpu-server.ts';
import { type ResourceHost, readResource } from '../resources/register.ts';
import { type McpSubscriptionServer, subscriptionHandlers } from '../resources/subscriptions.ts';
import type { ElicitingServer } from '../tools/elicitation.ts';
import { callTool, type HostContext } from '../tools/register.ts';
import { type CompletionRequest, complete } from './complete.ts';
import { findResource } from './find-resource.ts';
import type { ServerListing } from './listing.ts';
import { invalidParams } from './protocol-error.ts';

/** The low-level server object of the official SDK, current line (`Server` of `@modelcontextprotocol/server`). */
export interface McpLowLevelServer
  extends ElicitingServer,
    Omit<McpSubscriptionServer, 'registerCapabilities'> {
  registerCapabilities(capabilities: Capabilities): void;
}

interface Capabilities {
  tools?: { listChanged: boolean };
  resources?: { listChanged?: boolean; subscribe: boolean };
  completions?: Record<string, never>;
  prompts?: { listChanged: boolean };
}

export interface ServedParts {
  /** Of the very parts; see `listingOf`. */
  readonly listing: ServerListing;
  /** Asked with every request that needs more than the listing, so it has to keep what it made. */
  readonly parts: () => GpuServerParts | Promise<GpuServerParts>;
}

type NamedRequest = {
  readonly params: { readonly name: string; readonly arguments?: Record<string, unknown> };
};
type UriRequest = { readonly params: { readonly uri: string } };

/**
 * What `registerGpuServer` does, for the low-level server object: the same answers, and next to no cost per object, so that there can be one
 * per request. Lists are answered from the listing; the parts may be loaded with the first request that needs them. Call it before the
 * server is connected.
 */
export function serveGpuParts(
  server: McpLowLevelServer,
  { listing, parts }: ServedParts,
  host: Pick<ResourceHost, 'notFound'>,
  { mayOperate, ...options }: RegisterServerOptions,
): void {
  const offers = offersOf(listing, mayOperate);
  server.registerCapabilities(capabilitiesOf(offers));
  const on = (method: string, handler: unknown) =>
    server.setRequestHandler(method as never, handler as never);

  if (offers.tools) {
    on('tools/list', () => ({
      tools: mayOperate ? [...listing.tools, ...listing.operatorTools] : listing.tools,
    }));
    on('tools/call', async ({ params }: NamedRequest, context: HostContext) => {
      const { tools, operatorTools } = await parts();
      const isAsked = ({ name }: { readonly name: string }) => name === params.name;
      const tool = tools.find(isAsked) ?? (mayOperate ? operatorTools.find(isAsked) : undefined);
      if (tool === undefined) throw invalidParams(`Tool ${params.name} not found`);
      return callTool(tool, params.arguments ?? {}, context, server, options);
    });
  }

  if (offers.resources) {
    on('resources/list', () => ({ resources: listing.resources }));
    on('resources/templates/list', () => ({ resourceTemplates: listing.resourceTemplates }));
    on('resources/read', async ({ params: { uri } }: UriRequest, context: unknown) => {
      if (!URL.canParse(uri))
        throw invalidParams(`Resource URI ${uri} is invalid`, { uri, reason: 'invalid_uri' });
      const url = new URL(uri);
      const found = findResource((await parts()).resources, url.href);
      if (found === undefined) throw notFound(host, uri);
      return readResource(found.resource, url, found.variables, context, host);
    });
  }
  const { subscribe, unsubscribe } = subscriptionHandlers(server, parts, host.notFound);
  on('resources/subscribe', subscribe);
  on('resources/unsubscribe', unsubscribe);

  if (offers.completions)
    on('completion/complete', async ({ params }: CompletionRequest) => complete(params, await parts()));

  if (offers.prompts) {
    on('prompts/list', () => ({ prompts: listing.prompts }));
    on('prompts/get', async ({ params }: NamedRequest) => {
      const prompt = (await parts()).prompts.find(({ name }) => name === params.name);
      if (prompt === undefined) throw invalidParams(`Prompt ${params.name} not found`);
      const parsed = prompt.argsSchema.safeParse(params.arguments ?? {});
      if (!parsed.success)
        throw invalidParams(
          `Invalid arguments for prompt ${params.name}: ${parsed.error.issues.map(problem).join(', ')}`,
        );
      // The arguments of a prompt are strings, by the protocol and by its schema.
      return promptResult(prompt, parsed.data as Readonly<Record<string, string | undefined>>);
    });
  }
}

const problem = ({ path, message }: { readonly path: readonly PropertyKey[]; readonly message: string }) =>
  path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`;

function notFound(host: Pick<ResourceHost, 'notFound'>, uri: string): Error {
  const message = `Resource not found: ${uri}`;
  return host.notFound?.(uri, message) ?? invalidParams(message, { uri });
}

/** A kind of which there is nothing is not offered: its requests are unknown methods. */
const offersOf = (listing: ServerListing, mayOperate: boolean) => ({
  tools: listing.tools.length + (mayOperate ? listing.operatorTools.length : 0) > 0,
  resources: listing.resources.length + listing.resourceTemplates.length > 0,
  completions: listing.completesTemplates,
  prompts: listing.prompts.length > 0,
});

const capabilitiesOf = (offers: ReturnType<typeof offersOf>): Capabilities => ({
  ...(offers.tools ? { tools: { listChanged: true } } : {}),
  resources: { ...(offers.resources ? { listChanged: true } : {}), subscribe: true },
  ...(offers.completions ? { completions: {} } : {}),
  ...(offers.prompts ? { prompts: { listChanged: true } } : {}),
});
