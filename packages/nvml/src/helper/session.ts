import type { Gap, GpuSample } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField, readText } from '../abi/codec.ts';
import { bufferSizes, rc } from '../abi/constants.ts';
import {
  decodeCudaVersion,
  decodeFlag,
  decodeText,
  describeReturn,
  errorCodeOf,
  initErrorCodeOf,
  missingFrom,
  type Reading,
} from '../decode/values.ts';
import { Device, GpuLostDuringRead, type ProfilingSample, type ReadContext } from '../device/device.ts';
import type { Failure, IdentifyResult, Operation, OperationResults } from '../protocol/protocol.ts';
import { sectionReaders } from '../sections/index.ts';
import { CallFailed } from './call-failed.ts';
import { EventSet } from './event-set.ts';
import { LibraryError, type LoadNative, type NvmlLibrary, openLibrary } from './library.ts';
import { libraryFileOf } from './library-file.ts';

/** The helper's work: carries out one operation after the other on the library it holds. */
export class NvmlSession {
  readonly #load: () => Promise<LoadNative>;
  readonly #onStage: (stage: string) => void;
  #library: NvmlLibrary | undefined;
  #events: EventSet | undefined;
  readonly #profilingSamples = new Map<number, ProfilingSample>();

  constructor(load: () => Promise<LoadNative>, onStage: (stage: string) => void) {
    this.#load = load;
    this.#onStage = onStage;
  }

  async run(
    operation: Operation,
  ): Promise<OperationResults[Operation['kind']] | { readonly failure: Failure }> {
    try {
      switch (operation.kind) {
        case 'open':
          return await this.#open(operation.library);
        case 'describe':
          return this.#describe();
        case 'identify':
          return this.#identify(operation.index);
        case 'read':
          return this.#read(operation);
        case 'watch':
          return this.#watch(operation.leftOut);
        case 'wait':
          return this.#wait(operation.timeoutMilliseconds);
      }
    } catch (error) {
      return { failure: toFailure(error) };
    }
  }

  /** A new process is needed: what is asked of this one from now on is answered with errors. */
  get hasLostDriver(): boolean {
    return this.#library?.hasLostDriver === true;
  }

  shutdown(): void {
    this.#library?.call('nvmlShutdown');
    this.#library = undefined;
  }

  get #opened(): NvmlLibrary {
    if (this.#library === undefined) throw new Error('the library is not open');
    return this.#library;
  }

  async #open(named: string | null) {
    if (this.#library !== undefined) return this.#openResult(this.#library);
    this.#onStage('load the library');
    const library = openLibrary(await this.#load(), named ?? undefined);
    this.#onStage('nvmlInit_v2');
    const code = library.call('nvmlInit_v2');
    if (code !== rc.success) {
      throw new CallFailed(`NVML (${library.path}) cannot start`, 'nvmlInit_v2', code, initErrorCodeOf(code));
    }
    this.#library = library;
    return this.#openResult(library);
  }

  #openResult({ path }: NvmlLibrary) {
    return { library: path, file: libraryFileOf(path) };
  }

  #describe() {
    const library = this.#opened;
    this.#onStage('read versions');
    const gaps: Gap[] = [];
    const take = <T>(field: string, reading: Reading<T>): T | null => {
      if (!('reason' in reading)) return reading.value;
      gaps.push({ field, reason: reading.reason, detail: reading.detail });
      return null;
    };
    const version = (name: 'nvmlSystemGetDriverVersion' | 'nvmlSystemGetNVMLVersion'): Reading<string> => {
      const out = allocate(bufferSizes.systemVersion);
      const code = library.call(name, out, bufferSizes.systemVersion);
      if (code !== rc.success) return missingFrom(name, code);
      return decodeText(name, readText(out, 0, bufferSizes.systemVersion));
    };
    const driverVersion = take('driverVersion', version('nvmlSystemGetDriverVersion'));
    const libraryVersion = take('libraryVersion', version('nvmlSystemGetNVMLVersion'));
    const computeApiVersion = take('computeApiVersion', this.#cudaVersion());
    const driverBranch = take('driverBranch', readDriverBranch(library));
    const confidentialComputingEnabled = take(
      'confidentialComputingEnabled',
      readConfidentialComputing(library),
    );
    return {
      driverVersion,
      libraryVersion,
      computeApiVersion,
      driverBranch,
      confidentialComputingEnabled,
      gpuCount: this.#count(),
      gaps,
    };
  }

