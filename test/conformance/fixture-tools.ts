import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  fromJsonSchema,
  inputRequired,
  inputResponse,
  type JsonSchemaType,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';

/** A PNG of one red pixel and a WAV of no samples: the smallest files that decode. */
export const RED_PIXEL_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const SILENT_WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=';

const NAME_SCHEMA = {
  type: 'object' as const,
  properties: { name: { type: 'string' as const } },
  required: ['name'],
};

export const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

export interface ChangeNotifier {
  toolsChanged(): void;
  promptsChanged(): void;
}

/** Tools that answer with fixed content. Names and contents are what the suite's scenarios ask for. */
function registerContentTools(server: McpServer): void {
  const image = { type: 'image' as const, data: RED_PIXEL_PNG, mimeType: 'image/png' };
  // The planted fault shows that the suite turns red.
  const simpleText = process.argv.includes('--planted-fault')
    ? { content: [] }
    : text('This is a simple text response for testing.');
  server.registerTool('test_simple_text', { description: 'Answers with text' }, () => simpleText);
  server.registerTool('test_image_content', { description: 'Answers with an image' }, () => ({
    content: [image],
  }));
  server.registerTool('test_audio_content', { description: 'Answers with audio' }, () => ({
    content: [{ type: 'audio', data: SILENT_WAV, mimeType: 'audio/wav' }],
  }));
  server.registerTool('test_embedded_resource', { description: 'Answers with a resource' }, () => ({
    content: [
      {
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      },
    ],
  }));
  server.registerTool('test_multiple_content_types', { description: 'Answers with several kinds' }, () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: JSON.stringify({ test: 'data', value: 123 }),
        },
      },
    ],
  }));
  server.registerTool('test_error_handling', { description: 'Always fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  server.registerTool(
    'json_schema_2020_12_tool',
    { description: 'Tool with JSON Schema 2020-12 features', inputSchema: fromJsonSchema(SCHEMA_2020_12) },
    () => text('ok'),
  );
  server.registerTool(
    'test_header_param',
    {
      description: 'Mirrors an argument into a request header',
      inputSchema: fromJsonSchema({
        type: 'object',
        properties: { region: HEADER_PARAMETER },
      }),
    },
    () => text('ok'),
  );
}

/** Tools that report while they run. */
function registerReportingTools(server: McpServer, changes: ChangeNotifier): void {
  server.registerTool('test_tool_with_progress', { description: 'Reports progress' }, async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await ctx.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100 },
        });
      await delay(50);
    }
    return text('Progress reported');
  });
  server.registerTool('test_tool_with_logging', { description: 'Logs while it runs' }, async (ctx) => {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await ctx.mcpReq.log('info', line);
      await delay(50);
    }
    return text('Logged');
  });
  server.registerTool('test_logging_tool', { description: 'Logs one line' }, async (ctx) => {
    await ctx.mcpReq.log('info', 'one line');
    return text('Logged');
  });
  server.registerTool(
    'test_reconnection',
    { description: 'Closes its stream while it runs' },
    async (ctx) => {
      ctx.http?.closeSSE?.();
      await delay(100);
      return text('Reconnected');
    },
  );
  server.registerTool('test_trigger_tool_change', { description: 'Announces a changed tool list' }, () => {
    changes.toolsChanged();
    return text('Announced');
  });
  server.registerTool(
    'test_trigger_prompt_change',
    { description: 'Announces a changed prompt list' },
    () => {
      changes.promptsChanged();
      return text('Announced');
    },
  );
}

