import { allocateStruct, readField } from '../abi/codec.ts';
import { fieldIds, performancePolicies, rc } from '../abi/constants.ts';
import { decodeNanoseconds, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, firstReading, type Leaves } from '../device/device.ts';
import { readNamedFields } from '../device/fields.ts';

const fieldsOfSection = {
  power: fieldIds.violationPower,
  thermal: fieldIds.violationThermal,
  syncBoost: fieldIds.violationSyncBoost,
  boardLimit: fieldIds.violationBoardLimit,
  lowUtilization: fieldIds.violationLowUtilization,
  reliability: fieldIds.violationReliability,
  applicationClocks: fieldIds.violationApplicationClocks,
  baseClocks: fieldIds.violationBaseClocks,
};

/** One call for all of them; the function for one policy at a time is deprecated since NVML 13.0. */
export function readViolations(device: Device): Leaves<'violations'> {
  const field = readNamedFields(device, fieldsOfSection);
  const microseconds = (policy: keyof typeof performancePolicies) =>
    firstReading(field(policy, 'nanoseconds'), () => readPolicy(device, performancePolicies[policy]));
  return {
    powerMicroseconds: microseconds('power'),
    thermalMicroseconds: microseconds('thermal'),
    syncBoostMicroseconds: microseconds('syncBoost'),
    boardLimitMicroseconds: microseconds('boardLimit'),
    lowUtilizationMicroseconds: microseconds('lowUtilization'),
    reliabilityMicroseconds: microseconds('reliability'),
    applicationClocksMicroseconds: microseconds('applicationClocks'),
    baseClocksMicroseconds: microseconds('baseClocks'),
  };
}

function readPolicy(device: Device, policy: number): Reading<number> {
  const call = `nvmlDeviceGetViolationStatus(${policy})`;
  const status = allocateStruct('nvmlViolationTime_t');
  const code = device.call('nvmlDeviceGetViolationStatus', policy, status);
  if (code !== rc.success) return missingFrom(call, code);
  return decodeNanoseconds(call, readField(status, 'nvmlViolationTime_t', 'violationTime'));
}
