import type { AccountedProcess, Gap } from '@k8s-gpu-mcp/core';
import { allocateStruct } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { decodeAccounting } from '../decode/processes.ts';
import { missingFrom, type Reading } from '../decode/values.ts';
import type { Device } from '../device/device.ts';
import { readGrowing } from '../device/growing-list.ts';
import { ListGaps } from '../device/list-gaps.ts';

/** What the driver remembers of processes, also of those that ended. */
export function readAccounted(device: Device, gaps: Gap[]): Reading<readonly AccountedProcess[]> {
  const pidsCall = 'nvmlDeviceGetAccountingPids';
  const capacity = Math.min(device.u32('nvmlDeviceGetAccountingBufferSize').value ?? 256, 4_096);
  const list = readGrowing(pidsCall, Math.max(capacity, 1), 4, (count, buffer) =>
    device.call(pidsCall, count, buffer),
  );
  if ('code' in list) return missingFrom(pidsCall, list.code);
  if ('reason' in list) return list;
  const found = new ListGaps('processes.accounted', 'process');
  const processes: AccountedProcess[] = [];
  for (let position = 0; position < list.count; position += 1) {
    const pid = list.buffer.readUInt32LE(position * 4);
    const call = 'nvmlDeviceGetAccountingStats';
    const stats = allocateStruct('nvmlAccountingStats_t');
    const code = device.call(call, pid, stats);
    if (code === rc.success) processes.push(decodeAccounting(pid, stats, found.taker(pid)));
    // Not found: its place in the driver's buffer was given to a newer process in between.
    else if (code !== rc.notFound) found.noteIncomplete(pid, missingFrom(call, code));
  }
  gaps.push(...found.all());
  return { value: processes.sort((a, b) => (b.startedAt ?? '').localeCompare(a.startedAt ?? '')) };
}
