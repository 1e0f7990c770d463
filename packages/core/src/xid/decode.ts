import type { DecodedDetail, EventSeverity } from '../domain/event.ts';
import type { Action } from '../domain/verdict.ts';
import { readNvlinkRegisters } from './nvlink-registers.ts';
import { matchNvlink5 } from './nvlink5-rules.ts';
import { recoveryMeanings } from './recovery-actions.ts';

/** What the text after the number says. Severity and action are present only when they refine the catalogue's. */
export interface XidDetail {
  readonly decoded?: DecodedDetail;
  readonly link?: number;
  readonly severity?: EventSeverity;
  readonly action?: Action;
}

type Fields = Record<string, string | number | boolean | readonly number[] | null>;
type Decoder = (detail: string) => XidDetail | undefined;

// Every pattern here has bounded repetition or a fixed first word, so that matching stays linear in the length of hostile text.
const hex = '0x([0-9a-fA-F]{1,16})';

/** Decodes the detail of an Xid line; `undefined` when it holds nothing that is understood. Source: driver message formats. */
export function decodeXidDetail(xid: number, detail: string): XidDetail | undefined {
  const text = detail.slice(0, 2048);
  const told = decoders[xid]?.(text);
  const shared = sharedFields(text);
  const decoded: Fields = { ...shared, ...told?.decoded };
  if (Object.keys(decoded).length === 0) return told;
  return { ...told, decoded };
}

/** Channel and origin, which many numbers print. */
function sharedFields(text: string): Fields {
  const fields: Fields = {};
  const channel = /\b(?:Ch(?:annel)?(?: ID)?|ChI[dD]|channel) (?:0x)?([0-9a-f]{1,8})\b/.exec(text);
  if (channel?.[1]) fields['channel'] = Number.parseInt(channel[1], 16);
  const cause = /\bcaused by previous Xid (\d{1,5})\b/.exec(text);
  if (cause?.[1]) fields['causedByPreviousXid'] = Number(cause[1]);
  return fields;
}

const integer = (text: string | undefined): number => Number.parseInt(text ?? '', 10);
const word = (text: string | undefined): number => Number.parseInt(text ?? '', 16);
const address = (text: string | undefined): string =>
  `0x${(text ?? '').toLowerCase().replace(/^0+(?=.)/, '')}`;

function decodeEngineException(text: string): XidDetail | undefined {
  const sm =
    /Graphics SM (Warp|Global) Exception on \(GPC (\d{1,4}), TPC (\d{1,4})(?:, SM (\d{1,4}))?\): ?([^\n]{0,200})/.exec(
      text,
    );
  if (sm) {
    const fields: Fields = {
      exception: sm[1] === 'Warp' ? 'sm-warp' : 'sm-global',
      gpc: integer(sm[2]),
      tpc: integer(sm[3]),
    };
    if (sm[4]) fields['sm'] = integer(sm[4]);
    if (sm[5]?.trim()) fields['reason'] = sm[5].trim();
    return { decoded: fields };
  }
  const esr = new RegExp(`Graphics Exception: ESR ${hex}=${hex}`).exec(text);
  if (esr) return { decoded: { exception: 'esr', register: address(esr[1]), value: address(esr[2]) } };
  return decodeClassError(text);
}

function decodeClassError(text: string): XidDetail | undefined {
  const method =
    /\bClass (?:0x)?([0-9a-f]{1,8}), Offset (?:0x)?([0-9a-f]{1,8}), Data (?:0x)?([0-9a-f]{1,8})/.exec(text);
  if (!method) return undefined;
  return {
    decoded: {
      exception: 'class',
      class: address(method[1]),
      offset: address(method[2]),
      data: address(method[3]),
    },
  };
}

function decodePageFault(text: string): XidDetail | undefined {
  const fields: Fields = {};
  const unit = /\bENGINE ([A-Z0-9_]{1,32})(?: GPC(\d{1,3}))? ([A-Z][A-Z0-9_]{1,48})/.exec(text);
  if (unit) {
    fields['engine'] = unit[1] ?? null;
    if (unit[2]) fields['gpc'] = integer(unit[2]);
    fields['client'] = unit[3] ?? null;
  }
  const at = /\bfaulted @ 0x([0-9a-f]{1,8})_([0-9a-f]{8})/.exec(text);
  if (at) fields['faultAddress'] = address(`${at[1]}${at[2]}`);
  const fault = /\bFault is of type (FAULT_[A-Z_]{1,40})(?: ACCESS_TYPE_([A-Z_]{1,40}))?/.exec(text);
  if (fault) {
    fields['faultType'] = fault[1] ?? null;
    if (fault[2]) fields['accessType'] = fault[2];
  }
  return { decoded: fields };
}

function decodeDoubleBitError(text: string): XidDetail | undefined {
  if (!/double bit error/i.test(text)) return undefined;
  const fields: Fields = {};
  if (text.includes('framebuffer')) fields['memory'] = 'framebuffer';
  const place = /\bpartition (\d{1,4}), subpartition (\d{1,4})/.exec(text);
  if (place) Object.assign(fields, { partition: integer(place[1]), subpartition: integer(place[2]) });
  const physical = physicalAddress(text);
  if (physical) fields['physicalAddress'] = physical;
  return { decoded: fields };
}

