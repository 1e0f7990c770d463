import type { Gap, GapReason } from '@k8s-gpu-mcp/core';

/** `ENOENT`, `EPERM`, ... of an error as node:fs makes them. */
export function errorCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const reasons: Readonly<Record<string, GapReason>> = {
  EACCES: 'no-permission',
  EPERM: 'no-permission',
  ENOENT: 'unsupported',
  ENOTDIR: 'unsupported',
  ETIMEDOUT: 'timeout',
};

/** The gap that a failed system call leaves. `about` says of what: an address, a pid. */
export function errnoGap(field: string, error: unknown, about?: string): Gap {
  const code = errorCodeOf(error);
  const reason = (code === undefined ? undefined : reasons[code]) ?? 'error';
  const detail = messageOf(error);
  return { field, reason, detail: about === undefined ? detail : `${about}: ${detail}` };
}
