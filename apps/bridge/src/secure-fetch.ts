import type { IncomingMessage } from 'node:http';
import { Agent, type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { RouteTls } from './gateway-route.ts';

export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** As long as fetch itself waits for a connection. */
const connectMilliseconds = 10_000;
/** Bodies that a response of this status cannot have (Fetch standard, null body status). */
const bodiless: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

/**
 * `fetch` for text bodies over TLS with authorities or a server name of one's own, which the built-in one has no
 * setting for. Redirects are not followed. Rejects as fetch does: an error whose cause has the code.
 */
export function createSecureFetch({ ca, serverName }: RouteTls): { fetch: Fetch; close(): void } {
  const agent = new Agent({
    keepAlive: true,
    ...(ca === undefined ? {} : { ca }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
  return { fetch: (url, init) => send(agent, url, init), close: () => agent.destroy() };
}

function send(agent: HttpsAgent, url: URL, init: RequestInit): Promise<Response> {
  const { body, signal } = init;
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, {
      agent,
      method: init.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(signal === null || signal === undefined ? {} : { signal }),
    });
    request.on('error', (cause) => {
      reject(signal?.aborted === true ? signal.reason : new TypeError('fetch failed', { cause }));
    });
    request.on('socket', (socket) => {
      if (!socket.connecting) return;
      const timer = setTimeout(
        () =>
          request.destroy(Object.assign(new Error('connect timeout'), { code: 'UND_ERR_CONNECT_TIMEOUT' })),
        connectMilliseconds,
      );
      const stop = () => clearTimeout(timer);
      socket.once('secureConnect', stop).once('close', stop);
    });
    request.on('response', (response) => resolve(responseOf(response)));
    request.end(typeof body === 'string' ? body : undefined);
  });
}

function responseOf(response: IncomingMessage): Response {
  const status = response.statusCode ?? 502;
  const headers = new Headers();
  for (const [name, value] of Object.entries(response.headers))
    for (const each of Array.isArray(value) ? value : [value ?? '']) headers.append(name, each);
  const hasBody = !bodiless.has(status);
  if (!hasBody) response.resume();
  return new Response(hasBody ? (Readable.toWeb(response) as ReadableStream<Uint8Array>) : null, {
    status,
    statusText: response.statusMessage ?? '',
    headers,
  });
}
