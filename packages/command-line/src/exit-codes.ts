import type { GpuErrorCode, Verdict } from '@k8s-gpu-mcp/core';

/** Usage and internal failures follow sysexits.h (EX_USAGE, EX_SOFTWARE). */
export const exitCodes = { success: 0, usage: 64, internal: 70 } as const;

const codeByVerdict: Readonly<Record<Verdict, number>> = { ok: 0, warning: 1, critical: 2, unknown: 3 };

/** The exit code of a diagnostic command; an answer that judges nothing (a plain inventory) is a success. */
export function exitCodeOf(answer: Readonly<Record<string, unknown>>): number {
  const { verdict } = answer;
  return typeof verdict === 'string' && verdict in codeByVerdict
    ? codeByVerdict[verdict as Verdict]
    : exitCodes.success;
}

/** What the caller asked wrongly is a usage error; what could not be had is unknown. */
export function exitCodeOfError(code: GpuErrorCode): number {
  if (code === 'INVALID_INPUT' || code === 'GPU_NOT_FOUND') return exitCodes.usage;
  return code === 'INTERNAL' ? exitCodes.internal : exitCodeOf({ verdict: 'unknown' });
}
