import { errorCodeOf } from '../os/errno.ts';

/** The three calls on the device; errors carry `code` as those of node:fs do. */
export interface KmsgDevice {
  open(path: string): number;
  /** One record per call. EAGAIN: no more; EPIPE: records were overwritten; EINVAL: the record does not fit. */
  read(descriptor: number, buffer: Buffer): number;
  close(descriptor: number): void;
}

export type KmsgStep =
  | { readonly kind: 'record'; readonly text: string; readonly uptimeMicroseconds: number | null }
  /** Records are gone, or one was no record or already given: step again. */
  | { readonly kind: 'skipped' }
  /** All that there is for now. */
  | { readonly kind: 'end' };

export interface KmsgCursor {
  /** Throws the device's error when it cannot be read any more. */
  next(): KmsgStep;
  /** How many records were lost so far: overwritten before they were read, or too long for any buffer. */
  readonly lostRecordCount: number;
  /** Undefined until a record was read. */
  readonly nextSequence: number | undefined;
}

const maximumBufferBytes = 1024 * 1024;
const maximumRefusalsInARow = 16;

/** A place in /dev/kmsg. `resumeAt` leaves out records before that sequence number, and counts those missing from it on as lost. */
export function createKmsgCursor(device: KmsgDevice, descriptor: number, resumeAt?: number): KmsgCursor {
  // The kernel documents 8 KiB as enough for any record.
  let buffer = Buffer.allocUnsafe(8192);
  let nextSequence = resumeAt;
  let lostRecordCount = 0;
  /** Since the last record. */
  let tooLongCount = 0;
  let refusals = 0;

  const onError = (error: unknown): KmsgStep => {
    const code = errorCodeOf(error);
    if (code === 'EAGAIN') return { kind: 'end' };
    // Overrun: the kernel moved us to its oldest record; the gap in the sequence numbers says how many are gone.
    if (code === 'EPIPE') return { kind: 'skipped' };
    refusals += 1;
    if (code !== 'EINVAL' || refusals > maximumRefusalsInARow) throw error;
    // The kernel has stepped over the record that did not fit; the next one's number tells whether all have.
    if (buffer.length < maximumBufferBytes) buffer = Buffer.allocUnsafe(buffer.length * 2);
    tooLongCount += 1;
    return { kind: 'skipped' };
  };

  return {
    next() {
      let length: number;
      try {
        length = device.read(descriptor, buffer);
      } catch (error) {
        return onError(error);
      }
      if (length === 0) return { kind: 'end' };
      refusals = 0;
      const text = buffer.toString('utf8', 0, length);
      const header = readHeader(text);
      if (!header) return { kind: 'record', text, uptimeMicroseconds: null };
      const { sequence, uptimeMicroseconds } = header;
      if (nextSequence !== undefined && sequence < nextSequence) return { kind: 'skipped' };
      lostRecordCount += nextSequence === undefined ? tooLongCount : sequence - nextSequence;
      tooLongCount = 0;
      nextSequence = sequence + 1;
      return { kind: 'record', text, uptimeMicroseconds };
    },
    get lostRecordCount() {
      return lostRecordCount + tooLongCount;
    },
    get nextSequence() {
      return nextSequence;
    },
  };
}

/** `prefix,sequence,microseconds,flags[,...];` Source: Linux Documentation/ABI/testing/dev-kmsg. */
function readHeader(record: string): { sequence: number; uptimeMicroseconds: number } | undefined {
  const match = /^\d{1,4},(\d{1,15}),(\d{1,15})[,;]/.exec(record);
  return match ? { sequence: Number(match[1]), uptimeMicroseconds: Number(match[2]) } : undefined;
}
