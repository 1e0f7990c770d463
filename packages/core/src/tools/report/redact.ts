import type { GpuReading } from '../../domain/gpu.ts';
import type { NodeExamination } from '../node-examination.ts';
import { quarantine } from '../untrusted-text.ts';
import { hostOfLine, redacted, textRedactor } from './redact-text.ts';

/** Fields that hold nothing but what belongs to a user. */
const userFields = new Set([
  'user',
  'command',
  'container',
  'podUid',
  'slurmJobId',
  'processName',
  'file',
  'node',
]);
/** Fields of text out of the machine, in which user data can stand anywhere. */
const textFields = new Set(['raw', 'decoded', 'detail', 'stateDetail', 'value', 'skipped']);

/** Makes a copy without user data. */
export type Redaction = <T>(value: T) => T;

export const nothingRedacted: Redaction = (value) => value;

/**
 * Takes out what belongs to users: names of processes, users, containers, pods and hosts, commands, paths, network and e-mail addresses.
 * GPU names, serials, UUIDs, PCI addresses, process ids, times, counters and the driver's words stay. Sentences of our own words
 * (`what`, `summary`, ...) never hold user data and are left alone.
 */
export function redactionFor(examination: NodeExamination, nodeName: string): Redaction {
  const kept = keptText(examination.readings);
  const isName = (word: string) => !kept.includes(word.toLowerCase());
  const scrub = textRedactor(
    namesIn(examination).filter(isName),
    hostsIn(examination, nodeName).filter(isName),
  );
  const walk = (value: unknown, key: string, inText: boolean): unknown => {
    if (userFields.has(key) && value !== null) return redacted;
    const isText = inText || textFields.has(key);
    if (typeof value === 'string') {
      // Of a log out of a file only that it was one; any other `source` is our own or the vendor's.
      if (key === 'source' && value.startsWith('file:')) return `file:${redacted}`;
      return isText ? scrub(value) : value;
    }
    if (Array.isArray(value)) return value.map((each) => walk(each, key, isText));
    if (typeof value !== 'object' || value === null) return value;
    const isProcess = key === 'processes' || 'pid' in value;
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [
        name,
        isProcess && name === 'name' && each !== null ? redacted : walk(each, name, isText),
      ]),
    );
  };
  return <T>(value: T) => walk(value, '', false) as T;
}

/** What a vendor needs, and the driver's own prefix: a process that calls itself so must not take it out of the lines. */
function keptText(readings: readonly GpuReading[]): string {
  const own = readings.flatMap(({ gpu, identity }) => [gpu.uuid, gpu.pciAddress, identity?.serial ?? null]);
  return ['NVRM: Xid (PCI: pid= name= GPU kernel: nvidia-nvswitch: SXid', ...own].join('\n').toLowerCase();
}

function namesIn({ holders, log, applicationErrors }: NodeExamination): readonly string[] {
  const names = [
    ...holders.flatMap(({ process }) =>
      process
        ? [
            process.name,
            process.userName,
            ...(process.command === null ? [] : [process.command, ...tellingWords(process.command)]),
            ...idsOf(process.container?.id),
            ...idsOf(process.podUid),
          ]
        : [],
    ),
    ...[...log.events, ...applicationErrors].map(({ processName }) => processName),
  ];
  // As the text has them: made harmless, but not cut.
  return [...new Set(names)]
    .slice(0, maximumNames)
    .flatMap((name) => (name ? [quarantine(name, 4_096)] : []));
}

const maximumNames = 1_000;
const maximumWords = 64;
/** Of a command line what is no plain word: files, options with values. */
const tellingWords = (command: string) =>
  command
    .slice(0, 4_096)
    .split(/[\s/=,;]+/)
    .filter((word) => word.length >= 5 && /[^a-z]/i.test(word))
    .slice(0, maximumWords);

/** An id as logs write it: whole, its first twelve digits, or with underscores (systemd slices). */
const idsOf = (id: string | null | undefined) => (id ? [id, id.slice(0, 12), id.replaceAll('-', '_')] : []);

const maximumHosts = 64;

function hostsIn({ log, applicationErrors }: NodeExamination, nodeName: string): readonly string[] {
  const named = [...log.events, ...applicationErrors].flatMap(
    ({ raw }) => hostOfLine(raw.slice(0, 512)) ?? [],
  );
  const hosts = [nodeName, ...new Set(named)].slice(0, maximumHosts);
  // Logs and people write it with and without its domain.
  return hosts.flatMap((host) => [host, host.split('.')[0] ?? host]);
}
