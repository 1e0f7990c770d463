/** Starts of lines that only kernel logs have. */
const kernelPrefixes: readonly RegExp[] = [
  /^(?:<\d{1,4}>)?\[ {0,12}\d{1,12}\.\d{6}\]/,
  /^\[ {0,8}\+\d{1,8}[.,]\d{1,9}\]/,
  /^\d{1,4},\d{1,20},\d{1,20},[^;]{1,120};/,
  /^\[\p{L}{2,6}\.? \p{L}{3,5}\.? {1,2}\d{1,2} \d{2}:\d{2}:\d{2} \d{4}\] /u,
  /^(?:[\w.:-]{1,64}: )?kern *: *[a-z]{3,8} *: /,
  /^.{0,100}?\bkernel: /,
  /^\{.{0,2000}"MESSAGE" ?:/,
  /^__(?:CURSOR|REALTIME_TIMESTAMP)=/,
];

/** A time, and then whatever the program likes. */
const timePrefixes: readonly RegExp[] = [
  /^\p{L}{3,5}\.? {1,2}\d{1,2} \d{2}:\d{2}:\d{2}(?:\.\d{1,9})? \S/u,
  /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}\S{0,20} \S/,
];

/** A time, a machine and who says it: what syslog and journalctl write, the kernel among others. */
const syslogPrefix =
  /^(?:\p{L}{3,5}\.? {1,2}\d{1,2} \d{2}:\d{2}:\d{2}(?:\.\d{1,9})?|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\S{0,20}) \S{1,64} [\w.:/@()-]{1,64}(?:\[\d{1,10}\])?: /u;

export function looksLikeKernelLine(line: string): boolean {
  return kernelPrefixes.some((prefix) => prefix.test(line));
}

export function looksLikeSyslogLine(line: string): boolean {
  return syslogPrefix.test(line);
}

/** A line of any log: it begins with a time. */
export function looksLikeLogLine(line: string): boolean {
  return timePrefixes.some((prefix) => prefix.test(line));
}
