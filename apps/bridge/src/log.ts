import type { Logger } from '@k8s-gpu-mcp/core';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** One JSON object per line. stdout belongs to the protocol, so `write` goes to stderr. */
export function createLogger(level: LogLevel, write: (line: string) => void): Logger {
  const least = logLevels.indexOf(level);
  const at =
    (name: LogLevel) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      if (logLevels.indexOf(name) < least) return;
      write(`${JSON.stringify({ level: name, time: new Date().toISOString(), message, ...fields })}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
