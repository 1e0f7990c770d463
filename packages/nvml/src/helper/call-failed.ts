import { describeReturn, errorCodeOf, hintOf } from '../decode/values.ts';
import type { Failure } from '../protocol/protocol.ts';

/** An NVML call on which everything else depends failed. */
export class CallFailed extends Error {
  readonly failure: Failure;
  readonly returnCode: number;
  constructor(what: string, call: string, code: number, errorCode = errorCodeOf(code)) {
    super(`${what}: ${call} returned ${describeReturn(code)}`);
    const hint = hintOf(code);
    this.failure = { code: errorCode, message: this.message, ...(hint === undefined ? {} : { hint }) };
    this.returnCode = code;
  }
}
