import { hostname } from 'node:os';
import type { Logger } from '@k8s-gpu-mcp/core';
import { destination, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { LogLevel } from './log-levels.ts';

/** Where log lines go; a test passes its own. */
export interface LogSink {
  write(line: string): void;
}

/** One JSON object per line, written before the call returns, so that the last words of a process are not lost. */
export function createLogger(level: LogLevel, sink: LogSink = standardError()): Logger {
  const log = pino(
    {
      level,
      // Of the process that logs: pino's own are those of the process that loaded it, which may have been that of a startup snapshot.
      base: { pid: process.pid, hostname: hostname() },
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: level === 'debug' ? stdSerializers.err : withoutStack },
    },
    sink,
  );
  return {
    debug: (message, fields = {}) => log.debug(fields, message),
    info: (message, fields = {}) => log.info(fields, message),
    warn: (message, fields = {}) => log.warn(fields, message),
    error: (message, fields = {}) => log.error(fields, message),
  };
}

function standardError(): LogSink {
  const sink = destination({ dest: 2, sync: true });
  // A log that nobody reads any more must not end the program.
  sink.on('error', () => {});
  return sink;
}

function withoutStack(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message } = error;
  return { type: name, message, ...('code' in error ? { code: error.code } : {}) };
}
