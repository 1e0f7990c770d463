import type { Action } from './verdict.ts';

/**
 * Whether the kernel itself wrote a record. `false`: its facility says that a user-space program did. `'unknown'`: the source carries
 * no facility (text files). Forgery affects trust, not recognition.
 */
export type Trust = boolean | 'unknown';

/** One kernel-log message, freed from its container. */
export interface KernelLogRecord {
  /** The message without timestamp, host, facility or other prefix. May hold several lines (a multi-line printk). */
  readonly text: string;
  /** The line as it stood in its source, capped in length. Untrusted. */
  readonly raw: string;
  /** ISO 8601, when the source tells wall-clock time or the boot time is known. */
  readonly at: string | null;
  /** Seconds since boot, when the source tells it. */
  readonly uptimeSeconds: number | null;
  readonly trusted: Trust;
  /** File and 1-based line, for records that came from a file. */
  readonly file?: string;
  readonly line?: number;
  /** How often the container says the message was repeated (`last message repeated 3 times`); absent for once. */
  readonly repeatCount?: number;
  /** The boot that wrote it, where the source tells (journald). */
  readonly bootId?: string;
}

export const kernelEventKinds = [
  'xid',
  'sxid',
  'bus-loss',
  'init-failure',
  'version-mismatch',
  'driver-load',
  'gpu-hang',
  'gsp-fault',
  'memory-fault',
  'nvlink-fault',
  'gpu-identity',
  'pcie-error',
  'iommu-fault',
  'machine-check',
  'oom-kill',
  'hung-task',
  'segfault',
  'boot',
  'application-error',
] as const;
export type KernelEventKind = (typeof kernelEventKinds)[number];

/**
 * `fatal`: the GPU (or machine) must be reset or restarted before more work. `critical`: prompt action, limited scope or depends on a
 * further decode. `warning`: one application or a degraded function. `info`: no action by itself.
 */
export const eventSeverities = ['fatal', 'critical', 'warning', 'info'] as const;
export type EventSeverity = (typeof eventSeverities)[number];

/** Facts read out of the detail text. Flat, JSON-safe, keys in camelCase with units. */
export type DecodedDetail = Readonly<Record<string, string | number | boolean | readonly number[] | null>>;

export interface KernelEvent {
  readonly kind: KernelEventKind;
  readonly xid?: number;
  readonly sxid?: number;
  /** `domain:bus:device`, lower case; null when the line names none or it was redacted. */
  readonly pciAddress: string | null;
  readonly gpuUuid?: string;
  readonly gpuInstanceId?: number;
  readonly computeInstanceId?: number;
  /** Process id on the host. */
  readonly pid?: number;
  /** Thread name, at most 15 bytes on a real kernel. Untrusted. */
  readonly processName?: string;
  /** NVLink or NVSwitch link number. */
  readonly link?: number;
  /** Number of the NVSwitch (SXid only). */
  readonly switchIndex?: number;
  /** The rest of the message. Untrusted. */
  readonly detail: string;
  readonly decoded?: DecodedDetail;
  readonly severity: EventSeverity;
  /** The catalogue's immediate action for this event, refined by its decoded detail. */
  readonly action: Action;
  readonly at: string | null;
  readonly uptimeSeconds: number | null;
  readonly trusted: Trust;
  readonly raw: string;
  readonly file?: string;
  readonly line?: number;
  readonly repeatCount?: number;
  readonly bootId?: string;
}
