import { Console } from 'node:console';
import { type Clock, type Logger, systemClock } from '@k8s-gpu-mcp/core';
import { directRoute } from './direct-route.ts';
import { GatewayLink } from './gateway-link.ts';
import type { GatewayRoute } from './gateway-route.ts';
import { HostConnection } from './host-connection.ts';
import { createLogger } from './log.ts';
import { type BridgeOptions, parseCommandLine, usageExitCode } from './options.ts';
import { portForwardRoute } from './port-forward.ts';
import { Relay } from './relay.ts';
import { tokenSource } from './token.ts';
import { bridgeVersion } from './version.ts';

/** What clients of this protocol send at most; the gateway takes no more either. */
const maxHostMessageBytes = 4 * 1024 * 1024;
const maxGatewayMessageBytes = 16 * 1024 * 1024;
const maxUnreadBytes = 16 * 1024 * 1024;
/** What is in flight when the host closes may finish within this; with telling the gateway it stays within two seconds. */
const graceMilliseconds = 1_000;
const longestCloseMilliseconds = 1_700;

/** The whole program. Resolves with the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args, process.env, bridgeVersion());
  if (commandLine.kind === 'print') {
    (commandLine.isError ? process.stderr : process.stdout).write(commandLine.text);
    return commandLine.isError ? usageExitCode : 0;
  }
  // stdout carries the protocol only, whatever a library prints.
  globalThis.console = new Console(process.stderr);
  process.stderr.on('error', () => {});
  const logger = createLogger(commandLine.options.logLevel, (line) => process.stderr.write(line));
  await serve(commandLine.options, logger, systemClock);
  return 0;
}

async function serve(options: BridgeOptions, logger: Logger, clock: Clock): Promise<void> {
  const token = tokenSource(options);
  const hasToken = options.token !== undefined || options.tokenFile !== undefined;
  if (hasToken && options.gatewayUrl?.protocol === 'http:' && !isLoopback(options.gatewayUrl))
    logger.warn('the token goes over the network unencrypted: use https', {
      gateway: options.gatewayUrl.origin,
    });
  const route = chooseRoute(options, logger, clock);
  const link = new GatewayLink({ route, token, maxMessageBytes: maxGatewayMessageBytes, clock, logger });
  const host = new HostConnection({
    input: process.stdin,
    output: process.stdout,
    maxMessageBytes: maxHostMessageBytes,
    maxUnreadBytes,
    logger,
  });
  const relay = new Relay({
    link,
    send: (message) => host.send(message),
    hasToken: () => hasToken,
    clock,
    logger,
  });
  host.onmessage = (message) => relay.receive(message);
  const ended = new Promise<string>((resolve) => {
    host.onend = () => resolve('the host has closed the connection');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
  host.start();
  logger.info('bridge: serving');
  const reason = await ended;
  logger.info('bridge: closing', { reason });
  await within(longestCloseMilliseconds, relay.close(graceMilliseconds), clock);
  await within(200, Promise.all([host.flush(), link.close()]), clock);
}

function chooseRoute(options: BridgeOptions, logger: Logger, clock: Clock): GatewayRoute {
  if (options.gatewayUrl !== undefined) return directRoute(options.gatewayUrl);
  return portForwardRoute({
    // Loaded when it is needed: nobody who names the gateway waits for a Kubernetes client.
    openCluster: async () => (await import('./cluster-access.ts')).openCluster(options),
    query: options,
    clock,
    logger,
  });
}

const isLoopback = ({ hostname }: URL) =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);

function within(milliseconds: number, work: Promise<unknown>, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(milliseconds, resolve);
    void work
      .catch(() => {})
      .finally(() => {
        cancel();
        resolve();
      });
  });
}
