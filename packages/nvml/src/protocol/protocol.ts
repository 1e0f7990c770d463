import type { Gap, GpuErrorCode, GpuEventType, GpuSample, GpuSection } from '@k8s-gpu-mcp/core';
import type { LibraryFile } from '../helper/library-file.ts';

/**
 * What parent and helper say to each other: one JSON object a line, requests on the helper's fd 3, replies on its fd 4. Standard output
 * is left alone, so a library that prints cannot spoil a reply. Handles never leave the helper; GPUs are named by index and UUID.
 */
export type Operation =
  /** dlopen and nvmlInit. */
  | { readonly kind: 'open'; readonly library: string | null }
  | { readonly kind: 'describe' }
  | { readonly kind: 'identify'; readonly index: number }
  | {
      readonly kind: 'read';
      readonly index: number;
      /** When known, the device found at the index must have it. */
      readonly uuid: string | null;
      readonly sections: readonly GpuSection[];
      /** Indexes of the other GPUs that may be asked about. */
      readonly peers: readonly number[];
    }
  /** Makes a new event set and registers every GPU but those to be left out. */
  | { readonly kind: 'watch'; readonly leftOut: readonly number[] }
  /** Events since the last `wait`, or `watch`. */
  | { readonly kind: 'wait'; readonly timeoutMilliseconds: number };

export interface OpenResult {
  readonly library: string;
  /** Null where it cannot be told which file was loaded. */
  readonly file: LibraryFile | null;
}

export interface DescribeResult {
  readonly driverVersion: string | null;
  readonly libraryVersion: string | null;
  readonly computeApiVersion: string | null;
  readonly driverBranch: string | null;
  readonly confidentialComputingEnabled: boolean | null;
  readonly gpuCount: number;
  readonly gaps: readonly Gap[];
}

export interface IdentifyResult {
  readonly uuid: string | null;
  /** As the driver prints it. */
  readonly busId: string | null;
  readonly name: string | null;
  readonly gaps: readonly Gap[];
}

/** A GPU whose events are heard, unless it has gaps. */
export interface WatchedGpu extends IdentifyResult {
  readonly index: number;
}

export interface RawEvent {
  /** Null for a device that was not registered. */
  readonly index: number | null;
  /** Null for a type that is newer than this program. */
  readonly type: GpuEventType | null;
  readonly typeBits: string;
  readonly data: number;
  readonly gpuInstanceId: number | null;
  readonly computeInstanceId: number | null;
}

export interface OperationResults {
  readonly open: OpenResult;
  readonly describe: DescribeResult;
  readonly identify: IdentifyResult;
  readonly read: GpuSample;
  readonly watch: { readonly gpus: readonly WatchedGpu[] };
  readonly wait: { readonly events: readonly RawEvent[] };
}

export interface Failure {
  readonly code: GpuErrorCode;
  readonly message: string;
  readonly hint?: string;
}

export type Request = { readonly id: number; readonly operation: Operation };
export type Reply =
  /** What the helper is about to do: the last one before a hang says where. */
  | { readonly id: number; readonly stage: string; readonly at?: number }
  | {
      readonly id: number;
      readonly result: unknown;
      /** The driver left while this was read: a process that has NVML open never gets it back. */
      readonly hasLostDriver?: boolean;
    }
  | { readonly id: number; readonly failure: Failure };

/** The stages that ask about another GPU than the one being read, or about one of many. */
export const listeningStage = (index: number) => `listen to GPU ${index}`;
const stageOfOneGpu = /^(?:relation|listen) to GPU (\d{1,5})$/;

/** The GPU that has not answered if this stage is the last word of a helper. */
export function suspectOfStage(stage: string): number | undefined {
  const index = stageOfOneGpu.exec(stage)?.[1];
  return index === undefined ? undefined : Number(index);
}

/** Splits a byte stream into lines; a line longer than `maxBytes` is an error of the other side. */
export function lineSplitter(onLine: (line: string) => void, maxBytes = 4 * 1024 * 1024) {
  let rest = Buffer.alloc(0);
  return (chunk: Buffer): void => {
    let pending = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
      const line = pending.toString('utf8', 0, end);
      pending = pending.subarray(end + 1);
      if (line !== '') onLine(line);
    }
    if (pending.length > maxBytes) throw new RangeError(`a line of more than ${maxBytes} bytes`);
    rest = Buffer.from(pending);
  };
}

/** A reply, or undefined for a line that is none. */
export function parseReply(line: string): Reply | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('id' in value) || typeof value.id !== 'number') {
    return undefined;
  }
  if ('stage' in value || 'result' in value || 'failure' in value) return value as Reply;
  return undefined;
}

/** The replies in a byte stream. */
export function replySplitter(onReply: (reply: Reply) => void) {
  return lineSplitter((line) => {
    const reply = parseReply(line);
    if (reply !== undefined) onReply(reply);
  });
}
