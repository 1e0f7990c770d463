import { readFileSync, statSync } from 'node:fs';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import { HttpConfigurationError, type Logger } from './options.ts';

export interface TlsFiles {
  /** PEM certificate chain. */
  readonly certFile: string;
  /** PEM private key. */
  readonly keyFile: string;
}

interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
}

function readMaterial({ certFile, keyFile }: TlsFiles): TlsMaterial {
  const material = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  createSecureContext(material);
  return material;
}

function signatureOf({ certFile, keyFile }: TlsFiles): string {
  return [certFile, keyFile]
    .map((file) => {
      const { mtimeNs, ctimeNs, ino, size } = statSync(file, { bigint: true });
      return [mtimeNs, ctimeNs, ino, size].join(':');
    })
    .join('|');
}

/** Reads certificate and key for the start; throws HttpConfigurationError when they cannot be used. */
export function loadTls(files: TlsFiles): TlsMaterial {
  try {
    return readMaterial(files);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new HttpConfigurationError(
      `TLS certificate ${files.certFile} and key ${files.keyFile} cannot be used: ${detail}`,
      { cause: error },
    );
  }
}

/**
 * Looks at the files every `intervalMilliseconds` and gives the server the new pair when they changed. A pair that
 * cannot be used (half written, key of another certificate) leaves the old one in service and is tried again.
 * Returns how to stop looking.
 */
export function reloadTlsOnChange(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  logger: Logger,
  intervalMilliseconds: number,
): () => void {
  let signature: string | undefined;
  let problem: string | undefined;
  const look = () => {
    try {
      const current = signatureOf(files);
      if (signature !== undefined && current !== signature) {
        server.setSecureContext({ ...readMaterial(files), minVersion: 'TLSv1.2' });
        logger.info('http: TLS certificate reloaded', { certFile: files.certFile });
      }
      signature = current;
      problem = undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== problem)
        logger.error('http: TLS reload failed, keeping the old certificate', { error: message });
      problem = message;
    }
  };
  look();
  const timer = setInterval(look, intervalMilliseconds);
  timer.unref();
  return () => clearInterval(timer);
}
