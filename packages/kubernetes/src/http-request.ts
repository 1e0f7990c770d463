import { type IncomingMessage, request as requestHttp } from 'node:http';
import { type RequestOptions, request as requestHttps } from 'node:https';
import { urlToHttpOptions } from 'node:url';
import type { Clock } from '@k8s-gpu-mcp/core';
import { KubernetesError } from './kubernetes-api.ts';

/**
 * What makes a request one of ours: agent, headers, TLS. Asked before every request. `isRejected`: the server did not accept the last
 * answer (401), so that what is cached must not be used again.
 */
export type Authorize = (options: { readonly isRejected: boolean }) => Promise<RequestOptions>;

/** Aborts with the caller, and by time while armed. */
export interface Guard {
  readonly signal: AbortSignal;
  /** From now on `milliseconds` until the request is given up as `timeout`. */
  arm(milliseconds: number): void;
  disarm(): void;
  /** The KubernetesError for whatever was thrown under this guard. */
  explain(thrown: unknown, task: string): KubernetesError;
  /** Lets go of the caller's signal and the clock. */
  release(): void;
}

export function createGuard(caller: AbortSignal, clock: Clock): Guard {
  const controller = new AbortController();
  let isLate = false;
  let cancelTimer: (() => void) | undefined;
  const onAbort = () => controller.abort();
  if (caller.aborted) controller.abort();
  else caller.addEventListener('abort', onAbort, { once: true });
  const disarm = () => {
    cancelTimer?.();
    cancelTimer = undefined;
  };
  return {
    signal: controller.signal,
    disarm,
    arm(milliseconds) {
      disarm();
      cancelTimer = clock.after(milliseconds, () => {
        isLate = true;
        controller.abort();
      });
    },
    explain(thrown, task) {
      if (caller.aborted) return new KubernetesError('cancelled', `cancelled: ${task}`, { cause: thrown });
      if (isLate)
        return new KubernetesError('timeout', `cannot ${task}: no answer in time`, { cause: thrown });
      if (thrown instanceof KubernetesError) return thrown;
      const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'no code';
      // Codes of Node's HTTP parser: something answered, and it does not speak HTTP.
      if (code.startsWith('HPE_'))
        return new KubernetesError('garbage', `cannot ${task}: the answer is not HTTP (${code})`, {
          cause: thrown,
        });
      return new KubernetesError(
        'unreachable',
        `cannot ${task}: the API server cannot be reached (${code})`,
        {
          cause: thrown,
        },
      );
    },
    release() {
      disarm();
      caller.removeEventListener('abort', onAbort);
    },
  };
}

/** One GET; resolves with the head of the answer. Redirects are answers: the credentials go to `server` and nowhere else. */
export async function sendGet(
  server: URL,
  pathAndQuery: string,
  options: RequestOptions,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const { protocol, hostname, port } = urlToHttpOptions(server);
  const send = server.protocol === 'https:' ? requestHttps : requestHttp;
  return await new Promise((resolve, reject) => {
    const request = send({
      ...options,
      protocol,
      hostname,
      port,
      method: 'GET',
      path: pathAndQuery,
      headers: { ...options.headers, accept: 'application/json', 'user-agent': 'k8s-gpu-mcp' },
      signal,
    });
    request.once('response', resolve);
    // Stays: an error after the head reaches the reader through the body.
    request.on('error', reject);
    request.end();
  });
}

/** A whole body. @throws KubernetesError `garbage` over `maximumBytes`. */
export async function readBody(
  response: IncomingMessage,
  maximumBytes: number,
  task: string,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maximumBytes)
      throw new KubernetesError('garbage', `cannot ${task}: the answer is larger than ${maximumBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
