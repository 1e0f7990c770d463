import type { Incident } from '../src/domain/incident.ts';
import { createKernelLogLineReader } from '../src/xid/container.ts';
import { type GroupIncidentsOptions, groupIncidents } from '../src/xid/incidents.ts';
import { parseKernelEvent } from '../src/xid/parse.ts';

const startMilliseconds = Date.UTC(2026, 0, 1);

/** ISO 8601, so many seconds after the beginning of the logs of these tests. */
export const secondsIn = (seconds: number): string =>
  new Date(startMilliseconds + seconds * 1000).toISOString();

/** A line of the kernel as rsyslog writes it. */
export const kernelLine = (seconds: number, text: string): string =>
  `${secondsIn(seconds)} node kernel: ${text}`;

/** An Xid line of the GPU on 3b, unless another is named. */
export const xidAt = (seconds: number, xid: number, rest: string, device = '3b'): string =>
  kernelLine(seconds, `NVRM: Xid (PCI:0000:${device}:00): ${xid}, ${rest}`);

export const driverLoadAt = (seconds: number): string =>
  kernelLine(
    seconds,
    'NVRM: loading NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 02:07:46 UTC 2026',
  );

/** What lines of a log come to, by reader, parser and grouping. */
export function incidentsOf(
  lines: readonly string[],
  options: GroupIncidentsOptions = {},
): readonly Incident[] {
  const reader = createKernelLogLineReader({ nowMilliseconds: startMilliseconds, file: 'kern.log' });
  const records = [...lines.flatMap((line, index) => reader.push(line, index + 1)), ...reader.end()];
  return groupIncidents(
    records.flatMap((record) => parseKernelEvent(record) ?? []),
    options,
  );
}
