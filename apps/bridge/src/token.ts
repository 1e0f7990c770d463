import { readFileSync, statSync } from 'node:fs';

const maxTokenBytes = 16_384;

/** The bearer token as it is now. A file is read each time, because tokens in a cluster are rotated. Throws what the file system says. */
export function tokenSource(options: {
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
}): () => string | undefined {
  const { token, tokenFile } = options;
  if (tokenFile === undefined) return () => token;
  return () => {
    if (statSync(tokenFile).size > maxTokenBytes)
      throw new Error(`${tokenFile} is no token: it has more than ${maxTokenBytes} bytes`);
    return readFileSync(tokenFile, 'utf8').trim() || undefined;
  };
}
