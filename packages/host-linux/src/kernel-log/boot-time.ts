import { readFileSync } from 'node:fs';

export type ReadText = (path: string) => string;
export const readTextFile: ReadText = (path) => readFileSync(path, 'utf8');

/**
 * When this machine started, ISO 8601; `undefined` when neither source can be read.
 *
 * Time of day minus CLOCK_BOOTTIME (/proc/uptime), else `btime` of /proc/stat (whole seconds). The kernel stamps its messages with a
 * clock that stands still while the machine is suspended, so on a laptop, unlike on a server, boot time + message time can be too
 * early by the time spent suspended. A container runtime that fakes /proc/uptime (lxcfs) shifts the result as well.
 */
export function readBootedAt(nowMilliseconds: number, readText: ReadText = readTextFile): string | undefined {
  const uptimeSeconds = firstNumber(readText, '/proc/uptime', /^(\d+(?:\.\d+)?)\s/);
  if (uptimeSeconds !== undefined) return isoFromMilliseconds(nowMilliseconds - uptimeSeconds * 1000);
  const bootSeconds = firstNumber(readText, '/proc/stat', /^btime (\d+)$/m);
  return bootSeconds === undefined ? undefined : isoFromMilliseconds(bootSeconds * 1000);
}

/**
 * A boot time that does not flicker: /proc/uptime has a resolution of 10 ms, so every reading differs a little, and with it the time of
 * every record. The first value stays until it is off by more than a second, which means that the clock was set.
 */
export function createBootTimeReader(
  readText: ReadText = readTextFile,
): (nowMilliseconds: number) => string | undefined {
  let kept: string | undefined;
  return (nowMilliseconds) => {
    const fresh = readBootedAt(nowMilliseconds, readText);
    if (fresh === undefined) return kept;
    if (kept === undefined || Math.abs(Date.parse(fresh) - Date.parse(kept)) > 1000) kept = fresh;
    return kept;
  };
}

function firstNumber(readText: ReadText, path: string, pattern: RegExp): number | undefined {
  try {
    const match = pattern.exec(readText(path));
    return match?.[1] === undefined ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

/** `undefined` for a number that no date can hold. */
export function isoFromMilliseconds(milliseconds: number): string | undefined {
  return Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString() : undefined;
}
