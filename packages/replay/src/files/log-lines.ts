/** Starts of lines that only kernel logs have, by their first character. */
const kernelPrefixes: Readonly<Record<string, readonly RegExp[]>> = {
  '<': [/^<\d{1,4}>/],
  '[': [
    /^\[ {0,12}\d{1,12}\.\d{6}\]/,
    /^\[ {0,8}\+\d{1,8}[.,]\d{1,9}\]/,
    /^\[\p{L}{2,6}\.? \p{L}{3,5}\.? {1,2}\d{1,2} \d{2}:\d{2}:\d{2} \d{4}\] /u,
  ],
  '{': [/^\{.{0,2000}"MESSAGE" ?:/],
  _: [/^__(?:CURSOR|REALTIME_TIMESTAMP)=/],
};
const kmsgRecord = /^\d{1,4},\d{1,20},\d{1,20},[^;]{1,120};/;
const kernelFacility = /^(?:[\w.:-]{1,64}: )?kern *: *[a-z]{3,8} *: /;

/** A time, and then whatever the program likes. */
const timePrefixes: readonly RegExp[] = [
  /^\p{L}{3,5}\.? {1,2}\d{1,2} \d{2}:\d{2}:\d{2}(?:\.\d{1,9})? \S/u,
  /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}\S{0,20} \S/,
];

/** A time, a machine and who says it: what syslog and journalctl write, the kernel among others. */
const syslogPrefix =
  /^(?:\p{L}{3,5}\.? {1,2}\d{1,2} \d{2}:\d{2}:\d{2}(?:\.\d{1,9})?|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\S{0,20}) \S{1,64} [\w.:/@()-]{1,64}(?:\[\d{1,10}\])?: /u;

export function looksLikeKernelLine(line: string): boolean {
  const first = line[0] ?? '';
  if (kernelPrefixes[first]?.some((prefix) => prefix.test(line))) return true;
  if (first >= '0' && first <= '9' && kmsgRecord.test(line)) return true;
  const head = line.length > 120 ? line.slice(0, 120) : line;
  const tag = head.indexOf('kern');
  return tag >= 0 && (head.startsWith('kernel: ', tag) || kernelFacility.test(head));
}

export function looksLikeSyslogLine(line: string): boolean {
  return syslogPrefix.test(line);
}

/** A line of any log: it begins with a time. */
export function looksLikeLogLine(line: string): boolean {
  return timePrefixes.some((prefix) => prefix.test(line));
}
