import type { Trust } from '../domain/event.ts';
import { fromMilliseconds, isoTime, monthOf, resolveYear, utc } from './timestamps.ts';

/** What the containers round a message tell about it. */
export interface Unwrapped {
  text: string;
  at?: string;
  uptimeSeconds?: number;
  /** The kernel's tag was taken off: what follows is its message, also where that begins like a tag (`python3[7]: segfault at ...`). */
  hasKernelTag?: boolean;
  /** Set by a facility or a tag. */
  trusted?: Trust;
  /** Whether any container was recognised: a line without one may continue the line before it. */
  wrapped: boolean;
  repeatCount?: number;
}

/** Relative times (`dmesg -H`) build on the lines before. */
export interface RelativeTime {
  milliseconds: number | undefined;
}

interface Context {
  readonly nowMilliseconds: number;
  readonly relative: RelativeTime;
}

/** One kind of prefix: what it looks like at the start of the rest of the line, and what it tells. `false`: it only looked like it. */
interface Prefix {
  readonly pattern: RegExp;
  apply(match: RegExpExecArray, found: Unwrapped, context: Context): boolean | undefined;
}

const kernelFacility = 0;

/** Facility names of `dmesg -x`, `journalctl` and Talos; only `kern` is the kernel's. */
const facility = 'kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7]';
const level = 'emerg|alert|crit|err|error|warn|warning|notice|info|debug';
const isoPattern = '\\d{4}-\\d{2}-\\d{2}[T ]\\d{2}:\\d{2}:\\d{2}(?:[.,]\\d{1,9})?(?:Z|[+-]\\d{2}:?\\d{2})?';
const timeOfDay = '\\d{1,2}:\\d{2}:\\d{2}(?:[.,]\\d{1,9})?';
const monthName = '[\\p{L}]{3,5}\\.?|1?\\d月';

const setTime = (found: Unwrapped, at: string | undefined) => {
  if (at !== undefined && found.at === undefined) found.at = at;
  return at !== undefined;
};
const setUptime = (found: Unwrapped, text: string | undefined) => {
  found.uptimeSeconds ??= Number(text);
};
const setTrust = (found: Unwrapped, trusted: boolean) => {
  // The outermost statement counts: what stands inside can have been written by anybody.
  found.trusted ??= trusted;
};

/** In the order in which they are tried; each can apply again after another (`Mar 21 ... kernel: [ 65.3] `). */
const prefixes: readonly Prefix[] = [
  // /dev/kmsg: prefix,sequence,microseconds,flags[,more];text
  {
    pattern: /^(\d{1,4}),(\d{1,20}),(\d{1,20}),[^;\n]{1,120};/,
    apply([, priority, , microseconds], found) {
      found.uptimeSeconds ??= Number(microseconds) / 1e6;
      setTrust(found, Number(priority) >> 3 === kernelFacility);
    },
  },
  // Raw ring buffer: <6>[    2.608284] text
  {
    pattern: /^<(\d{1,4})>/,
    apply([, priority], found) {
      setTrust(found, Number(priority) >> 3 === kernelFacility);
    },
  },
  // dmesg -x: kern  :warn  : [time] text. Talos: 192.0.2.1: kern: warning: [time]: text
  {
    pattern: new RegExp(`^(?:[\\w.:-]{1,64}: )?(${facility}) *: *(?:${level}) *: *`),
    apply([, name], found) {
      setTrust(found, name === 'kern');
    },
  },
  // dmesg -T: [Fri Mar  3 04:44:24 2023]
  {
    pattern: new RegExp(`^\\[[\\p{L}.]{2,6} (${monthName}) +(\\d{1,2}) (${timeOfDay}) (\\d{4})\\] ?`, 'u'),
    apply([, name = '', day, time = '', year], found) {
      const month = monthOf(name);
      return month !== undefined && setTime(found, utc(Number(year), month, Number(day), time));
    },
  },
  // dmesg -H: [Jun15 20:55] or [15jun 20:55], then [  +0.002378]
  {
    pattern: new RegExp(
      `^\\[(?:(${monthName}) ?(\\d{1,2})|(\\d{1,2}) ?(${monthName})) (\\d{1,2}:\\d{2})\\] ?`,
      'u',
    ),
    apply([, first, dayAfter, dayBefore, second, time = ''], found, context) {
      const month = monthOf(first ?? second ?? '');
      const day = Number(dayAfter ?? dayBefore);
      const at = month === undefined ? undefined : resolveYear(month, day, time, context.nowMilliseconds);
      if (!setTime(found, at)) return false;
      context.relative.milliseconds = Date.parse(at ?? '');
    },
  },
  {
    pattern: /^\[ *\+(\d{1,9})[.,](\d{1,9})\] ?/,
    apply([, seconds, fraction], found, { relative }) {
      if (relative.milliseconds === undefined) return;
      relative.milliseconds += Number(`${seconds}.${fraction}`) * 1000;
      setTime(found, fromMilliseconds(relative.milliseconds));
    },
  },
  // Talos and others: [2026-04-22T21:27:51.291660856Z]:
  {
    pattern: new RegExp(`^\\[(${isoPattern})\\]:? ?`),
    apply: ([, time = ''], found) => setTime(found, isoTime(time)),
  },
  // dmesg: [  365.969681]; printk caller: [ T1946] or [    C3]
  {
    pattern: /^\[ *(\d{1,10}\.\d{1,9})\] ?/,
    apply([, seconds], found) {
      setUptime(found, seconds);
    },
  },
  { pattern: /^\[ *[TC]\d{1,10}\] ?/, apply: () => true },
  // syslog and journalctl, ISO: 2026-10-04T14:16:55+03:00 host tag:
  {
    pattern: new RegExp(`^(${isoPattern}) +`),
    apply([, time = ''], found) {
      return setTime(found, isoTime(time));
    },
  },
  // RFC 3164: Okt 06 17:59:27
  {
    pattern: new RegExp(`^(?:<\\d{1,3}>)?(${monthName}) +(\\d{1,2}) (${timeOfDay}) +`, 'u'),
    apply([, name = '', day, time = ''], found, { nowMilliseconds }) {
      const month = monthOf(name);
      return month !== undefined && setTime(found, resolveYear(month, Number(day), time, nowMilliseconds));
    },
  },
];

