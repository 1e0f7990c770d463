import type {
  JSONRPCErrorResponse,
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  JSONRPCResultResponse,
} from '@modelcontextprotocol/server';

// The kind of a message that is known to be one, by the members that tell the kinds apart (JSON-RPC 2.0, sections 4 and 5). The SDK's guards
// check the whole message again each time, which costs more than all else that is done with it here.

export const isRequest = (message: JSONRPCMessage): message is JSONRPCRequest =>
  'method' in message && 'id' in message;

export const isNotification = (message: JSONRPCMessage): message is JSONRPCNotification =>
  'method' in message && !('id' in message);

export const isResponse = (
  message: JSONRPCMessage,
): message is JSONRPCResultResponse | JSONRPCErrorResponse => !('method' in message);
