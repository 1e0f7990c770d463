import type { DecodedDetail, EventSeverity, KernelEvent, KernelLogRecord } from '../domain/event.ts';
import { formatPciDevice, parsePciAddress } from '../domain/pci-address.ts';
import type { Action } from '../domain/verdict.ts';
import { actionOfXid, findSxid, findXid } from './catalogue.ts';
import { decodeXidDetail } from './decode.ts';
import { messagePatterns } from './messages.ts';

/** An address, also with digits blacked out, or what a reporter put in its place: `...`, `<redacted>`. */
const address =
  '[0-9a-fA-FxX*]{1,8}:[0-9a-fA-FxX*]{1,2}:[0-9a-fA-FxX*]{1,2}(?:\\.[0-7xX*])?|[.…]{1,6}|[Xx*:.]{3,20}|<[^<>()\\n]{0,40}>|\\[[^[\\]()\\n]{0,40}\\]';
/**
 * `NVRM: Xid (<gpu>): <number>[, <rest>]`. The address may lack `PCI:` (drivers up to 304), carry a function digit (invented by others) or
 * be redacted by the reporter; MIG adds instances. Anything else in its place is not an Xid line.
 */
const xidLine = new RegExp(
  `NVRM: {1,4}Xid \\((?:PCI:)?(?<pci>${address})(?: GPU-I:(?<instance>\\d{1,3}))?(?: GPU-CI:(?<compute>\\d{1,3}))?\\): {0,4}(?<code>\\d{1,4})(?!\\w|\\.\\d)`,
);
/** The switch driver's line: the address has a function digit, the number five digits. */
const sxidLine = new RegExp(
  `nvidia-nvswitch(?<switch>\\d{1,3}): SXid \\((?:PCI:)?(?<pci>${address})\\): (?<code>\\d{5})(?!\\w),? ?`,
);
/** Lines that dump the registers of the SXid before them, whole or cut: no event of their own. */
const sxidDump = /^(?:Severity \d|Data \{|(?:S(?:e(?:v(?:e(?:r(?:i(?:ty?)?)?)?)?)?)?|D(?:a(?:ta?)?)?)$)/;

/** The event that a message tells of; `undefined` for every other message. Never throws, whatever the text. */
export function parseKernelEvent(record: KernelLogRecord): KernelEvent | undefined {
  const { text } = record;
  if (text.includes('Xid (')) {
    const event = parseXid(record) ?? parseSxid(record);
    if (event) return event;
  }
  for (const { kind, pattern, severity, action, decode } of messagePatterns) {
    const match = pattern.exec(text);
    if (!match) continue;
    const groups = match.groups ?? {};
    const decoded = decode?.(groups);
    return {
      ...common(record, match[0].startsWith('NVRM:') ? match.index : 0),
      kind,
      pciAddress: deviceOf(groups['pci']),
      ...(groups['uuid'] ? { gpuUuid: groups['uuid'] } : {}),
      ...(groups['pid'] ? { pid: Number(groups['pid']) } : {}),
      ...(groups['name'] ? { processName: groups['name'] } : {}),
      detail: text,
      ...(decoded && Object.keys(decoded).length > 0 ? { decoded } : {}),
      severity: severityOf(severity, decoded),
      action,
    };
  }
  return undefined;
}

/** A corrected PCIe error was corrected. */
function severityOf(severity: EventSeverity, decoded: DecodedDetail | undefined): EventSeverity {
  return decoded?.['correctable'] === true ? 'info' : severity;
}

/**
 * The driver's messages begin with its name. Where it stands inside another message of the kernel, somebody else chose the words: the
 * product name of a USB device, for one.
 */
function trustAt(record: KernelLogRecord, index: number): KernelLogRecord['trusted'] {
  const { text, trusted, at, uptimeSeconds } = record;
  const isOwnMessage = /(?:^|\n)\s{0,32}$/.test(text.slice(Math.max(0, index - 33), index));
  // Without a container that was understood, what stands before it may be one that was not.
  const isMessageWhole = trusted === true || at !== null || uptimeSeconds !== null;
  return isMessageWhole && !isOwnMessage ? false : trusted;
}

function common(record: KernelLogRecord, index: number) {
  const trusted = trustAt(record, index);
  const { at, uptimeSeconds, raw, file, line, repeatCount, bootId } = record;
  return {
    at,
    uptimeSeconds,
    trusted,
    raw,
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(repeatCount === undefined ? {} : { repeatCount }),
    ...(bootId === undefined ? {} : { bootId }),
  };
}

function deviceOf(text: string | undefined): string | null {
  const address = text === undefined ? undefined : parsePciAddress(text);
  return address ? formatPciDevice(address) : null;
}

function parseXid(record: KernelLogRecord): KernelEvent | undefined {
  const match = xidLine.exec(record.text);
  if (!match?.groups) return undefined;
  const { pci, instance, compute, code } = match.groups;
  const xid = Number(code);
  const rest = record.text.slice(match.index + match[0].length).replace(/^,\s?/, '');
  const { pid, processName, detail } = splitProcess(rest);
  const entry = findXid(xid);
  const told = decodeXidDetail(xid, detail);
  return {
    ...common(record, match.index),
    kind: 'xid',
    xid,
    pciAddress: deviceOf(pci),
    ...(instance === undefined ? {} : { gpuInstanceId: Number(instance) }),
    ...(compute === undefined ? {} : { computeInstanceId: Number(compute) }),
    ...(pid === undefined ? {} : { pid }),
    ...(processName === undefined ? {} : { processName }),
    ...(told?.link === undefined ? {} : { link: told.link }),
    detail,
    ...(told?.decoded ? { decoded: told.decoded } : {}),
    severity: told?.severity ?? entry?.severity ?? 'warning',
    action: told?.action ?? actionOfXid(entry),
  };
}

const unknownName = /^<(?:unknown|n\/a)>$/i;
const quotes = /^(['"])(.*)\1$/;

/** `pid=1234, name=python3, ` in front of the detail; either may be missing or unknown. A value ends at the next comma. */
function splitProcess(rest: string): { pid?: number; processName?: string; detail: string } {
  const values = new Map<string, string>();
  let detail = rest;
  // Reporters turn the two round.
  while (values.size < 2) {
    const field = /^\s{0,8}(pid|name)=([^,\n]{0,64})(?:,|$)/.exec(detail);
    if (!field?.[1] || values.has(field[1])) break;
    values.set(field[1], (field[2] ?? '').trim().replace(quotes, '$2'));
    detail = detail.slice(field[0].length);
  }
  const pidText = values.get('pid') ?? '';
  const name = values.get('name') ?? '';
  return {
    ...(/^\d{1,10}$/.test(pidText) ? { pid: Number(pidText) } : {}),
    ...(name && !unknownName.test(name) ? { processName: name } : {}),
    detail: detail.trim(),
  };
}

/** The severity word of the line, which outranks the catalogue. */
const sxidSeverities: readonly (readonly [RegExp, EventSeverity])[] = [
  [/^Fatal, /, 'fatal'],
  [/^Non-fatal, /, 'warning'],
  [/^Correctable, /, 'info'],
];

function parseSxid(record: KernelLogRecord): KernelEvent | undefined {
  const match = sxidLine.exec(record.text);
  if (!match?.groups) return undefined;
  const detail = record.text.slice(match.index + match[0].length).trim();
  if (sxidDump.test(detail)) return undefined;
  const code = Number(match.groups['code']);
  const entry = findSxid(code);
  const printed = sxidSeverities.find(([pattern]) => pattern.test(detail))?.[1];
  // The driver prints Non-fatal for errors that the hardware repaired, too.
  const isRepaired = printed === 'warning' && entry?.severity === 'info';
  const severity = isRepaired ? 'info' : (printed ?? entry?.severity ?? 'warning');
  const link = /\bLink (\d{1,3})\b/.exec(detail)?.[1];
  return {
    ...common(record, match.index),
    kind: 'sxid',
    sxid: code,
    switchIndex: Number(match.groups['switch']),
    pciAddress: deviceOf(match.groups['pci']),
    ...(link === undefined ? {} : { link: Number(link) }),
    detail,
    decoded: { first: / \(First\)$/.test(detail), ...(printed ? { printedSeverity: printed } : {}) },
    severity,
    action: actionOfSxid(entry?.action, severity),
  };
}

/** A reset is for the fatal form of an error: one that the switch contained is only watched, one that it calls fatal needs at least a reset. */
function actionOfSxid(catalogued: Action | undefined, severity: EventSeverity): Action {
  if (severity === 'info') return 'none';
  const isReset = catalogued === 'reset-gpu' || catalogued === 'reboot-node';
  if (severity === 'fatal') return isReset ? catalogued : 'reset-gpu';
  return catalogued === undefined || isReset ? 'monitor' : catalogued;
}
