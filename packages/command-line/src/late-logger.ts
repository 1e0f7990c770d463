import { type Logger, silentLogger } from '@k8s-gpu-mcp/core';

export interface LateLogger extends Logger {
  /** Resolves when everything that was logged is written. Never rejects. */
  flush(): Promise<void>;
}

type Level = keyof Logger;
type Line = Parameters<Logger['info']>;

/**
 * A logger that is loaded once the program has turned to its input and answered what was waiting there: the first answer does not wait for
 * the log. What is logged meanwhile is written then, in order.
 */
export function lateLogger(load: () => Promise<Logger>): LateLogger {
  const held: { readonly level: Level; readonly line: Line }[] = [];
  let logger: Logger | undefined;
  let loading: Promise<void> | undefined;
  const loadNow = async () => {
    // Without a log the program goes on.
    const loaded = await load().catch(() => silentLogger);
    for (const { level, line } of held.splice(0)) loaded[level](...line);
    logger = loaded;
  };
  const flush = async () => {
    if (held.length === 0 && logger === undefined) return;
    loading ??= loadNow();
    await loading;
  };
  const log =
    (level: Level) =>
    (...line: Line) => {
      if (logger !== undefined) return logger[level](...line);
      held.push({ level, line });
      if (held.length === 1) setImmediate(() => void flush());
    };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error'), flush };
}
