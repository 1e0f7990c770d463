import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import type { ClusterAccess, ForwardTarget } from './cluster-access.ts';
import { ClusterError } from './cluster-error.ts';
import {
  findGatewayPod,
  findGatewayService,
  type GatewayQuery,
  type GatewayService,
  routeErrorOf,
} from './find-gateway.ts';
import { type GatewayRoute, type OpenRoute, RouteError } from './gateway-route.ts';
import { secretToken } from './token-secret.ts';

/** A pod that was ready this short ago is not asked for again. */
const freshMilliseconds = 2_000;

export interface PortForwardOptions {
  /** Opened anew with the route, so that a changed kubeconfig is seen. Throws `ClusterError`. */
  readonly openCluster: () => ClusterAccess | Promise<ClusterAccess>;
  readonly query: GatewayQuery;
  /** Whether to look for a bearer token in the release's Secret. Default: not. */
  readonly readsTokenSecret?: boolean;
  /** Authorities (PEM) of a gateway that serves TLS; read with each opening, may throw `RouteError`. */
  readonly gatewayCa?: (() => string | undefined) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A port on this machine behind which the gateway's pods are. Each connection goes to a pod that is ready at that time,
 * so a pod that is replaced costs no more than the connections it had.
 */
export function portForwardRoute(options: PortForwardOptions): GatewayRoute {
  const listeners = new Set<Listener>();
  // A connection can only be cut when a forward is refused; who opens the next one is told why.
  let refusal: RouteError | undefined;
  const onRefusal = (error: RouteError) => {
    refusal = error;
  };
  return {
    async open(signal) {
      const refused = refusal;
      refusal = undefined;
      if (refused !== undefined) throw refused;
      const cluster = await connect(options);
      const service = await findGatewayService(cluster, options.query, signal);
      const token =
        options.readsTokenSecret === true
          ? await secretToken({ cluster, service, signal, logger: options.logger })
          : undefined;
      const tls = service.isHttps
        ? { ca: options.gatewayCa?.(), serverName: `${service.name}.${service.namespace}.svc` }
        : undefined;
      const listener = new Listener({ ...options, cluster, service, signal, onRefusal });
      const route = { ...(await listener.open()), token, tls };
      listeners.add(listener);
      void listener.ended.then(() => listeners.delete(listener));
      return route;
    },
    async close() {
      await Promise.all([...listeners].map((listener) => listener.destroy()));
    },
  };
}

async function connect({ openCluster }: PortForwardOptions): Promise<ClusterAccess> {
  try {
    return await openCluster();
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    throw new RouteError(error.message, { isTransient: false, cause: error });
  }
}

interface ListenerOptions extends PortForwardOptions {
  readonly cluster: ClusterAccess;
  readonly service: GatewayService;
  readonly signal: AbortSignal;
  /** A forward was refused for a reason that will not pass by itself. */
  readonly onRefusal: (error: RouteError) => void;
}

class Listener {
  /** Resolves when nothing of it is left. */
  readonly ended: Promise<unknown>;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #closed: Promise<string>;
  #close: (reason: string) => void = () => {};
  #target: Promise<ForwardTarget> | undefined;
  #targetAt = 0;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      void this.#join(socket);
    });
    this.ended = once(this.#server, 'close');
  }

  async open(): Promise<OpenRoute> {
    const target = await this.#freshTarget();
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the listener has no port');
    this.#options.logger.info('port-forward to the gateway', { ...target, localPort: address.port });
    const scheme = this.#options.service.isHttps ? 'https' : 'http';
    return { url: new URL(`${scheme}://127.0.0.1:${address.port}/mcp`), closed: this.#closed };
  }

  async destroy(): Promise<void> {
    this.#stop('the bridge is closing');
    for (const socket of this.#sockets) socket.destroy();
    await this.ended;
  }

  /** Takes no further connection; those that are open may live on. */
  #stop(reason: string): void {
    this.#close(reason);
    if (this.#server.listening) this.#server.close();
  }

  async #join(socket: Socket): Promise<void> {
    const onFault = (reason: string) => {
      this.#target = undefined;
      socket.destroy();
      this.#stop(reason);
    };
    // A pod may have gone since it was looked up; nothing has been sent yet, so another one may be asked.
    for (const isLastTry of [false, true]) {
      try {
        const target = await this.#freshTarget();
        if (socket.destroyed) return;
        await this.#options.cluster.forward(target, socket, onFault);
        return;
      } catch (error) {
        this.#target = undefined;
        const isFinal = isLastTry || (error instanceof ClusterError && error.reason !== 'not-found');
        if (!isFinal) continue;
        const explained = routeErrorOf(error, this.#options.cluster, 'forward a port to the gateway');
        if (!explained.isTransient) this.#options.onRefusal(explained);
        return onFault(explained.message);
      }
    }
  }

  #freshTarget(): Promise<ForwardTarget> {
    const { clock, cluster, service, signal } = this.#options;
    if (this.#target === undefined || clock.now() - this.#targetAt > freshMilliseconds) {
      this.#targetAt = clock.now();
      this.#target = findGatewayPod(cluster, service, signal);
      this.#target.catch(() => {
        this.#target = undefined;
      });
    }
    return this.#target;
  }
}
