/**
 * The timestamps that logs carry. A time without a zone (`dmesg -T`, RFC 3164) is taken as UTC: the log does not tell, and the machine that
 * reads it need not be the one that wrote it.
 */

/** Lower-case month names of the locales seen in logs, without a trailing dot. */
const months = new Map<string, number>(
  [
    'jan ene gen janv sty 1月',
    'feb fev fév févr lut 2月',
    'mar mär mrz mrt mars 3月',
    'apr abr avr kwi 4月',
    'may mai mag mei maj 5月',
    'jun giu juin cze 6月',
    'jul lug juil lip 7月',
    'aug ago août aoû sie 8月',
    'sep set sept wrz 9月',
    'oct okt ott out paź 10月',
    'nov lis 11月',
    'dec dez dic déc gru 12月',
  ].flatMap((names, month) => names.split(' ').map((name): [string, number] => [name, month])),
);

/** 0 to 11, or `undefined` for something that is no month in any known locale. */
export function monthOf(name: string): number | undefined {
  return months.get(name.toLowerCase().replace(/\.$/, ''));
}

const dayMilliseconds = 86_400_000;

/** The latest year in which this date is not in the future (a day's tolerance for zones). */
export function resolveYear(
  month: number,
  day: number,
  timeOfDay: string,
  nowMilliseconds: number,
): string | undefined {
  const year = new Date(nowMilliseconds).getUTCFullYear();
  for (const candidate of [year + 1, year, year - 1]) {
    const at = utc(candidate, month, day, timeOfDay);
    if (at !== undefined && Date.parse(at) <= nowMilliseconds + dayMilliseconds) return at;
  }
  return undefined;
}

/** ISO 8601 of a date and `HH:MM[:SS[.fraction]]`; `undefined` when it does not exist. */
export function utc(year: number, month: number, day: number, timeOfDay: string): string | undefined {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?$/.exec(timeOfDay);
  if (!match) return undefined;
  const [, hour, minute, second = '0', fraction = '0'] = match;
  const milliseconds = Math.floor(Number(`0.${fraction}`) * 1000);
  const date = new Date(
    Date.UTC(year, month, day, Number(hour), Number(minute), Number(second), milliseconds),
  );
  const exists =
    date.getUTCMonth() === month && date.getUTCDate() === day && Number(hour) < 24 && Number(minute) < 60;
  return exists ? date.toISOString() : undefined;
}

/** `2026-10-04T14:16:55.123456+03:00`, with `+0300`, a comma, a space or no zone as well. */
export function isoTime(text: string): string | undefined {
  const match = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?$/.exec(
    text,
  );
  if (!match) return undefined;
  const [, date, time, fraction = '0', zone = 'Z'] = match;
  const offset = zone === 'Z' || zone.includes(':') ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
  return fromMilliseconds(Date.parse(`${date}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}${offset}`));
}

/** ISO 8601, or `undefined` outside what a date can hold. */
export function fromMilliseconds(milliseconds: number): string | undefined {
  return Number.isFinite(milliseconds) && Math.abs(milliseconds) <= 8.64e15
    ? new Date(milliseconds).toISOString()
    : undefined;
}

/** Wall-clock time of a moment since boot, when the boot time is known. */
export function sinceBoot(uptimeSeconds: number, bootedAt: string | undefined): string | null {
  if (bootedAt === undefined) return null;
  return fromMilliseconds(Date.parse(bootedAt) + uptimeSeconds * 1000) ?? null;
}
