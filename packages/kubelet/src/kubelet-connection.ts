import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import type { GapReason } from '@k8s-gpu-mcp/core';
import type { Method } from './messages.ts';

/** As the kubelet's own clients take it: List of a node with many pods is larger than gRPC's default of 4 MiB. */
const maximumAnswerBytes = 16 * 1024 * 1024;

export type KubeletAnswer<Response> =
  | { readonly answer: Response }
  | { readonly answer: null; readonly failure: { readonly reason: GapReason; readonly detail: string } };

/** One connection to a kubelet's gRPC socket. */
export class KubeletConnection {
  readonly #client: Client;

  constructor(socket: string) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': maximumAnswerBytes,
      // A socket of this machine is never behind a proxy.
      'grpc.enable_http_proxy': 0,
      // Connections are shared by target unless told otherwise; this one is closed after its question.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** Never rejects: what goes wrong, an abort of `signal` too, is a failure. */
  ask<Response>({ path, decode }: Method<Response>, signal: AbortSignal): Promise<KubeletAnswer<Response>> {
    return new Promise((resolve) => {
      const call = this.#client.makeUnaryRequest(
        path,
        () => Buffer.alloc(0),
        decode,
        null,
        (error, answer) => {
          signal.removeEventListener('abort', cancel);
          if (error) resolve({ answer: null, failure: failureOf(error, signal) });
          else if (answer === undefined)
            resolve({ answer: null, failure: { reason: 'error', detail: 'the kubelet answered nothing' } });
          else resolve({ answer });
        },
      );
      const cancel = () => call.cancel();
      if (signal.aborted) cancel();
      else signal.addEventListener('abort', cancel, { once: true });
    });
  }

  close(): void {
    this.#client.close();
  }
}

const reasons: Readonly<Partial<Record<status, GapReason>>> = {
  [status.UNIMPLEMENTED]: 'unsupported',
  [status.PERMISSION_DENIED]: 'no-permission',
  [status.UNAUTHENTICATED]: 'no-permission',
  [status.DEADLINE_EXCEEDED]: 'timeout',
};

/** The code and not the message: that is the server's own text. */
function failureOf({ code }: ServiceError, signal: AbortSignal) {
  if (signal.aborted) return { reason: 'timeout' as const, detail: 'the kubelet did not answer in time' };
  return {
    reason: reasons[code] ?? ('error' as const),
    detail: `the kubelet's pod-resources service answered ${status[code] ?? `code ${code}`}`,
  };
}
