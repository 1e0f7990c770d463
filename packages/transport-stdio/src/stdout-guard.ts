import type { Writable } from 'node:stream';

/** Write access to the guarded stream for the one party that may use it. */
export interface GuardedOutput {
  /** Writes to the real stream, past the guard. Returns false when the stream wants its writer to wait for `drain`. */
  write(text: string, written?: (error?: Error | null) => void): boolean;
  /** Undoes the guard. Idempotent; a guard that somebody else put on top is left alone. */
  restore(): void;
}

/**
 * Keeps `stream` for one writer: whatever anyone else writes to it (a library's `console.log`) goes to `divertTo`
 * instead, which is opened by the first such line. On stdio a single stray line on stdout breaks the protocol for the client.
 * Native code that writes to file descriptor 1 by itself is out of reach.
 */
export function guardOutput(stream: Writable, divertTo: () => Writable): GuardedOutput {
  const original = stream.write;
  const hadOwn = Object.hasOwn(stream, 'write');
  let sink: Writable | undefined;
  const open = () => {
    // A stray line that nobody reads must not end the program.
    sink ??= divertTo().on('error', () => {});
    return sink;
  };
  const diverted = ((...line: Parameters<Writable['write']>) => open().write(...line)) as Writable['write'];
  stream.write = diverted;
  return {
    write: (text, written = () => {}) => original.call(stream, text, 'utf8', written),
    restore: () => {
      if (stream.write !== diverted) return;
      if (hadOwn) stream.write = original;
      else Reflect.deleteProperty(stream, 'write');
    },
  };
}
