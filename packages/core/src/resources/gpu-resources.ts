import { GpuError } from '../errors.ts';
import type { NodeEventFeed } from '../events/event-feed.ts';
import { type Clock, systemClock } from '../ports/runtime.ts';
import type { GpuTool } from '../tools/tool.ts';
import { actionOfXid, findXid, xidCatalogue } from '../xid/catalogue.ts';
import { asked, gpuIds, readGpu } from './gpu-resource.ts';
import { presentFeed } from './present-feed.ts';
import { decoded, nodeResourceUris } from './uris.ts';

/** What the client chose already while it completes a variable. */
export interface CompletionContext {
  /** Values of the template's other variables. */
  readonly arguments?: Readonly<Record<string, string>>;
}

/** A resource as data, free of any SDK. */
export interface GpuResource {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: 'application/json';
  /** A URI, or an RFC 6570 template when it has variables. */
  readonly uri: string;
  readonly isTemplate: boolean;
  /** Values to offer for a variable that begins with what was typed. */
  readonly complete?: Readonly<
    Record<
      string,
      (typed: string, context?: CompletionContext) => readonly string[] | Promise<readonly string[]>
    >
  >;
  /**
   * The JSON text at a URI.
   * @throws GpuError when the URI names nothing; its message says what exists.
   */
  read(variables: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<string>;
}

export interface GpuResourceOptions {
  readonly nodeName: string;
  readonly tools: readonly GpuTool[];
  /** The live events of the node. Without it there is no resource of events. */
  readonly feed?: Pick<NodeEventFeed, 'read'>;
  readonly clock?: Pick<Clock, 'now'>;
}

const json = { mimeType: 'application/json', isTemplate: false } as const;
const jsonTemplate = { mimeType: 'application/json', isTemplate: true } as const;

/** The resources of a node: what its tools answer, each of its GPUs, its live events, and the Xid catalogue. */
export function createGpuResources(options: GpuResourceOptions): readonly GpuResource[] {
  const { nodeName, tools, feed, clock = systemClock } = options;
  const uris = nodeResourceUris(nodeName);
  const answerOf = (tool: string, signal: AbortSignal | undefined) => asked(tools, tool, {}, signal);
  return [
    {
      ...json,
      name: 'gpu-inventory',
      title: `GPU inventory of ${nodeName}`,
      description: 'The answer of get_gpu_inventory.',
      uri: uris.inventory,
      read: async (_variables, signal) => (await answerOf('get_gpu_inventory', signal)).text,
    },
    {
      ...json,
      name: 'gpu-health',
      title: `GPU health of ${nodeName}`,
      description: 'The answer of get_gpu_health. Changes are notified.',
      uri: uris.health,
      read: async (_variables, signal) => (await answerOf('get_gpu_health', signal)).text,
    },
    {
      ...json,
      name: 'gpu-xid',
      title: `Kernel-log GPU errors of ${nodeName}`,
      description: 'The answer of analyze_xid_errors. Changes are notified.',
      uri: uris.xid,
      read: async (_variables, signal) => (await answerOf('analyze_xid_errors', signal)).text,
    },
    ...(feed
      ? [
          {
            ...json,
            name: 'gpu-events',
            title: `Live GPU events of ${nodeName}`,
            description:
              'Events of driver and kernel log since somebody began to listen, oldest first. Subscribe to hear of each; the past is in the xid resource.',
            uri: uris.events,
            read: async () => JSON.stringify(presentFeed(feed.read(), nodeName, clock.now())),
          },
        ]
      : []),
    {
      ...jsonTemplate,
      name: 'gpu',
      title: `One GPU of ${nodeName}`,
      description:
        'Identity, verdict with findings, and main readings of one GPU, by index, UUID or PCI address. Changes are notified.',
      uri: uris.gpuTemplate,
      complete: { id: (typed) => gpuIds(tools, typed) },
      read: async ({ id = '' }, signal) => JSON.stringify(await readGpu(tools, decoded(id) ?? id, signal)),
    },
    {
      ...jsonTemplate,
      name: 'xid-catalog',
      title: 'Xid catalogue entry',
      description: 'Meaning, severity, vendor action and our action of one Xid code.',
      uri: 'gpu://catalog/xid/{code}',
      complete: {
        code: (typed) =>
          xidCatalogue.map((entry) => String(entry.code)).filter((code) => code.startsWith(typed)),
      },
      async read({ code = '' }) {
        const entry = /^\d{1,4}$/.test(code) ? findXid(Number(code)) : undefined;
        if (entry) return JSON.stringify({ ...entry, action: actionOfXid(entry) });
        throw new GpuError(
          'INVALID_INPUT',
          `Xid ${JSON.stringify(code.slice(0, 20))} is not in the catalogue.`,
          {
            hint: `Codes are numbers from ${xidCatalogue[0]?.code} to ${xidCatalogue.at(-1)?.code}.`,
          },
        );
      },
    },
  ];
}
