import type { KernelLogRecord, Trust } from '../domain/event.ts';
import { fromMilliseconds } from './timestamps.ts';

const maximumRawLength = 4_096;
type Fields = ReadonlyMap<string, string>;

/**
 * One line of `journalctl -o json`. MESSAGE may be a string, an array of byte values (when it is not valid UTF-8), or an array of those
 * (when the field is repeated). Source: systemd's Journal JSON Format.
 */
export function parseJournalEntry(json: string): KernelLogRecord | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof entry !== 'object' || entry === null || !('MESSAGE' in entry)) return undefined;
  const fields = new Map(
    Object.entries(entry).map(([name, value]) => [
      name,
      // A field that decides on trust counts with all its values: one more than expected and it decides nothing.
      name !== 'MESSAGE' && Array.isArray(value) ? value.join() : fieldText(value),
    ]),
  );
  return toRecord(fields, json);
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (!Array.isArray(value)) return '';
  if (value.every((item) => Number.isInteger(item))) return new TextDecoder().decode(Uint8Array.from(value));
  return fieldText(value[0]);
}

function toRecord(fields: Fields, raw: string): KernelLogRecord {
  const trusted = trustOf(fields);
  const message = fields.get('MESSAGE') ?? '';
  // journald takes `NVRM: ` off a record that a program wrote, as that program's name; what it claims stays readable with it.
  const identifier = fields.get('SYSLOG_IDENTIFIER');
  const isForeign = trusted === false && identifier !== undefined && fields.get('_TRANSPORT') === 'kernel';
  const bootId = fields.get('_BOOT_ID');
  const uptime =
    microseconds(fields, '_SOURCE_MONOTONIC_TIMESTAMP') ?? microseconds(fields, '__MONOTONIC_TIMESTAMP');
  return {
    text: isForeign ? `${identifier}: ${message}` : message,
    raw: raw.slice(0, maximumRawLength),
    at: fromMilliseconds((writtenMicroseconds(fields) ?? Number.NaN) / 1000) ?? null,
    uptimeSeconds: uptime === undefined ? null : uptime / 1e6,
    trusted,
    ...(bootId !== undefined && /^[0-9a-f]{32}$/.test(bootId) ? { bootId } : {}),
  };
}

/** When the record was written: journald's own time is when it took the record in, minutes later for those of early boot. */
function writtenMicroseconds(fields: Fields): number | undefined {
  const source = microseconds(fields, '_SOURCE_REALTIME_TIMESTAMP');
  if (source !== undefined) return source;
  const taken = microseconds(fields, '__REALTIME_TIMESTAMP');
  const takenUptime = microseconds(fields, '__MONOTONIC_TIMESTAMP');
  const writtenUptime = microseconds(fields, '_SOURCE_MONOTONIC_TIMESTAMP');
  if (taken === undefined || takenUptime === undefined || writtenUptime === undefined) return taken;
  return taken - (takenUptime - writtenUptime);
}

function microseconds(fields: Fields, name: string): number | undefined {
  const text = fields.get(name);
  return text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : undefined;
}

/** Fields that begin with an underscore are the journal's own word; SYSLOG_FACILITY is the kernel's when the transport is. */
function trustOf(fields: Fields): Trust {
  const transport = fields.get('_TRANSPORT');
  const facility = fields.get('SYSLOG_FACILITY');
  if (transport === undefined)
    return facility === undefined ? 'unknown' : facility === '0' ? 'unknown' : false;
  return transport === 'kernel' && (facility === undefined || facility === '0');
}

const exportField = /^([A-Z_][A-Z0-9_]{0,63})=([^\n]*)$/;
const exportStart = /^__(?:CURSOR|REALTIME_TIMESTAMP|MONOTONIC_TIMESTAMP)=/;
/** The length of a binary field: eight bytes, least significant first. Its upper bytes are zero, the lower may not have survived decoding. */
const binaryLength = /^([\s\S]{1,3}?)(\0{5,7})/;
const maximumBinaryCharacters = 16_384;

/** `journalctl -o export`: one field a line, entries end with an empty line; a binary field is its name, a length and the bytes. */
export class ExportReader {
  #fields: Map<string, string> | undefined;
  /** The binary field being read: its name, and what has come of length and bytes. */
  #binary: { readonly name: string; readonly text?: string } | undefined;
  /** Where a binary field ends could not be told: what follows may be its text, and vouches for nothing. */
  #isDoubtful = false;

  /** The record that this line completes, `undefined` for a line inside an entry, `'not-export'` for a line of another format. */
  push(line: string): KernelLogRecord | undefined | 'not-export' {
    if (!this.#fields) {
      if (!exportStart.test(line)) return 'not-export';
      this.#fields = new Map();
    }
    if (this.#binary) {
      const { name } = this.#binary;
      const value = this.#readBinary(line);
      if (value !== undefined) this.#fields.set(name, value);
      return undefined;
    }
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (text === '') return this.end();
    const field = exportField.exec(text);
    if (field?.[1] !== undefined) this.#fields.set(field[1], field[2] ?? '');
    else if (/^[A-Z_][A-Z0-9_]{0,63}$/.test(text)) this.#binary = { name: text };
    else if (!this.#isDoubtful) {
      this.#fields = undefined;
      return 'not-export';
    }
    return undefined;
  }

  /** The value of the binary field once all its bytes are there. */
  #readBinary(line: string): string | undefined {
    const binary = this.#binary;
    if (!binary) return undefined;
    // A length of ten begins with a line feed: even an empty line can be part of it.
    const text = binary.text === undefined ? line : `${binary.text}\n${line}`;
    const prefix = binaryLength.exec(text);
    if (prefix === null && text.length <= 8) {
      this.#binary = { name: binary.name, text };
      return undefined;
    }
    const [whole = '', low = ''] = prefix ?? [];
    const body = text.slice(whole.length);
    const isExact = whole.length === 8 && !/[^\0-\x7f]/.test(low) && !body.includes('\ufffd');
    if (isExact) {
      const length = [...low].reduce((sum, unit, index) => sum + unit.charCodeAt(0) * 256 ** index, 0);
      const isComplete = new TextEncoder().encode(body).length >= length;
      if (!isComplete && text.length < maximumBinaryCharacters) {
        this.#binary = { name: binary.name, text };
        return undefined;
      }
      this.#isDoubtful ||= !isComplete;
    }
    this.#isDoubtful ||= !isExact;
    this.#binary = undefined;
    return body.replace(/^\0+/, '');
  }

  end(): KernelLogRecord | undefined {
    const fields = this.#fields;
    const isDoubtful = this.#isDoubtful;
    this.#fields = undefined;
    this.#binary = undefined;
    this.#isDoubtful = false;
    if (!fields?.has('MESSAGE')) return undefined;
    const record = toRecord(fields, fields.get('MESSAGE') ?? '');
    return isDoubtful && record.trusted === true ? { ...record, trusted: 'unknown' } : record;
  }
}
