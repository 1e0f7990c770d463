import { readFileSync } from 'node:fs';
import { file, repeated, single, text, toggle, wholeNumber } from './option-parsers.ts';
import type { OptionSpec } from './option-spec.ts';
import { UsageError } from './usage-error.ts';

/** The options of every program that serves MCP over HTTP, for the commands that do. `port` is the program's own: its default differs. */
export function httpOptions<Command extends string>(commands: readonly Command[]) {
  const option = <T>(spec: Omit<OptionSpec<T, Command, 'http'>, 'commands' | 'needs'>) =>
    ({ ...spec, commands, needs: 'http' }) as const;
  return {
    address: option({
      flag: 'addr',
      value: 'ADDRESS',
      parse: single(text()),
      fallback: '127.0.0.1',
      description: 'Address to listen on; others than loopback need a token file',
    }),
    authTokenFile: option<string | undefined>({
      flag: 'auth-token-file',
      value: 'FILE',
      parse: single(file()),
      fallback: undefined,
      description: 'Bearer token that callers must present; re-read when it changes',
    }),
    tlsCertificateFile: option<string | undefined>({
      flag: 'tls-cert',
      value: 'FILE',
      parse: single(file()),
      fallback: undefined,
      description: 'Certificate chain (PEM); re-read when it changes',
    }),
    tlsKeyFile: option<string | undefined>({
      flag: 'tls-key',
      value: 'FILE',
      parse: single(file()),
      fallback: undefined,
      description: 'Private key of the certificate (PEM)',
    }),
    allowedHosts: option<readonly string[]>({
      flag: 'allowed-host',
      value: 'HOST',
      parse: repeated(text()),
      fallback: [],
      isRepeatable: true,
      description: 'Further host name that callers may use',
    }),
    allowedOrigins: option<readonly string[]>({
      flag: 'allowed-origin',
      value: 'ORIGIN',
      parse: repeated(text()),
      fallback: [],
      isRepeatable: true,
      description: 'Further browser origin that may call',
    }),
    allowUnauthenticated: option({
      flag: 'allow-unauthenticated',
      parse: toggle,
      fallback: false,
      description: 'Let anyone who can reach the address call everything',
    }),
  };
}

export const portNumber = single(wholeNumber(0, 65_535));

/** A file with a bearer token, the flag that named it, and who its bearer is. */
export interface TokenFlag {
  readonly flag: string;
  readonly principal: string;
  readonly file: string | undefined;
}

/** Those that were given. @throws UsageError for a file that cannot be read, and for one token in two of them. */
export function checkedTokenFiles(
  flags: readonly TokenFlag[],
): readonly { readonly principal: string; readonly file: string }[] {
  const given = flags.flatMap(({ flag, principal, file: path }) =>
    path === undefined ? [] : [{ flag, principal, file: path, token: readToken(flag, path) }],
  );
  for (const [index, one] of given.entries()) {
    const other = given.slice(0, index).find(({ token }) => token === one.token);
    if (other) throw new UsageError(`${one.flag} and ${other.flag} hold the same token`);
  }
  return given.map(({ principal, file: path }) => ({ principal, file: path }));
}

function readToken(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UsageError(`${flag}: ${path} cannot be read (${code})`);
  }
}

const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is already in use',
  EACCES: 'may not be used without more privileges',
  EADDRNOTAVAIL: 'is not an address of this machine',
  ENOTFOUND: 'cannot be resolved',
};

/** A usage error for what the person can change about where the program listens; anything else as it came. */
export function listenError(error: unknown, { address, port }: { address: string; port: number }): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const problem = listenProblems[code];
  return problem === undefined ? error : new UsageError(`${address} port ${port} ${problem} (${code})`);
}
