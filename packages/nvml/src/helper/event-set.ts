import type { Gap } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { gapReasonOf, missingFrom } from '../decode/values.ts';
import { type Device, GpuLostDuringRead } from '../device/device.ts';
import { eventTypeBits, knownEventTypes } from '../events/event-types.ts';
import { type IdentifyResult, listeningStage, type RawEvent, type WatchedGpu } from '../protocol/protocol.ts';
import { CallFailed } from './call-failed.ts';
import type { NvmlLibrary } from './library.ts';

/** Taken from the driver in one go; what is left comes with the next call. */
const maxEventsPerWait = 256;
/** All ones: the event is not of an instance. */
const noInstance = 0xffff_ffff;

export interface OpenedGpu {
  readonly handle: bigint;
  readonly device: Device;
  readonly identity: IdentifyResult;
}

/** An NVML event set, in the helper process. It hears only what happens after registration. */
export class EventSet {
  readonly #library: NvmlLibrary;
  readonly #set: bigint;
  readonly #indexByHandle = new Map<bigint, number>();

  constructor(library: NvmlLibrary) {
    this.#library = library;
    const out = allocate(8);
    const code = library.call('nvmlEventSetCreate', out);
    if (code !== rc.success) throw new CallFailed('events cannot be received', 'nvmlEventSetCreate', code);
    this.#set = out.readBigUInt64LE(0);
  }

  /** Registers each GPU for all it can report; one that cannot be registered is a gap, and the others are heard. */
  register(
    indexes: readonly number[],
    open: (index: number) => OpenedGpu,
    onStage: (stage: string) => void,
  ): readonly WatchedGpu[] {
    return indexes.map((index) => {
      onStage(listeningStage(index));
      try {
        const { handle, device, identity } = open(index);
        const gap = this.#registerOne(index, device);
        if (gap === undefined) this.#indexByHandle.set(handle, index);
        return { index, ...identity, gaps: gap === undefined ? [] : [gap] };
      } catch (error) {
        return { index, uuid: null, busId: null, name: null, gaps: [gapFrom(index, error)] };
      }
    });
  }

  #registerOne(index: number, device: Device): Gap | undefined {
    const out = allocate(8);
    const asked = device.call('nvmlDeviceGetSupportedEventTypes', out);
    if (asked !== rc.success) return eventGap(index, missingFrom('nvmlDeviceGetSupportedEventTypes', asked));
    // With one unsupported bit the driver registers nothing at all.
    const types = out.readBigUInt64LE(0) & knownEventTypes;
    if (types === 0n) {
      return eventGap(index, { reason: 'unsupported', detail: 'this GPU reports no events' });
    }
    const code = device.call('nvmlDeviceRegisterEvents', types, this.#set);
    return code === rc.success ? undefined : eventGap(index, missingFrom('nvmlDeviceRegisterEvents', code));
  }

  /** What came within the time; none is no error. */
  wait(timeoutMilliseconds: number): readonly RawEvent[] {
    const events: RawEvent[] = [];
    for (let left = timeoutMilliseconds; events.length < maxEventsPerWait; left = 0) {
      const data = allocateStruct('nvmlEventData_t');
      const code = this.#library.call('nvmlEventSetWait_v2', this.#set, data, left);
      if (code === rc.timeout) break;
      if (code !== rc.success) {
        // What was heard before the trouble is told first; the trouble is still there at the next call.
        if (events.length > 0) break;
        throw new CallFailed('events are no longer received', 'nvmlEventSetWait_v2', code);
      }
      events.push(this.#decode(data));
    }
    return events;
  }

  free(): void {
    this.#library.call('nvmlEventSetFree', this.#set);
  }

  #decode(data: Buffer): RawEvent {
    const read = <Field extends 'device' | 'eventType' | 'eventData'>(field: Field) =>
      readField(data, 'nvmlEventData_t', field);
    const instance = (field: 'gpuInstanceId' | 'computeInstanceId') => {
      const id = readField(data, 'nvmlEventData_t', field);
      return id === noInstance ? null : id;
    };
    const bits = read('eventType');
    return {
      index: this.#indexByHandle.get(read('device')) ?? null,
      type: eventTypeBits.find(([bit]) => bit === bits)?.[1] ?? null,
      typeBits: `0x${bits.toString(16)}`,
      data: Number(read('eventData')),
      gpuInstanceId: instance('gpuInstanceId'),
      computeInstanceId: instance('computeInstanceId'),
    };
  }
}

function eventGap(gpu: number, { reason, detail }: Pick<Gap, 'reason' | 'detail'>): Gap {
  return { gpu, field: 'events', reason, detail };
}

function gapFrom(index: number, error: unknown): Gap {
  if (error instanceof GpuLostDuringRead) {
    return eventGap(index, missingFrom(error.call, rc.gpuIsLost));
  }
  if (!(error instanceof CallFailed)) throw error;
  return eventGap(index, { reason: gapReasonOf(error.returnCode), detail: error.message });
}
