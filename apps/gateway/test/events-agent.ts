// A small agent that offers live events, made of the SDK's servers, in one of the two eras of the protocol.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  createMcpHandler,
  isInitializeRequest,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { bodyOf, fakeServer, json, type Message } from './agent-client-rig.ts';

export const eras = ['2026-07-28', 'older revisions'] as const;
export type Era = (typeof eras)[number];

export const eventOf = (id: number, more: Readonly<Record<string, unknown>> = {}) => ({
  id,
  revision: 0,
  kind: 'xid',
  sources: ['kernel-log'],
  at: `2026-01-01T00:00:${String(id % 60).padStart(2, '0')}.000Z`,
  repeatCount: 1,
  xid: 79,
  gpu: { index: 3, uuid: 'GPU-00000000-0000-0000-0000-000000000003' },
  pciAddress: '0000:1b:00',
  title: 'GPU has fallen off the bus',
  severity: 'fatal',
  verdict: 'critical',
  action: 'reboot-node',
  trusted: true,
  raw: `NVRM: Xid (PCI:0000:1b:00): 79, ${id}`,
  ...more,
});

export const documentOf = (events: readonly unknown[], more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'v1',
  node: 'the name it was started with',
  observedAt: '2026-01-01T00:01:00.000Z',
  summary: 'ignore me',
  listeningSince: '2026-01-01T00:00:00.000Z',
  events,
  lost: 0,
  notices: [],
  ...more,
});

export interface EventsAgentOptions {
  readonly era: Era;
  readonly uri?: string;
  /** Without subscriptions, as an agent of another version. */
  readonly isDeaf?: boolean;
}

/** Serves what `set` was given last, and says so to whoever subscribed. */
export async function startEventsAgent({
  era,
  uri = 'gpu://its-own-name/events',
  isDeaf = false,
}: EventsAgentOptions) {
  let text = JSON.stringify(documentOf([]));
  const seen = { reads: 0, tokens: [] as (string | undefined)[], streams: 0, deletes: 0 };
  const streams = new Set<ServerResponse>();
  const subscribed = new Set<McpServer>();

  const newServer = () => {
    const server = new McpServer({ name: 'events-agent', version: '0' });
    server.registerResource('noise', 'gpu://its-own-name/inventory', {}, async (at) => ({
      contents: [{ uri: at.href, text: '{}' }],
    }));
    server.registerResource('events', uri, { mimeType: 'application/json' }, async (at) => {
      seen.reads += 1;
      return { contents: [{ uri: at.href, mimeType: 'application/json', text }] };
    });
    server.registerTool('get_gpu_health', {}, async () => ({
      content: [],
      structuredContent: { verdict: 'ok' },
    }));
    if (isDeaf) return server;
    server.server.registerCapabilities({ resources: { subscribe: true } });
    server.server.setRequestHandler('resources/subscribe', async () => {
      subscribed.add(server);
      return {};
    });
    return server;
  };

  const modern = createMcpHandler(newServer, { legacy: 'reject' });
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const legacy = async (request: Request, body: unknown) => {
    const known = sessions.get(request.headers.get('mcp-session-id') ?? '');
    if (known) return known.handleRequest(request, { parsedBody: body });
    if (!isInitializeRequest(body)) return new Response(null, { status: 404 });
    const transport: WebStandardStreamableHTTPServerTransport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await newServer().connect(transport);
    return transport.handleRequest(request, { parsedBody: body });
  };

  const server = await fakeServer(async (incoming, response) => {
    const content = await bodyOf(incoming);
    const message = content === '' ? undefined : (JSON.parse(content) as Message);
    seen.tokens.push(incoming.headers.authorization);
    if (incoming.method === 'DELETE') seen.deletes += 1;
    const isStream = incoming.method === 'GET' || message?.method === 'subscriptions/listen';
    if (isStream) {
      seen.streams += 1;
      streams.add(response);
      response.on('close', () => streams.delete(response));
    }
    if (era !== '2026-07-28' && message?.method === 'server/discover')
      return json(response, { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'no' } });
    const request = requestOf(incoming, response, content);
    await answer(
      response,
      era === '2026-07-28'
        ? await modern.fetch(request, message === undefined ? {} : { parsedBody: message })
        : await legacy(request, message),
    );
  });

  return {
    url: server.url,
    seen,
    /** Streams of notifications that are open now. */
    openStreams: () => streams.size,
    setText(next: string) {
      text = next;
      modern.notify.resourceUpdated(uri);
      for (const each of subscribed) void each.server.sendResourceUpdated({ uri }).catch(() => {});
    },
    set(events: readonly unknown[], more: Readonly<Record<string, unknown>> = {}) {
      this.setText(JSON.stringify(documentOf(events, more)));
    },
    /** Changes what is read without telling. */
    setSilently(events: readonly unknown[]) {
      text = JSON.stringify(documentOf(events));
    },
    dropStreams() {
      for (const stream of streams) stream.destroy();
    },
    /** Sends bytes on every open stream. */
    write(bytes: string) {
      for (const stream of streams) stream.write(bytes);
    },
    close: server.close,
  };
}

function requestOf(incoming: IncomingMessage, response: ServerResponse, content: string): Request {
  const controller = new AbortController();
  response.on('close', () => controller.abort());
  const { method = 'GET', headers } = incoming;
  return new Request(`http://agent${incoming.url}`, {
    method,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as [string, string]] : [],
    ),
    signal: controller.signal,
    ...(content === '' ? {} : { body: content }),
  });
}

async function answer(response: ServerResponse, { status, headers, body }: Response): Promise<void> {
  response.writeHead(status, Object.fromEntries(headers));
  response.flushHeaders();
  try {
    for await (const part of body ?? []) response.write(part);
  } catch {
    // The client went away.
  }
  response.end();
}
