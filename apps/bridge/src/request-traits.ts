import {
  type JSONRPCMessage,
  type JSONRPCRequest,
  type JSONRPCResponse,
  PROTOCOL_VERSION_META_KEY,
} from '@modelcontextprotocol/client';

const maxTools = 10_000;

/** Requests that change nothing, of both eras. `subscriptions/listen` is not here: a client must know that it missed something. */
const readingMethods: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'prompts/list',
  'prompts/get',
  'completion/complete',
]);

/**
 * The revision that a message names itself, as every request of 2026-07-28 and later does; undefined in the era of
 * `initialize` and sessions.
 */
export function ownProtocolVersion(message: JSONRPCMessage): string | undefined {
  if (!('method' in message)) return undefined;
  const version = message.params?.['_meta']?.[PROTOCOL_VERSION_META_KEY];
  return typeof version === 'string' ? version : undefined;
}

/** Knows from the tool lists that pass through which tools only read. */
export class RetrySafety {
  readonly #readingTools = new Set<string>();

  note(request: JSONRPCRequest, response: JSONRPCResponse): void {
    if (request.method !== 'tools/list' || !('result' in response)) return;
    const tools: unknown = response.result['tools'];
    if (!Array.isArray(tools)) return;
    for (const tool of tools.slice(0, maxTools)) this.#noteTool(tool);
  }

  /** Whether sending the request twice does what sending it once does. */
  allows(request: JSONRPCRequest): boolean {
    if (request.method !== 'tools/call') return readingMethods.has(request.method);
    const name: unknown = request.params?.['name'];
    return typeof name === 'string' && this.#readingTools.has(name);
  }

  #noteTool(tool: unknown): void {
    if (typeof tool !== 'object' || tool === null || !('name' in tool)) return;
    const { name } = tool;
    if (typeof name !== 'string') return;
    const annotations: unknown = 'annotations' in tool ? tool.annotations : undefined;
    const isReading =
      typeof annotations === 'object' &&
      annotations !== null &&
      'readOnlyHint' in annotations &&
      annotations.readOnlyHint === true;
    if (!isReading) this.#readingTools.delete(name);
    else if (this.#readingTools.size < maxTools) this.#readingTools.add(name);
  }
}