  /** Counts GPUs that cannot be opened too. What it says is about the driver: there is no GPU to speak of yet. */
  #count(): number {
    const count = allocate(4);
    const code = this.#opened.call('nvmlDeviceGetCount_v2', count);
    if (code === rc.success) return count.readUInt32LE(0);
    throw new CallFailed('the GPUs cannot be counted', 'nvmlDeviceGetCount_v2', code, initErrorCodeOf(code));
  }

  #cudaVersion(): Reading<string> {
    const library = this.#opened;
    const out = allocate(4);
    const attempt = (name: 'nvmlSystemGetCudaDriverVersion_v2' | 'nvmlSystemGetCudaDriverVersion') => ({
      code: library.call(name, out),
      name,
    });
    const { code, name } = library.firstOf(attempt('nvmlSystemGetCudaDriverVersion_v2'), () =>
      attempt('nvmlSystemGetCudaDriverVersion'),
    );
    return code === rc.success ? decodeCudaVersion(name, out.readInt32LE(0)) : missingFrom(name, code);
  }

  #identify(index: number): IdentifyResult {
    const device = this.#deviceAt(index);
    this.#onStage('read name, UUID and PCI address');
    return this.#identityOf(index, device);
  }

  #identityOf(index: number, device: Device): IdentifyResult {
    const gaps: Gap[] = [];
    const take = (leaf: string, reading: Reading<string>) => {
      if (!('reason' in reading)) return reading.value;
      gaps.push({ gpu: index, field: leaf, reason: reading.reason, detail: reading.detail });
      return null;
    };
    return {
      uuid: take('identity.uuid', device.text('nvmlDeviceGetUUID', bufferSizes.uuid)),
      busId: take('pciAddress', readBusId(device)),
      name: take('identity.name', device.text('nvmlDeviceGetName', bufferSizes.name)),
      gaps,
    };
  }

  #read(operation: Extract<Operation, { kind: 'read' }>): GpuSample {
    const { index, uuid } = operation;
    const startedAt = performance.now();
    const device = this.#deviceAt(index, uuid);
    const context: ReadContext = {
      index,
      peers: operation.peers,
      profilingSamples: this.#profilingSamples,
      onStage: this.#onStage,
    };
    const gaps: Gap[] = [];
    const sample: Record<string, unknown> = {};
    for (const section of new Set(operation.sections)) {
      const read = sectionReaders[section];
      this.#onStage(`read ${section}`);
      const { leaves, gaps: inner = [] } = read(device, context);
      // A copy has all members from the start: filling in values is then cheap.
      const values: Record<string, unknown> = { ...leaves };
      for (const leaf of Object.keys(leaves)) {
        const reading = values[leaf] as Reading<unknown>;
        values[leaf] = reading.value;
        if (!('reason' in reading)) continue;
        const { reason, detail } = reading;
        gaps.push({ gpu: index, field: `${section}.${leaf}`, reason, detail });
      }
      for (const gap of inner) gaps.push({ gpu: index, ...gap });
      sample[section] = values;
    }
    return { ...sample, gaps, probeMilliseconds: performance.now() - startedAt };
  }

  #watch(leftOut: readonly number[]) {
    this.#onStage('prepare for events');
    this.#events?.free();
    this.#events = undefined;
    const events = new EventSet(this.#opened);
    this.#events = events;
    const indexes = Array.from({ length: this.#count() }, (_, index) => index);
    const open = (index: number) => {
      const handle = this.#handleAt(index);
      const device = new Device(this.#opened, handle);
      return { handle, device, identity: this.#identityOf(index, device) };
    };
    const heard = indexes.filter((index) => !leftOut.includes(index));
    return { gpus: events.register(heard, open, this.#onStage) };
  }

  #wait(timeoutMilliseconds: number) {
    if (this.#events === undefined) throw new Error('nothing is being watched');
    this.#onStage('wait for events');
    return { events: this.#events.wait(timeoutMilliseconds) };
  }

  /** Indexes move when a GPU is removed or reset; the UUID, where known, decides. */
  #deviceAt(index: number, uuid: string | null = null): Device {
    const library = this.#opened;
    this.#onStage('open the GPU');
    const device = new Device(library, this.#handleAt(index));
    if (uuid === null) return device;
    const found = device.text('nvmlDeviceGetUUID', bufferSizes.uuid).value;
    if (found === null || found === uuid) return device;
    const handle = allocate(8);
    const name = Buffer.from(`${uuid}\0`);
    const byUuid = library.call('nvmlDeviceGetHandleByUUID', name, handle);
    if (byUuid !== rc.success) {
      throw new CallFailed(`GPU ${uuid} is no longer at index ${index}`, 'nvmlDeviceGetHandleByUUID', byUuid);
    }
    return new Device(library, handle.readBigUInt64LE(0));
  }

  #handleAt(index: number): bigint {
    const handle = allocate(8);
    const code = this.#opened.call('nvmlDeviceGetHandleByIndex_v2', index, handle);
    if (code === rc.success) return handle.readBigUInt64LE(0);
    throw new CallFailed(`GPU ${index} cannot be opened`, 'nvmlDeviceGetHandleByIndex_v2', code);
  }
}

function readDriverBranch(library: NvmlLibrary): Reading<string> {
  const call = 'nvmlSystemGetDriverBranch';
  const info = allocateStruct('nvmlSystemDriverBranchInfo_v1_t');
  const code = library.call(call, info, bufferSizes.systemVersion);
  if (code !== rc.success) return missingFrom(call, code);
  return decodeText(call, readField(info, 'nvmlSystemDriverBranchInfo_v1_t', 'branch'));
}

function readConfidentialComputing(library: NvmlLibrary): Reading<boolean> {
  const call = 'nvmlSystemGetConfComputeState';
  const state = allocateStruct('nvmlConfComputeSystemState_t');
  const code = library.call(call, state);
  if (code !== rc.success) return missingFrom(call, code);
  return decodeFlag(call, readField(state, 'nvmlConfComputeSystemState_t', 'ccFeature'));
}

/** The 8-digit domain form, which is the only one that is not truncated. */
function readBusId(device: Device): Reading<string> {
  const call = 'nvmlDeviceGetPciInfo_v3';
  const info = allocateStruct('nvmlPciInfo_t');
  const code = device.call(call, info);
  if (code !== rc.success) return missingFrom(call, code);
  return decodeText(call, readField(info, 'nvmlPciInfo_t', 'busId'));
}

function toFailure(error: unknown): Failure {
  if (error instanceof CallFailed) return error.failure;
  if (error instanceof GpuLostDuringRead) {
    return {
      code: errorCodeOf(rc.gpuIsLost),
      message: `${error.call} returned ${describeReturn(rc.gpuIsLost)}`,
    };
  }
  if (error instanceof LibraryError) return { code: error.code, message: error.message, hint: error.hint };
  return {
    code: 'INTERNAL',
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}
