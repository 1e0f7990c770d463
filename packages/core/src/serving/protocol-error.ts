/** Invalid params. Source: JSON-RPC 2.0, section 5.1. */
const invalidParamsCode = -32602;

/** What a host answers as a JSON-RPC error: it reads `code`, `message` and `data` off whatever a handler throws. */
class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** The request names something that does not exist, or that is not as it should be. */
export const invalidParams = (message: string, data?: unknown): Error =>
  new ProtocolError(invalidParamsCode, message, data);
