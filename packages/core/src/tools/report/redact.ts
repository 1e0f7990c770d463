import type { StructuredContent } from '../tool.ts';

/** Fields that hold nothing but what belongs to a user. */
const userFields = new Set(['user', 'command', 'container', 'podUid', 'slurmJobId', 'processName']);
/** Fields of free text out of the machine, in which user data can stand anywhere. */
const textFields = new Set(['raw', 'decoded', 'stateDetail', 'detail', 'file', 'source']);
const redacted = '[redacted]';

const patterns: readonly (readonly [RegExp, string])[] = [
  // A syslog line names its host after the time; ISO 8601 or `Mmm dd hh:mm:ss`.
  [
    /^((?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,+\-Z]{8,30}) )\S{1,255}/,
    `$1${redacted}`,
  ],
  [/\bname=[^,\n]{1,64}/g, `name=${redacted}`],
  [/(?<![\w./-])\/(?:home|root|users|data|mnt|workspace|scratch)\/[^\s,;:'"]{1,255}/gi, redacted],
  [/(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g, redacted],
  [/\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b/g, redacted],
];

/**
 * A copy of an answer without what belongs to users: names of processes, users, containers, pods and hosts, paths, addresses. GPU names,
 * serials, UUIDs, PCI addresses, process ids, times and numbers stay. `names`: words to take out wherever they stand in free text.
 */
export function redactAnswer(answer: StructuredContent, names: readonly string[]): StructuredContent {
  // The longest first, so that a name inside another does not break it.
  const words = [...new Set(names)].filter((name) => name.length >= 3).sort((a, b) => b.length - a.length);
  const scrub = (text: string) => {
    // Addresses first: one with a name cut out of it would no longer look like one.
    const rest = patterns.reduce(
      (before, [pattern, replacement]) => before.replace(pattern, replacement),
      text,
    );
    return words.reduce((before, word) => before.replaceAll(word, redacted), rest);
  };
  const walk = (value: unknown, key: string, inText: boolean): unknown => {
    if (userFields.has(key) && value !== null) return redacted;
    const isText = inText || textFields.has(key);
    if (typeof value === 'string') return isText ? scrub(value) : value;
    if (Array.isArray(value)) return value.map((each) => walk(each, key, isText));
    if (typeof value !== 'object' || value === null) return value;
    const isProcess = 'pid' in value && 'name' in value;
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [
        name,
        isProcess && name === 'name' && each !== null ? redacted : walk(each, name, isText),
      ]),
    );
  };
  return { ...(walk(answer, '', false) as StructuredContent), node: redacted };
}
