import type { GpuEventType } from '@k8s-gpu-mcp/core';
import { eventTypeBits } from '../events/event-types.ts';
import { missing, type Reading } from './values.ts';

/** The types in a mask, in the order of their bits. A bit that a newer driver has and we have no word for is left out. */
export function decodeEventTypes(call: string, mask: bigint): Reading<readonly GpuEventType[]> {
  const value = eventTypeBits.filter(([bit]) => (mask & bit) !== 0n).map(([, type]) => type);
  // "Only what we cannot name" must not read as "nothing".
  if (mask !== 0n && value.length === 0) {
    return missing('error', `${call}: unknown event types 0x${mask.toString(16)}`);
  }
  return { value };
}
