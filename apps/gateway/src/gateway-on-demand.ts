import type { ResourceChanges } from '@k8s-gpu-mcp/core';
import type { Readiness } from '@k8s-gpu-mcp/transport-http';
import type { McpServerFactory } from '@modelcontextprotocol/server';
import type { Gateway } from './composition/compose-gateway.ts';

/** A gateway that was put together, and how it is served. */
export interface ServedGateway extends Gateway {
  readonly serverFactory: McpServerFactory;
  readonly readiness: () => Promise<Readiness>;
}

/** What a port needs of a gateway. Whoever asks for the gateway waits until there is one; that the program lives is told before. */
export interface GatewayOnDemand
  extends Pick<ServedGateway, 'serverFactory' | 'readiness' | 'resourceChanges' | 'collectMetrics' | 'stop'> {
  /** The same one every time. */
  get(): Promise<ServedGateway>;
  /** Gives back what was opened, if anything was. */
  close(): Promise<void>;
}

/** A gateway that is put together when it is first asked for: nothing of it is needed to open the port. */
export function gatewayOnDemand(compose: () => Promise<ServedGateway>): GatewayOnDemand {
  let composing: Promise<ServedGateway> | undefined;
  let composed: ServedGateway | undefined;
  let isStopping = false;
  const get = () => {
    composing ??= compose().then((gateway) => {
      composed = gateway;
      if (isStopping) gateway.stop();
      return gateway;
    });
    return composing;
  };
  return {
    get,
    serverFactory: async (context) => (composed ?? (await get())).serverFactory(context),
    readiness: async () =>
      composed?.readiness() ?? { ready: false, reasons: ['the gateway is being put together'] },
    collectMetrics: async () => (await get()).collectMetrics(),
    resourceChanges: changesOf(get),
    stop() {
      isStopping = true;
      composed?.stop();
    },
    close: async () => (await composing?.catch(() => undefined))?.close(),
  };
}

function changesOf(get: () => Promise<ServedGateway>): ResourceChanges {
  return {
    onChange(listener, uris) {
      let stop: (() => void) | undefined;
      let isEnded = false;
      const listen = ({ resourceChanges }: ServedGateway) => {
        if (!isEnded) stop = resourceChanges.onChange(listener, uris);
      };
      // Where there is no gateway nothing changes; that there is none is told by whoever put it together.
      get().then(listen, () => {});
      return () => {
        isEnded = true;
        stop?.();
      };
    },
  };
}
