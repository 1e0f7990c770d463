import type { EccLocationCounts } from '@k8s-gpu-mcp/core';
import { allocate } from '../abi/codec.ts';
import { eccCounterTypes, memoryErrorTypes, memoryLocationSram, rc } from '../abi/constants.ts';
import {
  decodeFlag,
  decodeU64,
  eccLocationByValue,
  missing,
  missingFrom,
  type Reading,
} from '../decode/values.ts';
import { type Device, type Leaves, mapReading, type SectionResult } from '../device/device.ts';
import { ListGaps } from '../device/list-gaps.ts';

const { corrected, uncorrected } = memoryErrorTypes;
const { volatile, aggregate } = eccCounterTypes;

export function readEcc(device: Device): SectionResult<'ecc'> {
  const mode = 'nvmlDeviceGetEccMode';
  const [current, pending] = device.u32Pair(mode);
  const total = (error: number, counter: number): Reading<number> => {
    const call = `nvmlDeviceGetTotalEccErrors(${error}, ${counter})`;
    const out = allocate(8);
    const code = device.call('nvmlDeviceGetTotalEccErrors', error, counter, out);
    return code === rc.success ? decodeU64(call, out.readBigUInt64LE(0)) : missingFrom(call, code);
  };
  const byLocation = eccLocationByValue.map((_, location) => readLocation(device, location));
  const gaps = new ListGaps('ecc.locations', 'location');
  return {
    leaves: {
      enabled: mapReading(current, (value) => decodeFlag(mode, value)),
      pendingEnabled: mapReading(pending, (value) => decodeFlag(mode, value)),
      correctableVolatileCount: total(corrected, volatile),
      uncorrectableVolatileCount: total(uncorrected, volatile),
      correctableAggregateCount: total(corrected, aggregate),
      uncorrectableAggregateCount: total(uncorrected, aggregate),
      ...readSram(device, byLocation[memoryLocationSram]),
      locations: listLocations(byLocation, gaps),
    },
    gaps: gaps.all(),
  };
}

interface LocationReadings {
  readonly correctableVolatileCount: Reading<number>;
  readonly uncorrectableVolatileCount: Reading<number>;
  readonly correctableAggregateCount: Reading<number>;
  readonly uncorrectableAggregateCount: Reading<number>;
}

const counters: readonly (keyof LocationReadings)[] = [
  'correctableVolatileCount',
  'uncorrectableVolatileCount',
  'correctableAggregateCount',
  'uncorrectableAggregateCount',
];

/** A location without volatile counters has no aggregate ones either, which saves half of the calls. */
function readLocation(device: Device, location: number): LocationReadings {
  const name = 'nvmlDeviceGetMemoryErrorCounter';
  const count = (error: number, counter: number): Reading<number> => {
    const call = `${name}(${error}, ${counter})`;
    const out = allocate(8);
    const code = device.call(name, error, counter, location, out);
    return code === rc.success ? decodeU64(call, out.readBigUInt64LE(0)) : missingFrom(call, code);
  };
  const correctableVolatileCount = count(corrected, volatile);
  const uncorrectableVolatileCount = count(uncorrected, volatile);
  const isCounted = !isUnsupported(correctableVolatileCount) || !isUnsupported(uncorrectableVolatileCount);
  return {
    correctableVolatileCount,
    uncorrectableVolatileCount,
    correctableAggregateCount: isCounted ? count(corrected, aggregate) : correctableVolatileCount,
    uncorrectableAggregateCount: isCounted ? count(uncorrected, aggregate) : uncorrectableVolatileCount,
  };
}

function isUnsupported(reading: Reading<number>): boolean {
  return 'reason' in reading && reading.reason === 'unsupported';
}

function listLocations(byLocation: readonly LocationReadings[], gaps: ListGaps): Leaves<'ecc'>['locations'] {
  if (byLocation.every((counts) => counters.every((counter) => 'reason' in counts[counter]))) {
    const all = byLocation.flatMap((counts) => counters.map((counter) => counts[counter]));
    // Where some failed otherwise than by not being there, that is what to know.
    const [first] = [...all.filter((reading) => !isUnsupported(reading)), ...all];
    return first !== undefined && 'reason' in first ? first : missing('error', 'no location was asked');
  }
  const value = byLocation.flatMap((counts, position): EccLocationCounts[] => {
    const location = eccLocationByValue[position];
    const isAbsent = counters.every((counter) => isUnsupported(counts[counter]));
    if (location === undefined || isAbsent) return [];
    const taker = gaps.taker(position);
    const take = (member: keyof LocationReadings) => taker(member, counts[member]);
    return [
      {
        location,
        correctableVolatileCount: take('correctableVolatileCount'),
        uncorrectableVolatileCount: take('uncorrectableVolatileCount'),
        correctableAggregateCount: take('correctableAggregateCount'),
        uncorrectableAggregateCount: take('uncorrectableAggregateCount'),
      },
    ];
  });
  return { value };
}

type SramLeaves = Pick<Leaves<'ecc'>, Extract<keyof Leaves<'ecc'>, `sram${string}`>>;

/** The status wants root, by the header's word; the counter for the location gives at least the counts without. */
function readSram(device: Device, location: LocationReadings | undefined): SramLeaves {
  const call = 'nvmlDeviceGetSramEccErrorStatus';
  const status = device.struct(call, 'nvmlEccSramErrorStatus_v1_t');
  const sum = (...members: readonly CountMember[]): Reading<number> =>
    mapReading(status, (read) =>
      decodeU64(
        call,
        members.reduce((total, member) => total + read(member), 0n),
      ),
    );
  const counted = (counter: keyof LocationReadings, ...members: readonly CountMember[]) => {
    const fromStatus = sum(...members);
    if (!('reason' in fromStatus) || location === undefined) return fromStatus;
    return 'reason' in location[counter] ? fromStatus : location[counter];
  };
  return {
    sramCorrectableVolatileCount: counted('correctableVolatileCount', 'volatileCor'),
    sramCorrectableAggregateCount: counted('correctableAggregateCount', 'aggregateCor'),
    sramUncorrectableVolatileCount: counted(
      'uncorrectableVolatileCount',
      'volatileUncParity',
      'volatileUncSecDed',
    ),
    sramUncorrectableAggregateCount: counted(
      'uncorrectableAggregateCount',
      'aggregateUncParity',
      'aggregateUncSecDed',
    ),
    sramThresholdExceeded: mapReading(status, (read) => decodeFlag(call, read('bThresholdExceeded'))),
    sramUncorrectableL2AggregateCount: sum('aggregateUncBucketL2'),
    sramUncorrectableSmAggregateCount: sum('aggregateUncBucketSm'),
    sramUncorrectablePcieAggregateCount: sum('aggregateUncBucketPcie'),
    sramUncorrectableMicrocontrollerAggregateCount: sum('aggregateUncBucketMcu'),
    sramUncorrectableOtherAggregateCount: sum('aggregateUncBucketOther'),
  };
}
type CountMember =
  | 'aggregateCor'
  | 'volatileCor'
  | `${'aggregate' | 'volatile'}Unc${'Parity' | 'SecDed'}`
  | `aggregateUncBucket${'L2' | 'Sm' | 'Pcie' | 'Mcu' | 'Other'}`;
