import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Real programs that the deployment tests run; install.mjs brings them. */
export type ToolName = 'helm-3' | 'helm-4' | 'kubectl-1.31' | 'kubectl-1.35' | 'node-24';

/** Path of the program, where it is installed. */
export function tool(name: ToolName): string | undefined {
  const path = join(import.meta.dirname, 'bin', name);
  return existsSync(path) ? path : undefined;
}

/** Why a test that needs this program is skipped; nothing when it can run. */
export function skipReason(name: ToolName): string | undefined {
  if (tool(name) !== undefined) return undefined;
  return `${name} is not installed: node test/deployment/tools/install.mjs`;
}
