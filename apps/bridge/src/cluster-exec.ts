import { PassThrough } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { WebSocketHandler } from '@kubernetes/client-node/dist/web-socket-handler.js';
import { ClusterError } from './cluster-error.ts';
import { fieldOf, listOf } from './kubernetes-object.ts';
import { errorOfUpgrade, keepAlive } from './web-socket.ts';

const openMilliseconds = 10_000;
const maxMessageCharacters = 500;

/** Channels of the subprotocols v4.channel.k8s.io and v5.channel.k8s.io (Kubernetes, pkg/kubelet cri/streaming/remotecommand). */
const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const;
/** The only one in which an end of stdin can be said without closing everything. */
const halfClosing = 'v5.channel.k8s.io';

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
}

/** How the program ended, as far as anybody knows. */
export interface ExecEnd {
  /** Null when the connection broke first, or when the program could not be started. */
  readonly exitCode: number | null;
  /** For people; printable and bounded. */
  readonly reason: string;
  /** Whether Kubernetes said so itself; else the connection broke. */
  readonly isReported: boolean;
}

export interface ExecEvents {
  onStdout(chunk: Buffer): void;
  onStderr(chunk: Buffer): void;
  /** Called once; nothing comes after it. */
  onEnd(end: ExecEnd): void;
}

export interface ExecConnection {
  /** To the program's stdin. */
  write(data: Buffer): void;
  /** Closes the program's stdin; what it still says is heard where the API server can (protocol v5). */
  end(): void;
  terminate(): void;
}

/** `kubectl exec -i`: a program in a container with stdin, stdout and stderr, and never a terminal. Rejects with `ClusterError`. */
export async function execIn(
  config: KubeConfig,
  { namespace, pod, container, command }: ExecTarget,
  events: ExecEvents,
): Promise<ExecConnection> {
  const query = new URLSearchParams({
    container,
    stdin: 'true',
    stdout: 'true',
    stderr: 'true',
    tty: 'false',
  });
  for (const each of command) query.append('command', each);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec?${query}`;
  let end: ExecEnd | undefined;
  // The library would close this process's own streams when the server says so.
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const opening = new WebSocketHandler(config, undefined, streams).connect(path, null, (number, data) => {
    if (end !== undefined) return true;
    if (number === channel.stdout) events.onStdout(data);
    else if (number === channel.stderr) events.onStderr(data);
    else if (number === channel.status && data.length > 0) {
      end = endOf(data);
      events.onEnd(end);
      return false;
    }
    return true;
  });
  const what = `The exec into pod ${namespace}/${pod} failed`;
  const webSocket = keepAlive(
    await withinTime(opening, what).catch((error: unknown) => {
      throw errorOfUpgrade(error, what);
    }),
    (code) => {
      if (end !== undefined) return;
      end = { exitCode: null, reason: `the connection to the pod broke (${code})`, isReported: false };
      events.onEnd(end);
    },
  );
  return {
    write: (data) => webSocket.send(Buffer.concat([Buffer.from([channel.stdin]), data])),
    end() {
      if (webSocket.protocol === halfClosing) webSocket.send(Buffer.from([channel.close, channel.stdin]));
      else webSocket.close();
    },
    terminate: () => webSocket.terminate(),
  };
}

async function withinTime(opening: Promise<unknown>, what: string): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new ClusterError('unreachable', `${what}: no answer within ${openMilliseconds} ms`)),
      openMilliseconds,
    );
  });
  try {
    return await Promise.race([opening, late]);
  } catch (error) {
    opening.then((webSocket) => keepAlive(webSocket, () => {}).terminate()).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The `Status` object that ends an exec: `Success`, or a `Failure` whose causes have the exit code. */
function endOf(data: Buffer): ExecEnd {
  let status: unknown;
  try {
    status = JSON.parse(data.toString('utf8'));
  } catch {
    return { exitCode: null, reason: 'Kubernetes ended it without a reason', isReported: true };
  }
  if (fieldOf(status, 'status') === 'Success')
    return { exitCode: 0, reason: 'the agent has ended (exit code 0)', isReported: true };
  const cause = listOf(fieldOf(fieldOf(status, 'details'), 'causes')).find(
    (each) => fieldOf(each, 'reason') === 'ExitCode',
  );
  const exitCode = Number(fieldOf(cause, 'message') ?? Number.NaN);
  const message = String(fieldOf(status, 'message') ?? 'no message')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .slice(0, maxMessageCharacters);
  return Number.isInteger(exitCode)
    ? { exitCode, reason: `the agent has ended (exit code ${exitCode})`, isReported: true }
    : { exitCode: null, reason: message, isReported: true };
}