function physicalAddress(text: string): string | undefined {
  const match = new RegExp(`\\bphysAddr:? ${hex}`).exec(text);
  return match ? address(match[1]) : undefined;
}

/** 63 and 64: rows since Ampere, pages before. */
function decodeReplacement(text: string): XidDetail | undefined {
  const fields: Fields = {};
  if (/\bRow Remapp/.test(text)) fields['unit'] = 'row';
  else if (/Page Retirement|retire[d]? page|Retiring page/i.test(text)) fields['unit'] = 'page';
  else if (text.includes('DRAM Retirement')) fields['unit'] = 'dram';
  else return undefined;
  const where = new RegExp(`(?:\\(${hex}\\)|\\bat ${hex})`).exec(text);
  if (where) fields['physicalAddress'] = address(where[1] ?? where[2]);
  if (/marked for remapping|already pending/.test(text)) fields['pending'] = true;
  const reason = /\bRow Remapper Error: (?:\(0x[0-9a-fA-F]{1,16}\) ?-? ?)?([^\n]{1,160})/.exec(text);
  if (reason?.[1]) fields['reason'] = reason[1].trim();
  if (/reset gpu to activate/i.test(text)) fields['activatedBy'] = 'gpu-reset';
  if (/reload the driver to activate/i.test(text)) fields['activatedBy'] = 'driver-reload';
  return { decoded: fields };
}

function decodeNvlinkError(text: string): XidDetail | undefined {
  const fatal = /\bNVLink: fatal error detected on link (\d{1,3})/.exec(text);
  if (fatal) {
    const link = integer(fatal[1]);
    const registers = registerWords(text.slice(fatal.index + fatal[0].length), 7);
    if (!registers) return { link };
    const reading = readNvlinkRegisters(registers);
    if (!reading) return { link, decoded: { registers } };
    const { findings, severity, action } = reading;
    return {
      link,
      decoded: { registers, registerFindings: findings.slice(0, 16).join(' ') },
      severity,
      action,
    };
  }
  const training = /\bfailed to train link (\d{1,3}) to remote PCI:([0-9a-fA-F:.]{4,20})/.exec(text);
  if (!training) return undefined;
  return { link: integer(training[1]), decoded: { remotePciAddress: (training[2] ?? '').toLowerCase() } };
}

