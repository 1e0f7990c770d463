import { z } from 'zod';
import type { GpuPrompt } from '../prompts/prompt.ts';
import type { GpuResource } from '../resources/gpu-resources.ts';
import { resourceConfig } from '../resources/register.ts';
import type { GpuToolDescription } from '../tools/describe-gpu-tools.ts';
import { toolConfig } from '../tools/register.ts';
import type { ToolAnnotations } from '../tools/tool.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

export interface ListedTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: JsonSchema;
  readonly annotations: ToolAnnotations & { readonly title: string };
  readonly outputSchema: JsonSchema;
}

interface ListedResourceBase {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: string;
}
export type ListedResource = ListedResourceBase & { readonly uri: string };
export type ListedResourceTemplate = ListedResourceBase & { readonly uriTemplate: string };

export interface ListedPrompt {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly arguments: readonly {
    readonly name: string;
    readonly description?: string;
    readonly required: boolean;
  }[];
}

/**
 * All that a server says of itself before anything of it is called: what tools/list, resources/list, resources/templates/list and
 * prompts/list answer. Plain JSON, so that it can be kept beside a program and read without the tools.
 */
export interface ServerListing {
  readonly tools: readonly ListedTool[];
  readonly operatorTools: readonly ListedTool[];
  readonly resources: readonly ListedResource[];
  readonly resourceTemplates: readonly ListedResourceTemplate[];
  readonly prompts: readonly ListedPrompt[];
  /** Whether a template offers values for one of its variables (completion/complete). */
  readonly completesTemplates: boolean;
}

/** What can be listed of the parts of a server: descriptions will do. */
export interface ListedParts {
  readonly tools: readonly GpuToolDescription[];
  readonly operatorTools: readonly GpuToolDescription[];
  readonly resources: readonly Omit<GpuResource, 'read'>[];
  readonly prompts: readonly Omit<GpuPrompt, 'build'>[];
}

/** Converts every schema: once per process, not once per server object. */
export function listingOf({ tools, operatorTools, resources, prompts }: ListedParts): ServerListing {
  const templates = resources.filter(({ isTemplate }) => isTemplate);
  const listing = {
    tools: tools.map(listedTool),
    operatorTools: operatorTools.map(listedTool),
    resources: resources.filter(({ isTemplate }) => !isTemplate).map(listedResource),
    resourceTemplates: templates.map(listedTemplate),
    prompts: prompts.map(listedPrompt),
    completesTemplates: templates.some(({ complete }) => Object.keys(complete ?? {}).length > 0),
  };
  // What is left is what a client gets: no undefined members, nothing hidden.
  return JSON.parse(JSON.stringify(listing)) as ServerListing;
}

function listedTool(tool: GpuToolDescription): ListedTool {
  const { title, description, inputSchema, outputSchema, annotations } = toolConfig(tool);
  return {
    ...{ name: tool.name, title, description },
    inputSchema: inputJsonSchema(inputSchema),
    annotations,
    outputSchema: z.toJSONSchema(outputSchema, { ...dialect, io: 'output' }),
  };
}

const listedResource = (resource: Omit<GpuResource, 'read'>): ListedResource => ({
  ...{ uri: resource.uri, name: resource.name },
  ...resourceConfig(resource),
});

const listedTemplate = (resource: Omit<GpuResource, 'read'>): ListedResourceTemplate => ({
  ...{ name: resource.name, uriTemplate: resource.uri },
  ...resourceConfig(resource),
});

function listedPrompt({ name, title, description, argsSchema }: Omit<GpuPrompt, 'build'>): ListedPrompt {
  const { properties = {}, required = [] } = inputJsonSchema(argsSchema);
  const listed = Object.entries(properties).map(([argument, property]) => ({
    name: argument,
    ...(typeof property === 'object' && property.description ? { description: property.description } : {}),
    required: required.includes(argument),
  }));
  return { name, title, description, arguments: listed };
}

/** The dialect of MCP's schemas where `$schema` says nothing else (specification, basic protocol, JSON Schema usage). */
const dialect = { target: 'draft-2020-12' } as const;

const inputJsonSchema = (schema: z.ZodObject) => ({
  type: 'object' as const,
  ...z.toJSONSchema(schema, { ...dialect, io: 'input' }),
});
