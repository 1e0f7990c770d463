import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createGpuResources } from '../resources/gpu-resources.ts';
import { describeGpuTools, describeOperatorTools } from '../tools/describe-gpu-tools.ts';
import { readOnlyAnnotations } from '../tools/tool.ts';
import { type ListedParts, listingOf } from './listing.ts';

const nothing: ListedParts = { tools: [], operatorTools: [], resources: [], prompts: [] };
const tool = {
  name: 'probe',
  title: 'Probe',
  description: 'Looks.',
  inputSchema: z.strictObject({ gpu: z.int().optional().describe('Which.') }),
  outputSchema: z.looseObject({ seen: z.boolean() }),
  annotations: readOnlyAnnotations,
};

describe('listingOf', () => {
  test('has what tools/list shows of a tool', () => {
    // Source: MCP specification, Tool; JSON Schema 2020-12.
    expect(listingOf({ ...nothing, tools: [tool] }).tools).toEqual([
      {
        name: 'probe',
        title: 'Probe',
        description: 'Looks.',
        inputSchema: {
          $schema: 'https://json-schema.org/draft/2020-12/schema',
          type: 'object',
          properties: {
            gpu: {
              type: 'integer',
              description: 'Which.',
              minimum: Number.MIN_SAFE_INTEGER,
              maximum: Number.MAX_SAFE_INTEGER,
            },
          },
          additionalProperties: false,
        },
        outputSchema: {
          $schema: 'https://json-schema.org/draft/2020-12/schema',
          type: 'object',
          properties: { seen: { type: 'boolean' } },
          required: ['seen'],
          additionalProperties: {},
        },
        annotations: {
          title: 'Probe',
          readOnlyHint: true,
          destructiveHint: false,
          idempotentHint: true,
          openWorldHint: false,
        },
      },
    ]);
  });

  test('has the arguments of a prompt, and which it must have', () => {
    const argsSchema = z.object({ gpu: z.string().describe('Which.'), since: z.string().optional() });
    const prompt = { name: 'look', title: 'Look', description: 'Looks.', argsSchema };
    expect(listingOf({ ...nothing, prompts: [prompt] }).prompts).toEqual([
      {
        name: 'look',
        title: 'Look',
        description: 'Looks.',
        arguments: [
          { name: 'gpu', description: 'Which.', required: true },
          { name: 'since', required: false },
        ],
      },
    ]);
  });

  test('tells resources, templates and whether one of these completes its variables', () => {
    const resources = createGpuResources({ nodeName: 'n', tools: [] });
    const listing = listingOf({ ...nothing, resources });
    expect(listing.resources.map(({ uri }) => uri)).toEqual([
      'gpu://n/inventory',
      'gpu://n/health',
      'gpu://n/xid',
    ]);
    expect(listing.resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'gpu://n/gpus/{id}',
      'gpu://catalog/xid/{code}',
    ]);
    expect(listing.completesTemplates).toBe(true);
    const fixed = resources.filter(({ isTemplate }) => !isTemplate);
    expect(listingOf({ ...nothing, resources: fixed }).completesTemplates).toBe(false);
  });

  test('is plain JSON: it can be written and read again', () => {
    const resources = createGpuResources({ nodeName: 'n', tools: [] });
    const operatorTools = describeOperatorTools();
    const listing = listingOf({ ...nothing, tools: describeGpuTools(), operatorTools, resources });
    expect(JSON.parse(JSON.stringify(listing))).toStrictEqual(listing);
    // Planted fault: an undefined member does not survive, and the same look finds it.
    const hidden = { ...listing, completesTemplates: undefined };
    expect(JSON.parse(JSON.stringify(hidden))).not.toStrictEqual(hidden);
  });
});
