import { GpuError, type KernelLog, type KernelLogRecord } from '@k8s-gpu-mcp/core';

/** Text of all records that are kept; a record can have 8,000 characters. */
const maximumCharacters = 128 * 1024 * 1024;

/** The newest kernel records of all files, in input order. */
export class KernelRecords {
  readonly #maximumRecords: number;
  #records: KernelLogRecord[] = [];
  #characters = 0;
  #lostCount = 0;
  #from: string | null = null;
  #to: string | null = null;
  readonly #sources: string[] = [];
  readonly #skipped: { readonly source: string; readonly reason: string }[] = [];

  constructor(maximumRecords: number) {
    this.#maximumRecords = maximumRecords;
  }

  get newestAt(): string | null {
    return this.#to;
  }

  keep(record: KernelLogRecord): void {
    this.#records.push(record);
    this.#characters += record.raw.length + record.text.length;
    if (record.at !== null) {
      if (this.#from === null || record.at < this.#from) this.#from = record.at;
      if (this.#to === null || record.at > this.#to) this.#to = record.at;
    }
    // Dropping one at a time would copy the list each time.
    if (this.#records.length > 2 * this.#maximumRecords) this.#drop(this.#maximumRecords);
    if (this.#characters > maximumCharacters) this.#drop(this.#records.length >> 1);
  }

  /** A file that was read as a kernel log, whether or not it holds anything about GPUs. */
  addSource(name: string): void {
    this.#sources.push(`file:${name}`);
  }

  skip(name: string, reason: string): void {
    this.#skipped.push({ source: `file:${name}`, reason });
  }

  toKernelLog(): KernelLog {
    this.#drop(this.#maximumRecords);
    const records = this.#records;
    const isReadable = this.#sources.length > 0;
    if (!isReadable && this.#skipped.length === 0) {
      this.#skipped.push({ source: 'files', reason: 'none of them holds a kernel log' });
    }
    const coverage = {
      source: isReadable ? this.#sources.join(', ') : null,
      readable: isReadable,
      from: this.#from,
      to: this.#to,
      ...(this.#skipped.length > 0 ? { skipped: this.#skipped } : {}),
      ...(this.#lostCount > 0 ? { lostRecordCount: this.#lostCount } : {}),
    };
    return {
      async read({ since, signal }) {
        if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off');
        const sinceMilliseconds = since === undefined ? Number.NaN : Date.parse(since);
        const isOlder = ({ at }: KernelLogRecord) => at !== null && Date.parse(at) < sinceMilliseconds;
        return { records: records.filter((record) => !isOlder(record)), coverage };
      },
    };
  }

  #drop(keepCount: number): void {
    const excess = this.#records.length - keepCount;
    if (excess <= 0) return;
    this.#lostCount += excess;
    this.#records = this.#records.slice(excess);
    this.#characters = this.#records.reduce((sum, { raw, text }) => sum + raw.length + text.length, 0);
  }
}
