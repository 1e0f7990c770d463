import type { JSONRPCMessage, JSONRPCRequest, JSONRPCResponse } from '@modelcontextprotocol/client';

const maxSubscriptions = 1_000;
export const initialized: JSONRPCMessage = { jsonrpc: '2.0', method: 'notifications/initialized' };

/** Requests whose effect lives in a session of the era of `initialize`, without those that a later one replaced. */
export class SessionState {
  readonly #requests = new Map<string, JSONRPCRequest>();

  get requests(): readonly JSONRPCRequest[] {
    return [...this.#requests.values()];
  }

  note(request: JSONRPCRequest, response: JSONRPCResponse): void {
    if (!('result' in response)) return;
    const uri: unknown = request.params?.['uri'];
    if (request.method === 'logging/setLevel') this.#requests.set('level', request);
    else if (request.method === 'resources/subscribe' && this.#requests.size < maxSubscriptions)
      this.#requests.set(`uri ${uri}`, request);
    else if (request.method === 'resources/unsubscribe') this.#requests.delete(`uri ${uri}`);
  }
}
