/**
 * A server made of this project's transports and the fixture tools, resources and prompts that the official MCP
 * conformance suite asks for. Development only. `node dist/fixture-server.js --port N` serves HTTP, without it stdio.
 */
import { randomBytes } from 'node:crypto';
import { serveHttp } from '@k8s-gpu-mcp/transport-http';
import { serveStdio } from '@k8s-gpu-mcp/transport-stdio';
import {
  acceptedContent,
  completable,
  createRequestStateCodec,
  inputRequired,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { type ChangeNotifier, RED_PIXEL_PNG, registerFixtureTools } from './fixture-tools.ts';

const state = createRequestStateCodec<string>({ key: randomBytes(32) });
/** 2026-07-28 clients over HTTP are notified through the transport: no server object outlives its request. */
let publish: ChangeNotifier | undefined;

function registerResources(server: McpServer): void {
  server.registerResource(
    'static-text',
    'test://static-text',
    { description: 'A fixed text', mimeType: 'text/plain' },
    (uri) => ({
      contents: [
        { uri: uri.href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
      ],
    }),
  );
  server.registerResource(
    'static-binary',
    'test://static-binary',
    { description: 'A fixed image', mimeType: 'image/png' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'image/png', blob: RED_PIXEL_PNG }] }),
  );
  server.registerResource(
    'watched-resource',
    'test://watched-resource',
    { description: 'A resource to subscribe to', mimeType: 'text/plain' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'Watched' }] }),
  );
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { description: 'A resource by id', mimeType: 'application/json' },
    (uri, { id }) => ({
      contents: [
        {
          uri: uri.href,
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }),
        },
      ],
    }),
  );
}

function registerPrompts(server: McpServer): void {
  const user = (value: string) => ({
    role: 'user' as const,
    content: { type: 'text' as const, text: value },
  });
  server.registerPrompt('test_simple_prompt', { description: 'A fixed prompt' }, () => ({
    messages: [user('This is a simple prompt for testing.')],
  }));
  const words = (value: string) => ['paris', 'park', 'party'].filter((word) => word.startsWith(value));
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'A prompt with arguments',
      argsSchema: z.object({ arg1: completable(z.string(), words), arg2: z.string() }),
    },
    ({ arg1, arg2 }) => ({ messages: [user(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt with a resource', argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: {
              uri: resourceUri,
              mimeType: 'text/plain',
              text: 'Embedded resource content for testing.',
            },
          },
        },
        user('Please process the embedded resource above.'),
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: RED_PIXEL_PNG, mimeType: 'image/png' } },
      user('Please analyze the image above.'),
    ],
  }));
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description: 'A prompt that asks first' },
    (ctx) => {
      const given = acceptedContent(
        ctx.mcpReq.inputResponses,
        'user_context',
        z.object({ context: z.string() }),
      );
      if (given !== undefined) return { messages: [user(`Context: ${given.context}`)] };
      return inputRequired({
        inputRequests: {
          user_context: inputRequired.elicit({
            message: 'What context should the prompt use?',
            requestedSchema: {
              type: 'object',
              properties: { context: { type: 'string' } },
              required: ['context'],
            },
          }),
        },
      });
    },
  );
}

export function createFixtureServer(context: { readonly era: 'legacy' | 'modern' }): McpServer {
  const server = new McpServer(
    { name: 'k8s-gpu-mcp-conformance-fixture', version: '0.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
      },
      requestState: { verify: state.verify },
    },
  );
  const ownConnection: ChangeNotifier = {
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
  };
  registerFixtureTools(server, state, {
    toolsChanged: () => (publish ?? ownConnection).toolsChanged(),
    promptsChanged: () => (publish ?? ownConnection).promptsChanged(),
  });
  registerResources(server);
  registerPrompts(server);
  if (context.era === 'legacy') {
    server.server.setRequestHandler('resources/subscribe', () => ({}));
    server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  }
  return server;
}

const portFlag = process.argv.indexOf('--port');
if (portFlag === -1) {
  const { closed } = serveStdio(createFixtureServer);
  await closed;
  process.exit(0);
} else {
  const serving = await serveHttp(createFixtureServer, { port: Number(process.argv[portFlag + 1]) });
  publish = serving.notify;
  process.stderr.write(`listening on ${serving.url}\n`);
  process.once('SIGTERM', () => {
    serving.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
