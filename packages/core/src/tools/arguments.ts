import { z } from 'zod';
import { GpuError } from '../errors.ts';

// Arguments that several tools share.

const gpuExpected = 'expected an index (0 to 1023), a UUID or unique prefix, a PCI address or a MIG UUID';

export const gpuArgument = z
  .union(
    [
      z.int().min(0, gpuExpected).max(1023, gpuExpected),
      z.string().min(1, gpuExpected).max(128, gpuExpected),
    ],
    {
      error: gpuExpected,
    },
  )
  .describe('GPU: index, UUID or unique prefix, PCI address, or MIG UUID. Default: all.')
  .optional();

export const detailArgument = z
  .enum(['summary', 'full'], { error: 'expected "summary" or "full"' })
  .default('summary')
  .describe('"full" adds all fields.');

const durationUnits: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const maximumDurationMilliseconds = 366 * 86_400_000;

/** ISO 8601 with date (UTC unless it has an offset), or a duration back from now: `30m`, `2h`, `1d`. */
export function timeArgument(what: string) {
  return z
    .string()
    .max(40)
    .describe(`${what}: ISO 8601 time, or duration back from now (30m, 2h, 1d).`)
    .optional();
}

const isoTime =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)(Z|[+-]\d{2}:?\d{2})?)?$/i;

/** Milliseconds since 1970; `undefined` for what is no ISO 8601 time or no day of the calendar (the platform would roll 31 February over). */
function parseIsoTime(text: string): number | undefined {
  const [, date = '', time = '00:00', offset = 'Z'] = isoTime.exec(text) ?? [];
  const day = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(date)) return undefined;
  const colon = /^[+-]\d{4}$/.test(offset) ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset;
  const moment = Date.parse(`${date}T${time.replace(',', '.')}${colon.toUpperCase()}`);
  return Number.isNaN(moment) ? undefined : moment;
}

/** @throws GpuError INVALID_INPUT naming the argument. */
export function parseTime(name: string, text: string, nowMilliseconds: number): string {
  const duration = /^(\d{1,6})([smhd])$/.exec(text.trim());
  const back = duration ? Number(duration[1]) * (durationUnits[duration[2] ?? ''] ?? Number.NaN) : undefined;
  if (back !== undefined && back <= maximumDurationMilliseconds)
    return new Date(nowMilliseconds - back).toISOString();
  const time = parseIsoTime(text.trim());
  if (time !== undefined) return new Date(time).toISOString();
  throw new GpuError(
    'INVALID_INPUT',
    `${name} = ${JSON.stringify(text)} is neither a time (2026-01-31T12:00:00Z) nor a duration back from now (30m, 2h, 1d; at most 366d).`,
    { hint: `Correct ${name} or leave it out.` },
  );
}

/**
 * An empty window would look like a log without errors. Times as `parseTime` made them.
 *
 * @throws GpuError INVALID_INPUT when `since` is after `until`, or in the future.
 */
export function checkOrder(since: string, nowMilliseconds: number, until?: string): void {
  const end = until ?? new Date(nowMilliseconds).toISOString();
  if (since <= end) return;
  throw new GpuError(
    'INVALID_INPUT',
    `since = "${since}" is after ${until === undefined ? 'now' : 'until'} = "${end}".`,
    {
      hint: until === undefined ? 'Give a since before now.' : 'Give a since before until.',
    },
  );
}
