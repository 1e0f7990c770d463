import { readFileSync, statSync } from 'node:fs';
import { RouteError } from './gateway-route.ts';

const maxBytes = 1024 * 1024;

/** The authorities of `--gateway-ca` as they are now. @throws RouteError */
export function readGatewayCa(path: string): string {
  let pem: string;
  try {
    if (statSync(path).size > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
    pem = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RouteError(`--gateway-ca cannot be read: ${reason}`, { isTransient: false, cause: error });
  }
  // Without any, the system's would be used unnoticed.
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new RouteError(`--gateway-ca: ${path} holds no certificate in PEM`, { isTransient: false });
  return pem;
}
