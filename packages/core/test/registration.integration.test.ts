import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { gpuPrompts } from '../src/prompts/gpu-prompts.ts';
import { stubProvider } from '../src/testing.ts';
import { type GpuTool, readOnlyAnnotations, type ToolContext } from '../src/tools/tool.ts';
import { h100Node } from './h100.ts';
import { type HostClient, hosts } from './mcp-hosts.ts';
import { fellOffTheBus, record, rig, turn } from './rig.ts';

const open: HostClient[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
});

type HostName = keyof typeof hosts;
const hostNames = Object.keys(hosts) as HostName[];

async function connect(name: HostName, tools: readonly GpuTool[] = rig().tools): Promise<HostClient> {
  const client = await hosts[name](tools);
  open.push(client);
  return client;
}

/** A tool that shows what its host gives it. */
function probe(run: (context: ToolContext) => Promise<void>): GpuTool {
  return {
    name: 'probe',
    title: 'Probe',
    description: 'Shows what a tool gets of its host.',
    inputSchema: z.strictObject({}),
    outputSchema: z.looseObject({}),
    annotations: readOnlyAnnotations,
    async call(_input, context = {}) {
      await run(context);
      return { isError: false, structuredContent: {}, text: '{}' };
    },
  };
}

test('all list the same tools', async () => {
  const [current, ...others] = await Promise.all(
    hostNames.map(async (name) => (await connect(name)).listTools()),
  );
  const withoutDefaults = (list: typeof current) =>
    list?.tools.map(({ execution: _, ...tool }) => ({
      ...tool,
      inputSchema: withoutDialect(tool['inputSchema']),
      outputSchema: withoutDialect(tool['outputSchema']),
    }));
  for (const other of others) expect(withoutDefaults(other)).toEqual(withoutDefaults(current));
  expect(current?.tools).toHaveLength(rig().tools.length);
});

/** The lines differ in whether they name the JSON Schema dialect, which is the default one. */
function withoutDialect(schema: unknown): unknown {
  const { $schema: _, ...rest } = schema as Record<string, unknown>;
  return rest;
}

describe.each(hostNames)('%s: tools', (host) => {
  test('are listed with a strict input schema, an output schema and all four hints', async () => {
    const { tools } = await (await connect(host)).listTools();
    expect(tools.map((tool) => tool['name'])).toEqual(rig().tools.map(({ name }) => name));
    for (const tool of tools) {
      expect(tool).toMatchObject({
        title: expect.any(String),
        description: expect.any(String),
        inputSchema: {
          type: 'object',
          additionalProperties: false,
          properties: { gpu: expect.any(Object), detail: { enum: ['summary', 'full'], default: 'summary' } },
        },
        outputSchema: { type: 'object', properties: { summary: { type: 'string' } } },
        annotations: {
          title: tool['title'],
          readOnlyHint: true,
          destructiveHint: false,
          idempotentHint: true,
          openWorldHint: false,
        },
      });
      expect(JSON.stringify(tool)).not.toContain('9007199254740991');
    }
  });

  test('answer with structured content and the same as text', async () => {
    const { tools } = rig({ log: [record(fellOffTheBus('0000:3a:00'))] });
    const result = await (await connect(host, tools)).callTool('get_gpu_health', { gpu: 2 });
    expect(result['isError']).toBeFalsy();
    expect(result['structuredContent']).toMatchObject({ verdict: 'critical', gpus: [{ index: 2 }] });
    const content = result['content'] as { type: string; text: string }[];
    expect(content).toHaveLength(1);
    expect(JSON.parse(content[0]?.text ?? '')).toEqual(result['structuredContent']);
  });

  test('every answer passes the output schema that the client checks', async () => {
    const { tools } = rig({ gpus: h100Node({}, 2), log: [record(fellOffTheBus('0000:18:00'))] });
    const client = await connect(host, tools);
    await client.listTools();
    for (const { name } of tools) {
      expect((await client.callTool(name, { detail: 'full' }))['isError'], name).toBeFalsy();
    }
  });

  test.each([
    [{ gup: 1 }, /^INVALID_INPUT: .*get_gpu_health.*"gup".*arguments are: gpu, since, detail/s],
    [{ gpu: -1 }, /^INVALID_INPUT: .*gpu = -1.*index \(0 to 1023\)/s],
    [{ detail: 'all' }, /^INVALID_INPUT: .*detail = "all".*"summary" or "full"/s],
    [{ gpu: 8 }, /^GPU_NOT_FOUND: .*GPUs 0 to 7.*get_gpu_inventory/s],
  ])('%j is our error, not one of the SDK, and the next call works', async (input, text) => {
    const client = await connect(host);
    const result = await client.callTool('get_gpu_health', input);
    expect(result['isError']).toBe(true);
    expect(result).not.toHaveProperty('structuredContent');
    expect((result['content'] as { text: string }[])[0]?.text).toMatch(text);
    expect((await client.callTool('get_gpu_health', {}))['isError']).toBeFalsy();
  });

  test("a client's cancellation reaches the tool's signal", async () => {
    let started = () => {};
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    let cancelled = () => {};
    const aborted = new Promise<void>((resolve) => {
      cancelled = resolve;
    });
    const tool = probe(({ signal }) => {
      if (!signal) throw new Error('no signal');
      signal.addEventListener('abort', cancelled);
      started();
      return aborted;
    });
    const client = await connect(host, [tool]);
    const controller = new AbortController();
    const call = client.callTool('probe', {}, { signal: controller.signal }).catch((error: unknown) => error);
    await running;
    controller.abort();
    await aborted;
    expect(await call).toBeInstanceOf(Error);
  });

  test('cancellation frees a tool that waits for a GPU', async () => {
    const provider = stubProvider({ gpus: h100Node({ 0: 'hang' }) });
    let released = false;
    const { readGpu } = provider;
    const watched: typeof provider = {
      ...provider,
      readGpu: (...args) => {
        args[2].addEventListener('abort', () => {
          released = true;
        });
        return readGpu(...args);
      },
    };
    const client = await connect(host, rig({ provider: watched }).tools);
    const controller = new AbortController();
    const call = client.callTool('get_gpu_telemetry', {}, { signal: controller.signal }).catch(() => {});
    while (provider.calls.readGpu < 8) await turn();
    controller.abort();
    await call;
    for (let wait = 0; !released && wait < 100; wait += 1) await turn();
    expect(released).toBe(true);
  });

  test('progress goes to a client that asked for it, and only then', async () => {
    const given: boolean[] = [];
    const tool = probe(async ({ progress }) => {
      given.push(progress !== undefined);
      progress?.(1, 2, 'half');
      await turn();
    });
    const client = await connect(host, [tool]);
    const heard: { progress: number; total?: number | undefined }[] = [];
    await client.callTool('probe', {}, { onprogress: (note) => heard.push(note) });
    await client.callTool('probe', {});
    expect(given).toEqual([true, false]);
    expect(heard).toMatchObject([{ progress: 1, total: 2 }]);
  });
});

