import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import type { Logger } from '@k8s-gpu-mcp/core';
import { AgentFailure } from '../../ports/agent-client.ts';
import { WatchedFile } from './watched-file.ts';

/** Gives the bearer token of the moment; undefined for none. Asked before every call. */
export type TokenProvider = () => Promise<string | undefined>;

/** The one token in a file, read again when the file changes (a rotated Secret). */
export function tokenFromFile(path: string, logger: Logger): TokenProvider {
  const file = new WatchedFile(path, 'token', tokenOf, logger);
  return async () => {
    try {
      return await file.read();
    } catch (error) {
      throw new AgentFailure('unauthorized', 'the token for agents cannot be read', { cause: error });
    }
  };
}

function tokenOf(content: Buffer): string {
  const token = content.toString('utf8').trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('it does not hold one token');
  return token;
}

/** Whom agents' certificates must come from. */
export type TrustProvider = () => Promise<SecureContext | undefined>;

/** The system's authorities and those in a PEM file, read again when the file changes. */
export function trustFromFile(path: string, logger: Logger): TrustProvider {
  const parse = (content: Buffer) => {
    if (!content.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it holds no certificate');
    return createSecureContext({ ca: [...rootCertificates, content], minVersion: 'TLSv1.2' });
  };
  const file = new WatchedFile(path, 'certificate authority', parse, logger);
  return async () => {
    try {
      return await file.read();
    } catch (error) {
      throw new AgentFailure('certificate', 'the certificate authority of agents cannot be read', {
        cause: error,
      });
    }
  };
}
