import type { Writable } from 'node:stream';
import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'magenta' | 'cyan';

/** Whoever read our output went away (`| head`). Not a failure. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError';
}

type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };
type Environment = Readonly<Record<string, string | undefined>>;

/** Where results go: colour and width as the other end can take them, and writing that waits for a slow reader. */
export interface Terminal {
  readonly hasColor: boolean;
  /** Columns to stay within; infinite for a pipe or a file. */
  readonly columns: number;
  style(style: Style, text: string): string;
  /** Resolves when the text is handed over. @throws OutputClosedError when nobody reads any more. */
  write(text: string): Promise<void>;
}

const minimumColumns = 40;

export function createTerminal(stream: OutputStream, environment: Environment): Terminal {
  const isTerminal = stream.isTTY === true;
  const hasColor = wantsColor(isTerminal, environment);
  let isClosed = false;
  // Without a listener a broken pipe would be an uncaught exception; the write that failed reports it.
  stream.on('error', () => {
    isClosed = true;
  });
  return {
    hasColor,
    columns: isTerminal ? Math.max(minimumColumns, stream.columns ?? 80) : Number.POSITIVE_INFINITY,
    style: (style, text) => (hasColor ? styleText(style, text, { validateStream: false }) : text),
    write: (text) =>
      new Promise((resolve, reject) => {
        if (isClosed) reject(new OutputClosedError('output closed'));
        else
          stream.write(text, (error) => {
            if (!error) resolve();
            else
              reject(
                'code' in error && error.code === 'EPIPE' ? new OutputClosedError('output closed') : error,
              );
          });
      }),
  };
}

/** no-color.org and force-color.org: a variable that is set and not empty counts; FORCE_COLOR=0 forbids. */
function wantsColor(isTerminal: boolean, { FORCE_COLOR, NO_COLOR, TERM }: Environment): boolean {
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return isTerminal && !NO_COLOR && TERM !== 'dumb';
}
