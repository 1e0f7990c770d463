import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { Logger } from '@k8s-gpu-mcp/core';
import type { AgentConfig } from '../config.ts';

/** The process as the program sees it, so that a test can bring its own. */
export interface Host {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface CommandContext {
  readonly config: AgentConfig;
  readonly operands: readonly string[];
  readonly host: Host;
  readonly terminal: Terminal;
  /** One clear line for the person, beside the result. */
  note(line: string): void;
  /** Made on first use: `analyze` never pays for it. */
  createLogger(): Promise<Logger>;
}

/** A command returns its exit code. */
export type CommandAction = (context: CommandContext) => Promise<number>;
