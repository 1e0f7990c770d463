import type { Citation, Gap, GpuRef, PartialReadings } from '@k8s-gpu-mcp/core';

/** A part of a file that was not understood: what it is, where it begins, and why it was left out. */
export interface UnreadPart extends Citation {
  /** In our own words, or a heading of the format; never free text of the file. */
  readonly part: string;
  readonly reason: string;
}

/** One GPU as one run of nvidia-smi printed it. */
export interface CapturedGpu {
  readonly ref: GpuRef;
  /** Only the sections that the capture has. */
  readonly readings: PartialReadings;
  /** Why a leaf that the capture names has no value: `N/A` is unsupported, `Insufficient Permissions` no-permission, `GPU is lost` gpu-lost. */
  readonly gaps: readonly Omit<Gap, 'gpu'>[];
  /** By `section.leaf`. */
  readonly citations: Readonly<Record<string, Citation>>;
  /** When the whole GPU could not be read (`ERR!`, `GPU is lost`, `Unable to determine the device handle`). */
  readonly state?: 'lost' | 'reset-required' | 'unreadable';
  readonly stateDetail?: string;
  /** The output ends inside of this GPU: what is not there was not left out by the tool. */
  readonly isCut?: true;
}

/** One run of nvidia-smi, as far as a file holds it. */
export interface SmiCapture extends Citation {
  readonly format: 'nvidia-smi -q -x' | 'nvidia-smi -q' | 'nvidia-smi' | 'nvidia-smi -L';
  /** ISO 8601. The tool prints no time zone: taken as UTC, as log lines are. Null when it prints no time. */
  readonly at: string | null;
  readonly driverVersion: string | null;
  readonly computeApiVersion: string | null;
  /** What the tool says that the driver counts; may be more than `gpus` in a file that was cut. */
  readonly attachedGpuCount: number | null;
  readonly gpus: readonly CapturedGpu[];
  /** When the tool printed only why it failed, for example a version mismatch. */
  readonly failure?: {
    readonly kind: 'version-mismatch' | 'no-driver' | 'no-devices' | 'no-permission' | 'unknown';
    readonly line: number;
  };
  readonly unread: readonly UnreadPart[];
}
