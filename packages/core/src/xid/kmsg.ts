import type { KernelLogRecord } from '../domain/event.ts';
import { sinceBoot } from './timestamps.ts';

export interface BootOptions {
  /** ISO 8601; makes times since boot absolute. */
  readonly bootedAt?: string;
}

const kernelFacility = 0;
const maximumRawLength = 4_096;

/**
 * One record as a read of /dev/kmsg gives it: `prefix,sequence,microseconds,flags[,more];text`, then ` KEY=value` lines. The prefix holds
 * facility and level; a user-space writer always gets facility 1 or more. Source: Documentation/ABI/testing/dev-kmsg.
 */
export function parseKmsgRecord(record: string, options: BootOptions): KernelLogRecord | undefined {
  const match = /^(\d{1,4}),(\d{1,20}),(\d{1,20}),[^;\n]{0,120};([^\n]*)/.exec(record);
  if (!match) return undefined;
  const [, priority, , microseconds, escaped = ''] = match;
  const uptimeSeconds = Number(microseconds) / 1e6;
  return {
    text: unescapeBytes(escaped),
    raw: record.slice(0, maximumRawLength).trimEnd(),
    at: sinceBoot(uptimeSeconds, options.bootedAt),
    uptimeSeconds,
    trusted: Number(priority) >> 3 === kernelFacility,
  };
}

/** One line as syslog(2) gives it, or a raw printk line: `<6>[    2.608284] text`, with or without a `[ T12]` caller. */
export function parsePrintkLine(line: string, options: BootOptions): KernelLogRecord | undefined {
  const match = /^<(\d{1,4})>(?:\[ *(\d{1,10}\.\d{1,9})\](?:\[ *[TC]\d{1,10}\])? ?)?([^\n]*)/.exec(line);
  if (!match) return undefined;
  const [, priority, seconds, text = ''] = match;
  const uptimeSeconds = seconds === undefined ? null : Number(seconds);
  return {
    text,
    raw: line.slice(0, maximumRawLength).trimEnd(),
    at: uptimeSeconds === null ? null : sinceBoot(uptimeSeconds, options.bootedAt),
    uptimeSeconds,
    trusted: Number(priority) >> 3 === kernelFacility,
  };
}

/** kmsg writes anything unprintable, newlines among it, as \xHH; the bytes are UTF-8. */
function unescapeBytes(text: string): string {
  if (!text.includes('\\x')) return text;
  return text.replace(/(?:\\x[0-9a-f]{2})+/gi, (run) => {
    const bytes = Uint8Array.from(run.slice(2).split('\\x'), (pair) => Number.parseInt(pair, 16));
    return new TextDecoder().decode(bytes);
  });
}
