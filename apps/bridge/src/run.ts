import { Console } from 'node:console';
import { type Clock, type Logger, systemClock } from '@k8s-gpu-mcp/core';
import { chooseRoute, hasOwnToken, openCluster, plainTokenWarning } from './choose-route.ts';
import { ExecLink } from './exec-link.ts';
import { execRoute } from './exec-route.ts';
import { GatewayLink } from './gateway-link.ts';
import { HostConnection } from './host-connection.ts';
import { HttpLink } from './http-link.ts';
import type { Link } from './link.ts';
import { createLogger } from './log.ts';
import { type BridgeOptions, parseCommandLine, usageExitCode } from './options.ts';
import { Relay } from './relay.ts';
import { tokenSource } from './token.ts';
import { bridgeVersion } from './version.ts';

/** What clients of this protocol send at most; the gateway takes no more either. */
const maxHostMessageBytes = 4 * 1024 * 1024;
const maxFarMessageBytes = 16 * 1024 * 1024;
const maxUnreadBytes = 16 * 1024 * 1024;
/** What is in flight when the host closes may finish within this; with telling the gateway it stays within two seconds. */
const graceMilliseconds = 1_000;
const longestCloseMilliseconds = 1_700;
const longestUnlinkMilliseconds = 500;

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
  const { link, ...credentials } =
    options.via === 'exec' ? toAgent(options, logger, clock) : toGateway(options, logger, clock);
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
    ...credentials,
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
  await within(longestUnlinkMilliseconds, Promise.all([host.flush(), link.close()]), clock);
}

interface FarSide {
  readonly link: Link;
  readonly hasToken: () => boolean;
  readonly tokenProblem: () => string | undefined;
}

function toGateway(options: BridgeOptions, logger: Logger, clock: Clock): FarSide {
  const hasToken = hasOwnToken(options);
  const warning = plainTokenWarning(options);
  if (warning !== undefined) logger.warn(warning, { gateway: options.gatewayUrl?.origin });
  const gatewayLink = new GatewayLink({
    route: chooseRoute(options, options, { logger, clock }),
    token: tokenSource(options),
    maxMessageBytes: maxFarMessageBytes,
    clock,
    logger,
  });
  return {
    link: new HttpLink({ link: gatewayLink, logger }),
    hasToken: () => hasToken || gatewayLink.hasRouteToken,
    tokenProblem: () => gatewayLink.tokenProblem,
  };
}

function toAgent(options: BridgeOptions, logger: Logger, clock: Clock): FarSide {
  const { execCommand: command, logLevel } = options;
  const link = new ExecLink({
    route: execRoute({ openCluster: () => openCluster(options), query: options, command, logger }),
    command,
    maxMessageBytes: maxFarMessageBytes,
    onRemoteLog: (line) => {
      if (logLevel !== 'silent') process.stderr.write(`${line}\n`);
    },
    clock,
    logger,
  });
  return { link, hasToken: () => false, tokenProblem: () => undefined };
}

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