/** `(0x1, 0x0, ...)` or `(0x1 0x0 ...)` at the start of the text. */
function registerWords(text: string, most: number): readonly number[] | undefined {
  const inside = /^ ?\(([^()\n]{1,240})/.exec(text)?.[1];
  if (!inside) return undefined;
  const words = (inside.match(/0x[0-9a-fA-F]{1,8}\b/g) ?? []).map((each) => word(each.slice(2)));
  return words.length > 0 ? words.slice(0, most) : undefined;
}

function decodeContainment(text: string): XidDetail | undefined {
  const match = /\b(Contained|Uncontained): ([^.(\n]{1,80})/.exec(text);
  if (!match) return undefined;
  const fields: Fields = { contained: match[1] === 'Contained', unit: (match[2] ?? '').trim() };
  const reset = /\bRST: (Yes|No)\b/.exec(text);
  if (reset) fields['resetRequired'] = reset[1] === 'Yes';
  const drain = /\bD-RST: (Yes|No)\b/.exec(text);
  if (drain) fields['drainResetRequired'] = drain[1] === 'Yes';
  const physical = physicalAddress(text);
  if (physical) fields['physicalAddress'] = physical;
  return { decoded: fields };
}

function decodeGspTimeout(text: string): XidDetail | undefined {
  const fields: Fields = {};
  const waited = /\bTimeout after (\d{1,6})s\b/.exec(text);
  if (waited) fields['waitedSeconds'] = integer(waited[1]);
  const gpu = /\bfrom GPU(\d{1,3}) GSP/.exec(text);
  if (gpu) fields['driverGpuNumber'] = integer(gpu[1]);
  const call = /\bExpected function (?:(\d{1,6})(?: \(([A-Za-z0-9_]{1,64})\))?|([A-Z][A-Z0-9_]{0,63}))/.exec(
    text,
  );
  if (call?.[1]) fields['functionNumber'] = integer(call[1]);
  const name = call?.[2] ?? call?.[3];
  if (name) fields['functionName'] = name;
  const sequence = /\bsequence (\d{1,10})\b/.exec(text);
  if (sequence) fields['sequence'] = integer(sequence[1]);
  return { decoded: fields };
}

function decodeGspError(text: string): XidDetail | undefined {
  const match =
    /\b(?:GSP (task|kernel) (exception|panic|watchdog timeout)|Poison error in GSP)(?:: ([^(@\n]{1,120}))?/.exec(
      text,
    );
  if (!match) return undefined;
  const fields: Fields = { failure: match[1] ? `${match[1]} ${match[2]}` : 'poison' };
  if (match[3]?.trim()) fields['reason'] = match[3].trim();
  const cause = new RegExp(`\\(cause:${hex}\\)`).exec(text);
  if (cause) fields['cause'] = address(cause[1]);
  const counter = new RegExp(`@ pc:${hex}`).exec(text);
  if (counter) fields['programCounter'] = address(counter[1]);
  const partition = /\bpartition:(\d{1,3})#(\d{1,3})/.exec(text);
  if (partition) fields['partition'] = `${partition[1]}#${partition[2]}`;
  const task = /\btask:(\d{1,5})/.exec(text);
  if (task) fields['task'] = integer(task[1]);
  return { decoded: fields };
}

function decodeLinkTraining(text: string): XidDetail | undefined {
  const match = /\bLink training failed for link (\d{1,3})/.exec(text);
  if (!match) return undefined;
  const registers = registerWords(text.slice(match.index + match[0].length), 8);
  return { link: integer(match[1]), ...(registers ? { decoded: { registers } } : {}) };
}

function decodeLinkPrivilege(text: string): XidDetail | undefined {
  const match =
    /\b([A-Z][A-Z0-9_]{1,32}) interrupt hit on link (\d{1,3}) on GPU(\d{1,3}): ([^\n]{1,80})/.exec(text);
  if (!match) return undefined;
  return {
    link: integer(match[2]),
    decoded: { unit: match[1] ?? null, driverGpuNumber: integer(match[3]), reason: (match[4] ?? '').trim() },
  };
}

const nvlink5Line =
  /^([A-Z][A-Z0-9_]{1,40}(?: [A-Za-z]{1,20})?) {1,20}(Fatal|Nonfatal) {1,8}XC(-?\d{1,4}) i(-?\d{1,4}) Link (-?\d{1,4})/;

function decodeNvlink5(xid: number, text: string): XidDetail | undefined {
  const match = nvlink5Line.exec(text);
  if (!match) return undefined;
  const unit = match[1] ?? '';
  const isFatal = match[2] === 'Fatal';
  const number = integer(match[5]);
  const words = registerWords(text.slice(match[0].length), 8);
  const fields: Fields = { unit, printedSeverity: isFatal ? 'fatal' : 'nonfatal' };
  // The driver prints -1 for an error of the whole block.
  const link = number >= 0 ? { link: number } : {};
  if (xid > 150) return { ...link, decoded: fields };
  const [intrInfo, errorStatus] = words ?? [];
  if (intrInfo !== undefined) {
    Object.assign(fields, {
      intrInfo: address(intrInfo.toString(16)),
      subcodeV1: (intrInfo >>> 5) & 0x1f,
      subcodeV2: intrInfo & 0x7f,
      linkDownReason: (intrInfo >>> 20) & 0x3f,
    });
  }
  if (errorStatus !== undefined) fields['errorStatus'] = address(errorStatus.toString(16));
  const found =
    intrInfo === undefined || errorStatus === undefined
      ? undefined
      : matchNvlink5(xid, unit, intrInfo, errorStatus);
  if (!found) return { ...link, decoded: fields, severity: isFatal ? 'critical' : 'warning' };
  const { rule, layouts } = found;
  Object.assign(fields, {
    layout: layouts.join('/'),
    vendorSeverity: rule.vendorSeverity,
    immediateBucket: rule.immediate,
    investigatoryBucket: rule.investigatory,
  });
  return { ...link, decoded: fields, severity: rule.severity, action: rule.action };
}

function decodeRecoveryAction(text: string): XidDetail | undefined {
  const match =
    /\brecovery action changed from 0x([0-9a-f]{1,8})(?: \([^()\n]{0,60}\))? to 0x([0-9a-f]{1,8})/i.exec(
      text,
    );
  if (!match) return undefined;
  const from = word(match[1]);
  const to = word(match[2]);
  const meaning = recoveryMeanings[to];
  return {
    decoded: {
      recoveryFrom: from,
      recoveryTo: to,
      recoveryFromAction: recoveryMeanings[from]?.recovery ?? null,
      recoveryAction: meaning?.recovery ?? null,
    },
    severity: meaning?.severity ?? 'warning',
    action: meaning?.action ?? 'monitor',
  };
}

const nvlink5: Readonly<Record<number, Decoder>> = Object.fromEntries(
  [144, 145, 146, 147, 148, 149, 150, 155].map((xid) => [xid, (text: string) => decodeNvlink5(xid, text)]),
);

const decoders: Readonly<Record<number, Decoder>> = {
  13: decodeEngineException,
  31: decodePageFault,
  44: decodePageFault,
  48: decodeDoubleBitError,
  63: decodeReplacement,
  64: decodeReplacement,
  69: decodeClassError,
  74: decodeNvlinkError,
  94: decodeContainment,
  95: decodeContainment,
  119: decodeGspTimeout,
  120: decodeGspError,
  136: decodeLinkTraining,
  137: decodeLinkPrivilege,
  154: decodeRecoveryAction,
  ...nvlink5,
};