describe.each(hostNames)('%s: resources', (host) => {
  test('are listed', async () => {
    const client = await connect(host);
    expect(await client.listResources()).toMatchObject({
      resources: [
        { uri: 'gpu://gpu-node-7/inventory', name: 'gpu-inventory', mimeType: 'application/json' },
        { uri: 'gpu://gpu-node-7/health', name: 'gpu-health' },
        { uri: 'gpu://gpu-node-7/xid', name: 'gpu-xid' },
      ],
    });
    expect(await client.listResourceTemplates()).toMatchObject({
      resourceTemplates: [
        { uriTemplate: 'gpu://gpu-node-7/gpus/{id}', name: 'gpu' },
        { uriTemplate: 'gpu://catalog/xid/{code}', name: 'xid-catalog' },
      ],
    });
  });

  test('are read as JSON', async () => {
    const client = await connect(host);
    const read = async (uri: string) => {
      const { contents } = (await client.readResource(uri)) as { contents: { uri: string; text: string }[] };
      expect(contents).toMatchObject([{ uri, mimeType: 'application/json' }]);
      return JSON.parse(contents[0]?.text ?? '') as unknown;
    };
    expect(await read('gpu://gpu-node-7/inventory')).toMatchObject({ gpuCount: 8 });
    expect(await read('gpu://catalog/xid/79')).toMatchObject({ code: 79 });
    expect(await read('gpu://gpu-node-7/gpus/3')).toMatchObject({ gpu: { index: 3 } });
    expect(await read('gpu://gpu-node-7/health')).toMatchObject({ verdict: expect.any(String) });
  });

  test.each(['gpu://catalog/xid/99999', 'gpu://catalog/xid/seventy-nine'])(
    '%s names nothing: the protocol error says so, and what there is',
    async (uri) => {
      const error = await (await connect(host)).readResource(uri).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Error);
      // -32002 up to 2025-11-25, -32602 from 2026-07-28.
      expect([-32002, -32602]).toContain((error as { code?: number }).code);
      expect((error as Error).message).toMatch(/not in the catalogue.*Codes are numbers/s);
    },
  );

  test('complete an Xid code', async () => {
    const { completion } = (await (await connect(host)).completeXid('7')) as {
      completion: { values: string[] };
    };
    expect(completion.values).toContain('79');
    expect(completion.values.every((value) => value.startsWith('7'))).toBe(true);
  });
});

describe.each(hostNames)('%s: prompts', (host) => {
  test('are listed with their arguments, and built', async () => {
    const client = await connect(host);
    const described = expect.any(String);
    expect(await client.listPrompts()).toMatchObject({
      prompts: gpuPrompts.map(({ name, argsSchema }) => ({
        name,
        arguments: Object.keys(argsSchema.shape).map((argument) => ({
          name: argument,
          description: described,
          required: false,
        })),
      })),
    });
    const prompt = await client.getPrompt('gpu-triage', { symptom: 'job died', gpu: '3' });
    expect(prompt).toMatchObject({
      messages: [{ role: 'user', content: { type: 'text', text: expect.stringContaining('"job died"') } }],
    });
  });

  test('refuse an argument that is too long', async () => {
    const call = (await connect(host)).getPrompt('gpu-triage', { symptom: 'x'.repeat(501) });
    await expect(call).rejects.toMatchObject({ code: -32602 });
  });
});
