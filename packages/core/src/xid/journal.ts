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
  const fields = new Map(Object.entries(entry).map(([name, value]) => [name, fieldText(value)]));
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
  const realtime = Number(
    fields.get('_SOURCE_REALTIME_TIMESTAMP') ?? fields.get('__REALTIME_TIMESTAMP') ?? Number.NaN,
  );
  const monotonic = Number(
    fields.get('_SOURCE_MONOTONIC_TIMESTAMP') ?? fields.get('__MONOTONIC_TIMESTAMP') ?? Number.NaN,
  );
  return {
    text: fields.get('MESSAGE') ?? '',
    raw: raw.slice(0, maximumRawLength),
    at: fromMilliseconds(realtime / 1000) ?? null,
    uptimeSeconds: Number.isFinite(monotonic) ? monotonic / 1e6 : null,
    trusted: trustOf(fields),
  };
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
const binaryLengthCharacters = 8;

/** `journalctl -o export`: one field a line, entries end with an empty line; a binary field is its name, a length and the bytes. */
export class ExportReader {
  #fields: Map<string, string> | undefined;
  #binary: string | undefined;

  /** The record that this line completes, `undefined` for a line inside an entry, `'not-export'` for a line of another format. */
  push(line: string): KernelLogRecord | undefined | 'not-export' {
    if (!this.#fields) {
      if (!exportStart.test(line)) return 'not-export';
      this.#fields = new Map();
    }
    if (this.#binary !== undefined) {
      this.#fields.set(this.#binary, line.slice(binaryLengthCharacters));
      this.#binary = undefined;
      return undefined;
    }
    if (line === '') return this.end();
    const field = exportField.exec(line);
    if (field?.[1] !== undefined) this.#fields.set(field[1], field[2] ?? '');
    else if (/^[A-Z_][A-Z0-9_]{0,63}$/.test(line)) this.#binary = line;
    else {
      this.#fields = undefined;
      return 'not-export';
    }
    return undefined;
  }

  end(): KernelLogRecord | undefined {
    const fields = this.#fields;
    this.#fields = undefined;
    this.#binary = undefined;
    return fields?.has('MESSAGE') ? toRecord(fields, fields.get('MESSAGE') ?? '') : undefined;
  }
}
