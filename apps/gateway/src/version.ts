import { readFileSync } from 'node:fs';

export const programName = 'k8s-gpu-mcp-gateway';

/** The version of this package, read when it is asked for. */
export function gatewayVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}
