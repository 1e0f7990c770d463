import type { GpuServerParts } from '../register-gpu-server.ts';
import type { CompletionContext } from '../resources/gpu-resources.ts';
import { invalidParams } from './protocol-error.ts';

export interface CompletionRequest {
  readonly params: {
    readonly ref:
      | { readonly type: 'ref/prompt'; readonly name: string }
      | { readonly type: 'ref/resource'; readonly uri: string };
    readonly argument: { readonly name: string; readonly value: string };
    readonly context?: CompletionContext;
  };
}

/** Source: MCP specification, completion/complete: at most 100 values per answer. */
const maximumValues = 100;

const nothing = { completion: { values: [], hasMore: false } };

/** The values to offer for a variable of a resource template. The arguments of prompts have none. */
export async function complete(
  { ref, argument, context }: CompletionRequest['params'],
  { resources, prompts }: Pick<GpuServerParts, 'resources' | 'prompts'>,
) {
  if (ref.type === 'ref/prompt') {
    if (prompts.some(({ name }) => name === ref.name)) return nothing;
    throw invalidParams(`Prompt ${ref.name} not found`);
  }
  const resource = resources.find(({ uri }) => uri === ref.uri);
  if (resource === undefined) throw invalidParams(`Resource template ${ref.uri} not found`);
  const completer = ownMember(resource.complete, argument.name);
  if (completer === undefined) return nothing;
  const values = await completer(argument.value, context);
  return {
    completion: {
      values: values.slice(0, maximumValues),
      total: values.length,
      hasMore: values.length > maximumValues,
    },
  };
}

/** What a client names is a member of the object's own, or none. */
const ownMember = <Value>(object: Readonly<Record<string, Value>> | undefined, name: string) =>
  object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
