import {
  type JSONRPCMessage,
  type JSONRPCRequest,
  SUBSCRIPTION_ID_META_KEY,
} from '@modelcontextprotocol/server';
import { isNotification } from './message-kinds.ts';

/** Resources that one `subscriptions/listen` may name. */
export const MAX_LISTENED_RESOURCES = 64;

/** The resources that the open `subscriptions/listen` requests of a connection listen to, read off the messages that pass. */
export class ListenedResources {
  readonly #byId = new Map<unknown, readonly string[]>();

  /** Of all of them together. */
  get uris(): readonly string[] {
    return [...new Set([...this.#byId.values()].flat())];
  }

  /** Takes a message that is sent; true when it says that one more is listened to, and to what. */
  began(message: JSONRPCMessage): boolean {
    if (!isNotification(message) || message.method !== 'notifications/subscriptions/acknowledged')
      return false;
    const uris = resourcesIn(message.params);
    if (uris.length === 0) return false;
    this.#byId.set(message.params?._meta?.[SUBSCRIPTION_ID_META_KEY], uris);
    return true;
  }

  /** Takes the id of a request that is cancelled; true when it listened. */
  ended(id: unknown): boolean {
    return this.#byId.delete(id);
  }

  /** True when something was listened to. */
  clear(): boolean {
    const hadSome = this.#byId.size > 0;
    this.#byId.clear();
    return hadSome;
  }
}

export function listensToTooMuch({ method, params }: JSONRPCRequest): boolean {
  return method === 'subscriptions/listen' && resourcesIn(params).length > MAX_LISTENED_RESOURCES;
}

function resourcesIn(params: unknown): readonly string[] {
  const uris = memberOf(memberOf(params, 'notifications'), 'resourceSubscriptions');
  return Array.isArray(uris) ? [...new Set(uris.filter((uri) => typeof uri === 'string'))] : [];
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
