import type { IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from '../../../apps/bridge/test/fake-exec.ts';
import type { PodStreams } from './api-server.ts';
import type { KubernetesObject } from './json.ts';
import type { Kubelet } from './kubelet.ts';

const { WebSocketServer } = createRequire(new URL('../../../apps/bridge/test/', import.meta.url))('ws') as {
  readonly WebSocketServer: new (
    options: object,
  ) => {
    handleUpgrade(
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      opened: (webSocket: WebSocket) => void,
    ): void;
  };
};

const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** Exec, port-forward and logs, as an API server passes them on to the kubelet of the node: WebSockets with a channel byte before each frame. */
export function podStreams(kubelet: () => Kubelet): PodStreams & { cut(): void } {
  const open = new Set<WebSocket>();
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered: ReadonlySet<string>) => protocols.find((each) => offered.has(each)) ?? false,
  });
  return {
    log: (pod, query) => kubelet().log(pod, query.get('container')),
    connect(pod, subresource, { request, socket, head }) {
      const { searchParams } = new URL(request.url ?? '/', 'https://server');
      server.handleUpgrade(request, socket, head, (webSocket) => {
        open.add(webSocket);
        webSocket.on('error', () => {});
        webSocket.on('close', () => open.delete(webSocket));
        if (subresource === 'exec') exec(kubelet(), pod, searchParams, webSocket);
        else forward(kubelet(), pod, Number(searchParams.get('ports')), webSocket);
      });
    },
    cut() {
      for (const each of open) each.terminate();
    },
  };
}

const sender = (webSocket: WebSocket) => (channel: number, data: Buffer) =>
  webSocket.send(Buffer.concat([Buffer.from([channel]), data]));

/** Channels: 0 stdin, 1 stdout, 2 stderr, 3 status; v5 adds 255, which closes one. */
function exec(kubelet: Kubelet, pod: KubernetesObject, query: URLSearchParams, webSocket: WebSocket): void {
  const send = sender(webSocket);
  const end = (status: unknown) => {
    send(3, Buffer.from(JSON.stringify(status)));
    webSocket.close(1000);
  };
  for (const channel of [1, 2, 3]) send(channel, Buffer.alloc(0));
  try {
    const child = kubelet.exec(pod, query.get('container'), query.getAll('command'));
    child.stdin.on('error', () => {});
    child.stdout.on('data', (data: Buffer) => send(1, data));
    child.stderr.on('data', (data: Buffer) => send(2, data));
    child.on('close', (code) => end(statusOf(code ?? 137)));
    if (query.get('stdin') !== 'true') child.stdin.end();
    webSocket.on('message', (frame) => {
      if (frame[0] === 0) child.stdin.write(frame.subarray(1));
      else if (frame[0] === 255 && frame[1] === 0) child.stdin.end();
    });
    webSocket.on('close', () => child.stdin.end());
  } catch (error) {
    end({ metadata: {}, status: 'Failure', message: String(error), reason: 'InternalError', code: 500 });
  }
}

const statusOf = (exitCode: number) =>
  exitCode === 0
    ? { metadata: {}, status: 'Success' }
    : {
        metadata: {},
        status: 'Failure',
        message: `command terminated with exit code ${exitCode}`,
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
      };

/** Channels: 0 data, 1 error; each opens with the number of the port in two bytes. */
function forward(kubelet: Kubelet, pod: KubernetesObject, port: number, webSocket: WebSocket): void {
  const send = sender(webSocket);
  const opening = Buffer.alloc(2);
  opening.writeUInt16LE(port);
  send(0, opening);
  send(1, opening);
  const inside = connect(port, kubelet.address(pod) ?? '127.0.0.1');
  inside.on('data', (data) => send(0, data));
  inside.on('error', (error) => send(1, Buffer.from(`error forwarding port ${port}: ${error.message}`)));
  inside.on('close', () => webSocket.close());
  webSocket.on('message', (frame) => {
    if (frame[0] === 0) inside.write(frame.subarray(1));
  });
  webSocket.on('close', () => inside.destroy());
}