/** Tools that ask the client while the call is open: the 2025-era way. */
function registerAskingTools(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: 'Asks the model of the client', inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, ctx) => {
      const answer = await ctx.mcpReq.requestSampling({
        messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
        maxTokens: 100,
      });
      return text(`LLM response: ${JSON.stringify(answer.content)}`);
    },
  );
  server.registerTool(
    'test_elicitation',
    { description: 'Asks the user', inputSchema: z.object({ message: z.string() }) },
    async ({ message }, ctx) => {
      const answer = await ctx.mcpReq.elicitInput({
        message,
        requestedSchema: {
          type: 'object',
          properties: {
            username: { type: 'string', description: "User's response" },
            email: { type: 'string', description: "User's email address" },
          },
          required: ['username', 'email'],
        },
      });
      return text(`User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
    },
  );
  const elicitWith = (
    name: string,
    properties: Parameters<ServerContext['mcpReq']['elicitInput']>[0] extends infer P
      ? P extends { requestedSchema: { properties: infer Q } }
        ? Q
        : never
      : never,
  ) =>
    server.registerTool(name, { description: 'Asks the user with a rich form' }, async (ctx) => {
      const answer = await ctx.mcpReq.elicitInput({
        message: 'Please fill in the form',
        requestedSchema: { type: 'object', properties },
      });
      return text(
        `Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`,
      );
    });
  elicitWith('test_elicitation_sep1034_defaults', {
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
  });
  const titled = (noun: string) => [
    { const: 'value1', title: `First ${noun}` },
    { const: 'value2', title: `Second ${noun}` },
    { const: 'value3', title: `Third ${noun}` },
  ];
  const options = ['option1', 'option2', 'option3'];
  elicitWith('test_elicitation_sep1330_enums', {
    untitledSingle: { type: 'string', enum: options },
    titledSingle: { type: 'string', oneOf: titled('Option') },
    legacyEnum: {
      type: 'string',
      enum: ['opt1', 'opt2', 'opt3'],
      enumNames: ['Option One', 'Option Two', 'Option Three'],
    },
    untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
    titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
  });
}

function declaredCapabilities(ctx: ServerContext): ClientCapabilities | undefined {
  const envelope: Record<string, unknown> = { ...ctx.mcpReq.envelope };
  return envelope[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined;
}

/** Tools that return what they need to know: the 2026-07-28 way. */
function registerInputRequiredTools(server: McpServer, state: RequestStateCodec<string>): void {
  const register = (
    name: string,
    handler: (ctx: ServerContext) => Promise<ReturnType<typeof inputRequired> | ReturnType<typeof text>>,
  ) => server.registerTool(name, { description: 'Needs input before it can answer' }, handler);
  const askName = inputRequired.elicit({ message: 'What is your name?', requestedSchema: NAME_SCHEMA });
  const confirm = inputRequired.elicit({
    message: 'Please confirm',
    requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
  });
  const ask = (question: string, maxTokens: number) =>
    inputRequired.createMessage({
      messages: [{ role: 'user', content: { type: 'text', text: question } }],
      maxTokens,
    });
  const answered = (ctx: ServerContext, key: string) =>
    inputResponse(ctx.mcpReq.inputResponses, key).kind !== 'missing';

  register('test_input_required_result_elicitation', async (ctx) => {
    const given = acceptedContent(ctx.mcpReq.inputResponses, 'user_name', z.object({ name: z.string() }));
    return given === undefined
      ? inputRequired({ inputRequests: { user_name: askName } })
      : text(`Hello, ${given.name}!`);
  });
  register('test_input_required_result_sampling', async (ctx) =>
    answered(ctx, 'capital_question')
      ? text(`Answer: ${JSON.stringify(ctx.mcpReq.inputResponses?.['capital_question'])}`)
      : inputRequired({ inputRequests: { capital_question: ask('What is the capital of France?', 100) } }),
  );
  register('test_input_required_result_list_roots', async (ctx) =>
    answered(ctx, 'client_roots')
      ? text(`Roots: ${JSON.stringify(ctx.mcpReq.inputResponses?.['client_roots'])}`)
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } }),
  );
  for (const name of [
    'test_input_required_result_request_state',
    'test_input_required_result_tampered_state',
  ])
    register(name, async (ctx) => {
      if (answered(ctx, 'confirm') && ctx.mcpReq.requestState<string>() === name) return text('state-ok');
      return inputRequired({ inputRequests: { confirm }, requestState: await state.mint(name, ctx) });
    });
  register('test_input_required_result_multiple_inputs', async (ctx) => {
    if (['user_name', 'greeting', 'client_roots'].every((key) => answered(ctx, key)))
      return text('All answered');
    return inputRequired({
      inputRequests: {
        user_name: askName,
        greeting: ask('Generate a greeting', 50),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await state.mint('multiple', ctx),
    });
  });
  register('test_input_required_result_multi_round', async (ctx) => {
    const round = ctx.mcpReq.requestState<string>();
    if (round === 'round-2' && answered(ctx, 'step2')) return text('Both rounds answered');
    if (round === 'round-1' && answered(ctx, 'step1')) {
      const step2 = inputRequired.elicit({
        message: 'Step 2: What is your favorite color?',
        requestedSchema: { type: 'object', properties: { color: { type: 'string' } }, required: ['color'] },
      });
      return inputRequired({ inputRequests: { step2 }, requestState: await state.mint('round-2', ctx) });
    }
    const step1 = inputRequired.elicit({
      message: 'Step 1: What is your name?',
      requestedSchema: NAME_SCHEMA,
    });
    return inputRequired({ inputRequests: { step1 }, requestState: await state.mint('round-1', ctx) });
  });
  register('test_input_required_result_capabilities', async (ctx) => {
    const declared = declaredCapabilities(ctx);
    return inputRequired({
      inputRequests: {
        ...(declared?.elicitation === undefined ? {} : { user_name: askName }),
        ...(declared?.sampling === undefined ? {} : { greeting: ask('Generate a greeting', 50) }),
      },
    });
  });
  register('test_streaming_elicitation', async () =>
    inputRequired({ inputRequests: { user_name: askName } }),
  );
  // Asking a client for what it did not declare is refused by the SDK with -32021; that refusal is what is tested.
  register('test_missing_capability', async () =>
    inputRequired({ inputRequests: { greeting: ask('Generate a greeting', 50) } }),
  );
}

/** The suite's `json-schema-2020-12` scenario compares this with what `tools/list` answers. */
const SCHEMA_2020_12: JsonSchemaType = JSON.parse(
  readFileSync(new URL('../fixtures/json-schema-2020-12.json', import.meta.url), 'utf8'),
);
/** A JSON Schema keyword of MCP's own (SEP-2243), which the schema type does not know. */
const HEADER_PARAMETER = { type: 'string' as const, 'x-mcp-header': 'Region' };

export function registerFixtureTools(
  server: McpServer,
  state: RequestStateCodec<string>,
  changes: ChangeNotifier,
): void {
  registerContentTools(server);
  registerReportingTools(server, changes);
  registerAskingTools(server);
  registerInputRequiredTools(server, state);
}
