/**
 * The entry of the image's startup snapshot: what is loaded and has run by the end of `warmUp` is in it, compiled. Nothing on that way may
 * keep what it reads of the machine, the environment, the time or randomness: it would be those of the build. scripts/snapshot.mjs makes it.
 */
import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import { createLogger } from '@k8s-gpu-mcp/command-line/logging';
import { serveStdio } from '@k8s-gpu-mcp/transport-stdio';
import { listingFor } from './agent-on-demand.ts';
import { parseCommandLine } from './cli/command-line.ts';
import { serve } from './cli/commands/serve.ts';
import { run } from './cli/run.ts';
import { resolveConfig } from './config.ts';
import { knownOffer } from './offer.ts';
import { createServerFactory } from './server.ts';

/** The program, as `main.ts` runs it. */
export function main(): void {
  void run(process.argv.slice(2), process).then((code) => process.exit(code));
}

const jsonrpc = '2.0';
const protocolVersion = '2026-07-28';
const client = { name: 'warm-up', version: '0' };
const _meta = {
  'io.modelcontextprotocol/protocolVersion': protocolVersion,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': client,
};
/** How a session of either era begins. */
const openings = [
  [
    {
      jsonrpc,
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: client },
    },
    { jsonrpc, method: 'notifications/initialized' },
    { jsonrpc, id: 1, method: 'tools/list' },
  ],
  [
    { jsonrpc, id: 0, method: 'server/discover', params: { _meta } },
    { jsonrpc, id: 1, method: 'tools/list', params: { _meta } },
  ],
];

/** Serves the beginning of a session of each era to nobody. */
export async function warmUp(): Promise<void> {
  for (const opening of openings) {
    const commandLine = parseCommandLine(['--backend', 'mock', '--pod-resources', 'none']);
    if (commandLine.kind === 'help') throw new Error('the warm-up asks for help');
    const config = resolveConfig(commandLine.command, commandLine.flags, {});
    const sink = new PassThrough();
    const factory = createServerFactory({
      listing: listingFor(config, await knownOffer()),
      parts: () => Promise.reject(new Error(`a list needs no tool (${typeof serve})`)),
      version: '0',
    });
    createLogger(config.logLevel, { write: () => {} }).info('starting', { version: '0' });
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const serving = serveStdio(factory, { stdin, stdout, stderr: sink, signals: new EventEmitter() });
    for (const message of opening) {
      stdin.write(`${JSON.stringify(message)}\n`);
      if ('id' in message) await once(stdout, 'data');
    }
    stdin.end();
    await serving.closed;
  }
}
