import type { Gap, GpuSection, GpuSectionReadings } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, type MemberValue, outValue, readField, readText } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import type { Arguments, FunctionName } from '../abi/functions.ts';
import type { FieldName, StructName } from '../abi/structs.ts';
import { decodeFlag, decodeText, decodeU32, decodeU64, missingFrom, type Reading } from '../decode/values.ts';
import type { NvmlLibrary } from '../helper/library.ts';

/** The GPU dropped off its bus while it was read: nothing more can come of this read. */
export class GpuLostDuringRead extends Error {
  readonly call: string;
  constructor(call: string) {
    super(`${call}: the GPU is lost`);
    this.call = call;
  }
}

type FunctionsWith<Tail extends readonly unknown[]> = {
  [Name in FunctionName]: Arguments<Name> extends [bigint, ...infer Rest]
    ? Rest extends Tail
      ? Tail extends Rest
        ? Name
        : never
      : never
    : never;
}[FunctionName];

/** One GPU or MIG device while it is read. Every out value is looked at only after the return code said success. */
export class Device {
  readonly library: NvmlLibrary;
  /** Opaque, and worth nothing outside this process. */
  readonly handle: bigint;
  #resetRequired: string | undefined;

  constructor(library: NvmlLibrary, handle: bigint) {
    this.library = library;
    this.handle = handle;
  }

  /** The return code; throws when the GPU is lost. */
  call<Name extends FunctionName>(
    name: Name,
    ...values: Arguments<Name> extends [bigint, ...infer Rest] ? Rest : never
  ): number {
    const code = this.library.call(name, ...([this.handle, ...values] as unknown as Arguments<Name>));
    return this.heed(name, code);
  }

  /** Codes that speak of the GPU rather than of the call. @throws GpuLostDuringRead */
  heed(call: string, code: number): number {
    if (code === rc.gpuIsLost) throw new GpuLostDuringRead(call);
    if (code === rc.resetRequired) this.#resetRequired ??= call;
    return code;
  }

  /** The first call of this read that was refused until the GPU is reset. */
  get resetRequiredBy(): string | undefined {
    return this.#resetRequired;
  }

  u32(name: FunctionsWith<[Buffer]>): Reading<number> {
    const out = outValue();
    const code = this.call(name, out);
    return code === rc.success ? decodeU32(name, out.readUInt32LE(0)) : missingFrom(name, code);
  }

  /** For functions that take a selector (a threshold, a clock) before the out value. */
  u32At(name: FunctionsWith<[number, Buffer]>, selector: number): Reading<number> {
    const out = outValue();
    const code = this.call(name, selector, out);
    const call = `${name}(${selector})`;
    return code === rc.success ? decodeU32(call, out.readUInt32LE(0)) : missingFrom(call, code);
  }

  u32AtPair(name: FunctionsWith<[number, number, Buffer]>, first: number, second: number): Reading<number> {
    const out = outValue();
    const code = this.call(name, first, second, out);
    const call = `${name}(${first}, ${second})`;
    return code === rc.success ? decodeU32(call, out.readUInt32LE(0)) : missingFrom(call, code);
  }

  /** For functions that fill one struct. The value reads its members. */
  struct<Name extends StructName>(
    name: FunctionsWith<[Buffer]>,
    struct: Name,
    prepare?: (buffer: Buffer) => void,
  ): Reading<StructReader<Name>> {
    const buffer = allocateStruct(struct);
    prepare?.(buffer);
    const code = this.call(name, buffer);
    return code === rc.success
      ? { value: (field) => readField(buffer, struct, field) }
      : missingFrom(name, code);
  }

  /** For functions whose out value is 0 or 1. */
  flag(name: FunctionsWith<[Buffer]>): Reading<boolean> {
    return mapReading(this.u32(name), (value) => decodeFlag(name, value));
  }

  u64(name: FunctionsWith<[Buffer]>): Reading<number> {
    const out = outValue();
    const code = this.call(name, out);
    return code === rc.success ? decodeU64(name, out.readBigUInt64LE(0)) : missingFrom(name, code);
  }

  /** Two out values of one call. */
  u32Pair(name: FunctionsWith<[Buffer, Buffer]>): readonly [Reading<number>, Reading<number>] {
    const first = outValue(0);
    const second = outValue(1);
    const code = this.call(name, first, second);
    if (code !== rc.success) return [missingFrom(name, code), missingFrom(name, code)];
    return [decodeU32(name, first.readUInt32LE(0)), decodeU32(name, second.readUInt32LE(0))];
  }

  text(name: FunctionsWith<[Buffer, number]>, size: number): Reading<string> {
    const out = allocate(size);
    const code = this.call(name, out, size);
    return code === rc.success ? decodeText(name, readText(out, 0, size)) : missingFrom(name, code);
  }
}

export type StructReader<Name extends StructName> = <Field extends FieldName<Name>>(
  field: Field,
) => MemberValue<Name, Field>;

/** The older way, where the driver does not offer the newer. Why the newer failed is not hidden by a driver that lacks both. */
export function firstReading<T>(newer: Reading<T>, older: () => Reading<T>): Reading<T> {
  if (!('reason' in newer) || newer.reason !== 'unsupported') return newer;
  const fallback = older();
  return 'reason' in fallback && fallback.reason === 'unsupported' ? newer : fallback;
}

/** Carries a decoded value on, leaving a missing one as it is. */
export function mapReading<From, To>(
  reading: Reading<From>,
  decode: (value: From) => Reading<To>,
): Reading<To> {
  return 'reason' in reading ? reading : decode(reading.value);
}

/** What a section may need beside its own GPU. */
export interface ReadContext {
  readonly index: number;
  /** Indexes of the other GPUs that may be asked about. One that hangs is not among them. */
  readonly peers: readonly number[];
  /** The profiling sample taken by the previous read of each GPU, by index. Lives as long as the library is open. */
  readonly profilingSamples: Map<number, ProfilingSample>;
  /** Says what is about to be done, so that a hang can be named. */
  readonly onStage: (stage: string) => void;
}

export interface ProfilingSample {
  /** `nvmlGpmSample_t`; belongs to the library. */
  readonly handle: bigint;
  /** Of which GPU: an index may have come to mean another one since. */
  readonly device: bigint;
  /** Milliseconds, monotonic. */
  readonly takenAt: number;
}

/** What one section's reader returns: a Reading for every leaf of the core's type, none forgotten. */
export type Leaves<Section extends GpuSection> = {
  readonly [Leaf in keyof NonNullable<GpuSectionReadings[Section]>]-?: Reading<
    NonNullable<NonNullable<GpuSectionReadings[Section]>[Leaf]>
  >;
};

export interface SectionResult<Section extends GpuSection> {
  readonly leaves: Leaves<Section>;
  /** Gaps below the leaves (members of a list). */
  readonly gaps?: readonly Gap[];
}
