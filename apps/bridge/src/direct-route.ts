import type { GatewayRoute, RouteTls } from './gateway-route.ts';

/** A gateway whose address is known. There is nothing to open: each request connects by itself. */
export function directRoute(url: URL, tls?: () => RouteTls): GatewayRoute {
  const closed = new Promise<string>(() => {});
  return {
    open: async () => ({ url, closed, tls: tls?.() }),
    close: async () => {},
  };
}
