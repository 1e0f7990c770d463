import type { GpuCollector } from './gpu-collector.ts';
import * as values from './values.ts';
import { missing } from './values.ts';

/** What the cells of the plain table say. */

export const onOrOff = values.wordOf({ On: true, Off: false });
/** Without a blank before the unit. */
export const tableBytes = values.bytes;

/** `a / b`. */
export function halves(text: string): readonly [string | undefined, string | undefined] {
  const at = text.indexOf('/ ');
  return at === -1 ? [text, undefined] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** A count of errors, `Off` where ECC is off, `On` where MIG hides the count, `N/A` where there is no ECC. */
export function readEccCell(collector: GpuCollector, cell: string, line: number): void {
  const text = cell.split(' ').at(-1) ?? '';
  const mode = onOrOff(text);
  if (mode.value !== null) {
    collector.put('ecc.enabled', line, mode);
    const why = mode.value ? 'nvidia-smi prints no count while MIG is on' : 'ECC is off';
    collector.put('ecc.uncorrectableVolatileCount', line, missing('not-observable', why));
    return;
  }
  const count = collector.read(cell, values.count);
  collector.put('ecc.uncorrectableVolatileCount', line, count);
  if (count.value !== null) collector.put('ecc.enabled', line, { value: true });
}

/** `30%   33C    P8    16W / 350W`, the memory, the utilization and the compute mode. */
export function readSecondLine(
  collector: GpuCollector,
  left: string,
  memory: string,
  right: string,
  line: number,
): void {
  const plain = left.split(' ').filter((word) => word !== '');
  const [fan = '', temperature = '', state = ''] = plain;
  collector.print('thermal.fanSpeedPercent', line, fan, values.percent);
  collector.print('thermal.temperatureCelsius', line, temperature, values.celsius);
  collector.print('clocks.performanceState', line, state, values.performanceState);
  // The other slash of the line, that of `N/A`, has no blank behind it.
  const [draw, limit] = halves(plain.slice(3).join(' '));
  if (draw !== undefined && draw !== '') collector.print('power.drawWatts', line, draw, values.watts);
  if (limit !== undefined) collector.print('power.enforcedLimitWatts', line, limit, values.watts);
  const [used, total] = halves(memory);
  if (used !== undefined && used !== '') collector.print('memory.usedBytes', line, used, tableBytes);
  if (total !== undefined) collector.print('memory.totalBytes', line, total, tableBytes);
  const space = right.indexOf(' ');
  const [utilization, mode] =
    space === -1 ? [right, ''] : [right.slice(0, space), right.slice(space + 1).trim()];
  collector.print('utilization.gpuPercent', line, utilization, values.percent);
  if (mode !== '') collector.print('identity.computeMode', line, mode, values.computeMode);
}

/** The MIG mode; a star says that the other one is pending. */
export function readThirdLine(collector: GpuCollector, right: string, line: number): void {
  if (right === '') return;
  const isPending = right.endsWith('*');
  const mode = collector.read(isPending ? right.slice(0, -1) : right, values.flag);
  collector.put('mig.enabled', line, mode);
  collector.put(
    'mig.pendingEnabled',
    line,
    mode.value === null ? mode : { value: isPending ? !mode.value : mode.value },
  );
}
