/** Everything that can go wrong between a question and the hardware. Adapters map vendor codes here by table, never by message text. */
export const gpuErrorCodes = {
  LIBRARY_NOT_FOUND: {
    retryable: false,
    hint: 'Install the GPU driver, or point --nvml-library at the vendor library.',
  },
  LIBRARY_INVALID: {
    retryable: false,
    hint: 'The file is not a usable vendor library; check the path and the architecture.',
  },
  DRIVER_NOT_LOADED: {
    retryable: true,
    hint: 'Load the kernel driver (modprobe nvidia) and check the kernel log for why it is not loaded.',
  },
  DRIVER_MISMATCH: {
    retryable: false,
    hint: 'The kernel module and the user-space library differ: restart this process (or pod) so that it sees the new library, else reboot the node.',
  },
  NO_PERMISSION: { retryable: false, hint: 'Run with the permissions listed by the doctor command.' },
  NOT_SUPPORTED: { retryable: false, hint: 'This product or driver does not offer the reading.' },
  GPU_NOT_FOUND: { retryable: false, hint: 'Call get_gpu_inventory for the GPUs of this node.' },
  GPU_LOST: {
    retryable: false,
    hint: 'The GPU does not answer on its bus: drain the node and look at the kernel log (analyze_xid_errors).',
  },
  GPU_HUNG: {
    retryable: true,
    hint: 'The driver did not answer for this GPU in time: look at the kernel log (analyze_xid_errors).',
  },
  RESET_REQUIRED: {
    retryable: false,
    hint: 'The driver asks for a reset of this GPU before it can be used again.',
  },
  TIMEOUT: { retryable: true, hint: 'Ask again, or for fewer sections or one GPU.' },
  ADAPTER_CRASHED: {
    retryable: true,
    hint: 'The process that talks to the driver died; the next call starts a new one.',
  },
  DRIVER_UNRESPONSIVE: {
    retryable: true,
    hint: 'The driver hung and is left alone for a while; the kernel log still answers (analyze_xid_errors).',
  },
  INVALID_INPUT: { retryable: false, hint: 'Correct the argument and call again.' },
  CANCELLED: { retryable: true, hint: 'The caller cancelled the call.' },
  UNAVAILABLE: { retryable: true, hint: 'The source cannot be read here; the doctor command says why.' },
  INTERNAL: { retryable: false, hint: 'This is a defect of the tool; its log has the details.' },
} as const satisfies Record<string, { retryable: boolean; hint: string }>;

export type GpuErrorCode = keyof typeof gpuErrorCodes;

export interface GpuErrorOptions {
  /** What the caller should do next; the default comes from the code. */
  readonly hint?: string;
  readonly retryable?: boolean;
  /** Index, UUID or PCI address of the GPU concerned. */
  readonly gpuId?: string;
  readonly cause?: unknown;
}

const brand = Symbol.for('@k8s-gpu-mcp/core/GpuError');

/** The one error class of the project. `isGpuError` also recognises instances from another copy of this package. */
export class GpuError extends Error {
  override readonly name = 'GpuError';
  readonly code: GpuErrorCode;
  readonly retryable: boolean;
  readonly hint: string;
  readonly gpuId: string | undefined;
  readonly [brand] = true;

  constructor(code: GpuErrorCode, message: string, options: GpuErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? gpuErrorCodes[code].retryable;
    this.hint = options.hint ?? gpuErrorCodes[code].hint;
    this.gpuId = options.gpuId;
  }
}

export function isGpuError(value: unknown): value is GpuError {
  return typeof value === 'object' && value !== null && brand in value;
}
