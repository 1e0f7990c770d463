import type { KernelEvent } from '../domain/event.ts';
import type { Action } from '../domain/verdict.ts';
import { isoTime } from './timestamps.ts';

/** What a program can say of the GPU in its own log. */
export const applicationErrorCodes = [
  'gpu-out-of-memory',
  'illegal-memory-access',
  'uncorrectable-ecc',
  'launch-failure',
  'device-side-assert',
  'nccl-timeout',
  'nccl-system-error',
  'driver-insufficient',
  'library-mismatch',
  'no-device',
  'launch-timeout',
  'system-not-ready',
  'fabric-manager-mismatch',
] as const;
export type ApplicationErrorCode = (typeof applicationErrorCodes)[number];

/** Longest part of a line that is looked at, in characters; programs put their message within it. */
const maximumLength = 4_096;
const maximumRawLength = 4_096;

interface ApplicationErrorPattern {
  readonly code: ApplicationErrorCode;
  readonly pattern: RegExp;
  readonly action: Action;
}

/**
 * First match wins; every pattern is a choice of fixed words with bounded gaps, so that matching is linear.
 * Sources: CUDA runtime and driver API (error names and strings), PyTorch c10/cuda and ProcessGroupNCCL, NCCL (ncclGetErrorString), NVML,
 * NVIDIA Fabric Manager.
 */
const patterns: readonly ApplicationErrorPattern[] = [
  {
    code: 'gpu-out-of-memory',
    pattern:
      /\bOutOfMemoryError\b|\bCUDA out of memory\b|\bcudaErrorMemoryAllocation\b|\bCUDA_ERROR_OUT_OF_MEMORY\b|CUDA error: out of memory/,
    action: 'check-app',
  },
  {
    code: 'uncorrectable-ecc',
    pattern:
      /uncorrectable (?:NVLink )?(?:ECC )?error (?:encountered|detected)|\bcudaErrorECCUncorrectable\b|\bCUDA_ERROR_ECC_UNCORRECTABLE\b/i,
    action: 'monitor',
  },
  {
    code: 'illegal-memory-access',
    pattern:
      /an illegal memory access was encountered|\bcudaErrorIllegalAddress\b|\bCUDA_ERROR_ILLEGAL_ADDRESS\b/,
    action: 'check-app',
  },
  {
    code: 'device-side-assert',
    pattern: /device-side assert triggered|\bcudaErrorAssert\b|\bCUDA_ERROR_ASSERT\b/,
    action: 'check-app',
  },
  {
    code: 'launch-timeout',
    pattern:
      /the launch timed out and was terminated|\bcudaErrorLaunchTimeout\b|\bCUDA_ERROR_LAUNCH_TIMEOUT\b/,
    action: 'check-app',
  },
  {
    code: 'launch-failure',
    pattern: /unspecified launch failure|\bcudaErrorLaunchFailure\b|\bCUDA_ERROR_LAUNCH_FAILED\b/,
    action: 'check-app',
  },
  {
    code: 'nccl-timeout',
    pattern:
      /Watchdog caught collective operation timeout|NCCL watchdog thread[^\n]{0,200}tim(?:ed out|eout)|Some NCCL operations have failed or timed out/,
    action: 'check-app',
  },
  {
    code: 'nccl-system-error',
    pattern:
      /\bncclUnhandledCudaError\b|\bncclSystemError\b|\bncclRemoteError\b|\bncclInternalError\b|NCCL error[^\n]{0,200}(?:unhandled (?:system|cuda) error|internal error|remote process)|unhandled system error[^\n]{0,120}NCCL/i,
    action: 'check-app',
  },
  {
    code: 'library-mismatch',
    pattern:
      /Driver\/library version mismatch|\bNVML_ERROR_LIB_RM_VERSION_MISMATCH\b|\bcudaErrorSystemDriverMismatch\b|\bCUDA_ERROR_SYSTEM_DRIVER_MISMATCH\b/,
    action: 'update-software',
  },
  {
    code: 'driver-insufficient',
    pattern:
      /CUDA driver version is insufficient for CUDA runtime version|\bcudaErrorInsufficientDriver\b|NVIDIA driver on your system is too old/,
    action: 'update-software',
  },
  {
    // The runtime's own advice: see that the driver's services run. On a system with NVSwitch that is Fabric Manager.
    code: 'system-not-ready',
    pattern:
      /\bsystem not yet initialized\b|\bcudaErrorSystemNotReady\b|\bCUDA_ERROR_SYSTEM_NOT_READY\b|\bsystem is not yet ready to start any CUDA work\b/i,
    action: 'restart-service',
  },
  {
    // Fabric Manager says so itself and ends.
    code: 'fabric-manager-mismatch',
    pattern:
      /fabric manager NVIDIA GPU driver interface version [\d.]{1,24} (?:don't|doesn't|does not) match with driver version/i,
    action: 'update-software',
  },
  {
    code: 'no-device',
    pattern: /no CUDA-capable device is detected|\bcudaErrorNoDevice\b|\bCUDA_ERROR_NO_DEVICE\b/,
    action: 'monitor',
  },
];

/** Lines that quote the kernel log are the kernel log's business. */
const quotesKernel = /\bS?Xid\b|NVRM:/i;

/**
 * The event that a line of a program's own log tells of; `undefined` for every other line. Such lines are never trusted alone: any program
 * can write them, and they say what it saw, not why. `decoded.code` is one of `applicationErrorCodes`, `decoded.device` the CUDA device
 * the line names, which is the program's own numbering.
 */
export function parseApplicationError(
  line: string,
  at: { readonly file: string; readonly line: number },
): KernelEvent | undefined {
  const text = line.length > maximumLength ? line.slice(0, maximumLength) : line;
  const found = patterns.find(({ pattern }) => pattern.test(text));
  if (!found || quotesKernel.test(text)) return undefined;
  const { code, action } = found;
  const device = /\b(?:GPU|cuda:|device )\s?(\d{1,3})\b/i.exec(text)?.[1];
  const rank = /\brank[ :=]{1,3}(\d{1,6})\b/i.exec(text)?.[1];
  return {
    kind: 'application-error',
    pciAddress: null,
    detail: text,
    decoded: {
      code,
      ...(device === undefined ? {} : { device: Number(device) }),
      ...(rank === undefined ? {} : { rank: Number(rank) }),
    },
    severity: 'warning',
    action,
    at: timeOf(text),
    uptimeSeconds: null,
    trusted: 'unknown',
    raw: text.slice(0, maximumRawLength),
    file: at.file,
    line: at.line,
  };
}

/** An ISO-like time near the beginning of the line, with its zone when it has one; without a zone it is taken as UTC, as in kernel logs. */
function timeOf(text: string): string | null {
  const match =
    /(?<!\d)(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?/.exec(
      text.slice(0, 160),
    );
  return match ? (isoTime(match[0]) ?? null) : null;
}
