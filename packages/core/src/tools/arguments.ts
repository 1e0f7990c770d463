import { z } from 'zod';
import { GpuError } from '../errors.ts';

/** Arguments that several tools share. */
export const gpuArgument = z
  .union([z.int().min(0).max(1023), z.string().min(1).max(128)], {
    error: 'expected an index (0 to 1023), a UUID or unique prefix, a PCI address or a MIG UUID',
  })
  .describe('GPU: index, UUID or unique prefix, PCI address, or MIG UUID. Default: all.')
  .optional();

export const detailArgument = z
  .enum(['summary', 'full'], { error: 'expected "summary" or "full"' })
  .default('summary')
  .describe('"full" adds all fields.');

const durationUnits: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const maximumDurationMilliseconds = 366 * 86_400_000;

/** ISO 8601 with date, or a duration back from now: `30m`, `2h`, `1d`. */
export function timeArgument(what: string) {
  return z
    .string()
    .max(40)
    .describe(`${what}: ISO 8601 time, or duration back from now (30m, 2h, 1d).`)
    .optional();
}

/** @throws GpuError INVALID_INPUT naming the argument. */
export function parseTime(name: string, text: string, nowMilliseconds: number): string {
  const duration = /^(\d{1,6})([smhd])$/.exec(text.trim());
  const back = duration ? Number(duration[1]) * (durationUnits[duration[2] ?? ''] ?? Number.NaN) : undefined;
  if (back !== undefined && back <= maximumDurationMilliseconds)
    return new Date(nowMilliseconds - back).toISOString();
  const isIso =
    /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/i.test(
      text.trim(),
    );
  const time = isIso ? Date.parse(text.trim().replace(',', '.').replace(' ', 'T')) : Number.NaN;
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  throw new GpuError(
    'INVALID_INPUT',
    `${name} = ${JSON.stringify(text)} is neither a time (2026-01-31T12:00:00Z) nor a duration back from now (30m, 2h, 1d; at most 366d).`,
    { hint: 'Correct the argument and call again.' },
  );
}
