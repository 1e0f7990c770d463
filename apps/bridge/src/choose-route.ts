import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import { directRoute } from './direct-route.ts';
import type { GatewayQuery } from './find-gateway.ts';
import { readGatewayCa } from './gateway-ca.ts';
import type { GatewayRoute } from './gateway-route.ts';
import { portForwardRoute } from './port-forward.ts';

/** Where the gateway is, and who asks. */
export interface FarOptions {
  readonly gatewayUrl: URL | undefined;
  readonly gatewayCa: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
}

/** Whether a token was given, so that none is looked for in the cluster. */
export const hasOwnToken = ({ token, tokenFile }: FarOptions): boolean =>
  token !== undefined || tokenFile !== undefined;

/** What to say of a token that others on the network can read; undefined when none goes that way. */
export function plainTokenWarning(options: FarOptions): string | undefined {
  const { gatewayUrl } = options;
  if (!hasOwnToken(options) || gatewayUrl?.protocol !== 'http:' || isLoopback(gatewayUrl)) return undefined;
  return 'the token goes over the network unencrypted: use https';
}

/** The gateway at its URL, or else the one that is found in the cluster, through a port-forward. */
export function chooseRoute(
  options: FarOptions,
  query: GatewayQuery,
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
): GatewayRoute {
  const { gatewayCa, gatewayUrl } = options;
  const ca = gatewayCa === undefined ? undefined : () => readGatewayCa(gatewayCa);
  if (gatewayUrl !== undefined)
    return directRoute(gatewayUrl, ca && gatewayUrl.protocol === 'https:' ? () => ({ ca: ca() }) : undefined);
  return portForwardRoute({
    openCluster: () => openCluster(options),
    query,
    readsTokenSecret: !hasOwnToken(options),
    gatewayCa: ca,
    clock,
    logger,
  });
}

/** Loaded when it is needed: nobody who names the gateway waits for a Kubernetes client. */
export const openCluster = async (options: Pick<FarOptions, 'kubeconfig' | 'context'>) =>
  (await import('./cluster-access.ts')).openCluster(options);

const isLoopback = ({ hostname }: URL) =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
