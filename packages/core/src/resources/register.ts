import { type GpuErrorCode, isGpuError } from '../errors.ts';
import type { GpuResource } from './gpu-resources.ts';

/** The resource side of a server object of either SDK line; see `McpToolServer`. */
export interface McpResourceServer {
  registerResource(name: string, uriOrTemplate: never, config: never, callback: never): unknown;
}

/** What the host's SDK brings: its template class and its error for a URI that names nothing. */
export interface ResourceHost {
  /** `ResourceTemplate` of the SDK that the server object comes from. */
  readonly ResourceTemplate: new (
    uriTemplate: string,
    callbacks: never,
  ) => object;
  /** Makes the SDK's own "resource not found"; a plain error otherwise. */
  readonly notFound?: (uri: string, message: string) => Error;
}

/** Registers every resource on a server object of either SDK line. */
export function registerGpuResources(
  server: McpResourceServer,
  resources: readonly GpuResource[],
  host: ResourceHost,
): void {
  for (const resource of resources) {
    const { name, uri } = resource;
    const config = resourceConfig(resource);
    if (resource.isTemplate) {
      const template = new host.ResourceTemplate(uri, {
        list: undefined,
        complete: resource.complete,
      } as never);
      const read = (url: URL, variables: UriVariables, context: unknown) =>
        readResource(resource, url, variables, context, host);
      server.registerResource(name, template as never, config as never, read as never);
    } else {
      const read = (url: URL, context: unknown) => readResource(resource, url, {}, context, host);
      server.registerResource(name, uri as never, config as never, read as never);
    }
  }
}

/** What a host is told of a resource beside its name and URI. */
export const resourceConfig = ({ title, description, mimeType }: Omit<GpuResource, 'read'>) => ({
  title,
  description,
  mimeType,
});

export type UriVariables = Readonly<Record<string, string | string[]>>;

/** Reads a resource for a host: the result as MCP has it. */
export async function readResource(
  resource: GpuResource,
  url: URL,
  variables: UriVariables,
  context: unknown,
  { notFound }: Pick<ResourceHost, 'notFound'>,
) {
  try {
    const flat = Object.fromEntries(Object.entries(variables).map(([key, value]) => [key, String(value)]));
    const text = await resource.read(flat, signalOf(context));
    return { contents: [{ uri: url.href, mimeType: resource.mimeType, text }] };
  } catch (error) {
    if (!isGpuError(error)) throw error;
    const message = `${error.message} ${error.hint}`.trim();
    throw namesNothing(error.code) && notFound ? notFound(url.href, message) : new Error(message);
  }
}

const namesNothing = (code: GpuErrorCode) => code === 'INVALID_INPUT' || code === 'GPU_NOT_FOUND';

function signalOf(context: unknown): AbortSignal | undefined {
  const host = context as { signal?: AbortSignal; mcpReq?: { signal?: AbortSignal } } | undefined;
  return host?.mcpReq?.signal ?? host?.signal;
}
