/** What stands in the place of user data. */
export const redacted = '[redacted]';
/** Stands for it while a text is worked on, so that no later step finds a word in `[redacted]`. Private use: no log means it. */
const mark = '\ue000';
const marks = /\ue000+/g;

/** Shorter names are also parts of ordinary words. */
export const minimumNameLength = 3;

type Rule = readonly [
  pattern: RegExp,
  replacement: string | ((match: string, offset: number, text: string) => string),
];

const octet = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)';
/** Network addresses: they stand in one piece, so they go before names break them up. */
const addresses: readonly Rule[] = [
  [/[\da-f:.]{3,}/gi, (run, offset, text) => (isNetworkAddress(run, text[offset - 1]) ? mark : run)],
  // Five numbers with dots are the version of a VBIOS.
  [new RegExp(`(?<!\\d|\\d\\.)${octet}(?:\\.${octet}){3}(?!\\d|\\.\\d)`, 'g'), mark],
];

/** IPv6, or the address of a network card. A PCI address has two colons, a time of day too. */
function isNetworkAddress(run: string, before: string | undefined): boolean {
  const groups = run.replace(/[:.]+$/, '').split(':');
  if (run.includes('::')) return /\d/.test(run) || before === undefined || !/\w/.test(before);
  const isOf = (count: number, group: RegExp) =>
    groups.length === count && groups.every((each) => group.test(each));
  return isOf(8, /^[\da-f]{1,4}$/i) || isOf(6, /^[\da-f]{2}$/i);
}

const time =
  '(?:[A-Z][a-z]{2} +\\d{1,2}(?: \\d{4})? \\d\\d:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?|\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?(?:Z|[+-]\\d\\d:?\\d\\d)?)';
/** The host stands behind the time: RFC 3164, RFC 5424, `journalctl -o short-iso`. Some write the kernel without a host. */
const hostPrefix = new RegExp(
  `^((?:<\\d{1,3}>)?(?:1 )?${time} )(?!(?:kernel|NVRM|nvidia[\\w-]*)(?:\\[\\d+\\])?:|\\[)(\\S+)`,
);

const systemPath = '(?:dev|proc|sys|usr|lib|lib64|bin|sbin|boot)\\b';
const places: readonly Rule[] = [
  [hostPrefix, `$1${mark}`],
  [/"_(?:HOSTNAME|MACHINE_ID|BOOT_ID|COMM|EXE|CMDLINE|SELINUX_CONTEXT|SYSTEMD_[A-Z_]+)" ?: ?"[^"]*/g, mark],
  [/\bname=[^,\n]+/g, `name=${mark}`],
  [/\[pod\/[^\]\s]+\]/g, mark],
  [/[^\s<>"'(),;=]{1,128}@(?!0x)[^\s<>"'(),;=]{1,255}/g, mark],
  [new RegExp(`(?<![\\w./-])/+(?!${systemPath})[^\\s'"\`<>]+`, 'g'), mark],
  [/(?<![\w/])~[\w.-]*\/[^\s'"`<>]+/g, mark],
  [/(?<!\w)[A-Za-z]:\\[^\s'"`<>]+/g, mark],
  // Ids of pods and containers; the UUID of a GPU stays.
  [/(?<!GPU-|MIG-)[\da-f]{8}(?:[-_][\da-f]{4}){3}[-_][\da-f]{12}(?![\da-f])/gi, mark],
  [/(?<![\da-f])[\da-f]{64}(?![\da-f])/gi, mark],
];

/** The host that a log line names, when the word looks like one or stands before the kernel's own name. */
export function hostOfLine(line: string): string | undefined {
  const [prefix = '', , host] = hostPrefix.exec(line) ?? [];
  if (host === undefined) return undefined;
  return /[\d.-]/.test(host) || /^ kernel\b/.test(line.slice(prefix.length)) ? host : undefined;
}

const escaped = (word: string) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Takes names, hosts, network and e-mail addresses, paths and ids of pods and containers out of a text; linear in its length. */
export function textRedactor(names: readonly string[], hosts: readonly string[]): (text: string) => string {
  // The longest first, so that a name inside another does not break it. Numbers are not names: they would break times and serials.
  const words = [...new Set(names)]
    .filter((name) => name.length >= minimumNameLength && !/^[\d.:x-]+$/i.test(name))
    .sort((a, b) => b.length - a.length);
  const hostWords = [...new Set(hosts)].filter((host) => host.length >= minimumNameLength);
  const sources = [...hostWords.map((host) => `${escaped(host)}(?:\\.[\\w-]+)*`), ...words.map(escaped)];
  const known: readonly Rule[] = sources.length > 0 ? [[new RegExp(sources.join('|'), 'gi'), mark]] : [];
  const rules = [...addresses, ...known, ...places];
  return (text) => {
    const start = withoutCutWord(text.replace(marks, ''), words);
    return rules
      .reduce((rest, [pattern, by]) => rest.replace(pattern, by as string), start)
      .replace(marks, redacted);
  };
}

/** Where a text was cut off, its last word may be half a name that nothing recognises. */
function withoutCutWord(text: string, names: readonly string[]): string {
  if (!text.endsWith('…')) return text;
  const rest = text.slice(0, -1);
  const lower = rest.toLowerCase();
  const half = names
    .map((name) => cutLength(lower, name.toLowerCase()))
    .reduce((most, length) => Math.max(most, length), /\S*$/.exec(rest)?.[0].length ?? 0);
  return `${rest.slice(0, rest.length - half)}${mark}…`;
}

/** How much of a name a text ends with. */
function cutLength(text: string, name: string): number {
  for (let length = name.length - 1; length >= minimumNameLength; length -= 1) {
    if (text.endsWith(name.slice(0, length))) return length;
  }
  return 0;
}