/** `host kernel: `, `kernel: `, `host program[123]: `: only after a syslog time, or for `kernel` itself. */
const tag = /^(?:(\S{1,255}) )?([\w./@-]{1,64})(?:\[\d{1,10}\])?: ?/;
/** A driver's own prefix (`NVRM: `, `nvidia 0000:3b:00.0: `, `EDAC MC0: `) is part of the message. */
const driverPrefix = /^(?:NVRM:|nvidia[\w-]*:|[\w-]+ [0-9a-f]{4,8}:[0-9a-f]{2}:|EDAC \w+:)/i;
const bareKernelTag = /^kernel: ?/;
const quoteMark = /^(?:>|#|\/\/|\|)\s{1,3}|^\[(?:\.{3}|…)\]\s*|^`+/;
const repeated = /^message repeated (\d{1,9}) times: \[ ?([^\n]*?)\]?$/;
const maximumNesting = 8;

/** Frees a line from its containers. Linear in the length of the line; anything unknown is left in the text. */
export function unwrap(line: string, context: Context): Unwrapped {
  const found: Unwrapped = { text: line, wrapped: false };
  for (let depth = 0; depth < maximumNesting; depth += 1) {
    const before = found.text;
    found.text = found.text.replace(quoteMark, '');
    for (const { pattern, apply } of prefixes) {
      const match = pattern.exec(found.text);
      if (!match || apply(match, found, context) === false) continue;
      found.text = found.text.slice(match[0].length);
      found.wrapped = true;
    }
    stripTag(found);
    if (found.text === before) break;
  }
  const again = repeated.exec(found.text);
  if (again) {
    found.repeatCount = Number(again[1]);
    found.text = again[2] ?? '';
  }
  return found;
}

/** The kernel's tag vouches for nothing by itself (any program can write a file), but another program's tag says that it is not the kernel. */
function stripTag(found: Unwrapped): void {
  const bare = bareKernelTag.exec(found.text);
  if (bare) {
    found.text = found.text.slice(bare[0].length);
    found.wrapped = true;
    found.hasKernelTag = true;
    return;
  }
  if (found.hasKernelTag) return;
  if (!found.wrapped || found.at === undefined || found.uptimeSeconds !== undefined) return;
  const match = tag.exec(found.text);
  if (!match || driverPrefix.test(found.text)) return;
  const [whole, , program = ''] = match;
  if (program === 'kernel') {
    found.text = found.text.slice(whole.length);
    found.hasKernelTag = true;
  } else if (match[1] !== undefined || /\[\d+\]: ?$/.test(whole)) {
    setTrust(found, false);
    found.text = found.text.slice(whole.length);
  }
}
