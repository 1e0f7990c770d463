import { type GpuError, isGpuError } from '@k8s-gpu-mcp/core';
import type {
  OpenRecordingsOptions,
  ReadLimits,
  RecordedFile,
  RecordingInput,
  ReplayReaders,
  TextSource,
} from '../recordings.ts';
import { type Choice, chooseReader, headBytes } from './choose-reader.ts';
import type { Findings } from './findings.ts';
import { RecordingReader } from './recording-reader.ts';
import { ReplayableStream } from './replayable-stream.ts';
import { TextLines } from './text-lines.ts';

/** Reads one input. Rejects only when `signal` aborts. */
export async function readRecording(
  input: RecordingInput,
  readers: ReplayReaders,
  findings: Findings,
  options: OpenRecordingsOptions,
): Promise<RecordedFile> {
  const { name } = input;
  const limits: ReadLimits = {
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.maximumInflatedBytes === undefined
      ? {}
      : { maximumInflatedBytes: options.maximumInflatedBytes }),
  };
  const again = 'path' in input ? undefined : new ReplayableStream(input.stream);
  const source = (): TextSource =>
    'path' in input ? { path: input.path } : { stream: again ?? input.stream, name };
  const text = readers.readText(source(), limits)[Symbol.asyncIterator]();
  const head = await readHead(text);
  const choice = chooseReader(head.bytes, head.isWhole);
  if (choice.reader === 'mixed') {
    again?.forget();
    return readMixed(name, head, text, choice, findings, options);
  }
  await text.return?.();
  again?.rewind();
  return scan(name, source(), choice, readers, findings, { ...limits, ...nowOf(options) });
}

interface Head {
  readonly bytes: Buffer;
  /** The file ends with it. */
  readonly isWhole: boolean;
  readonly error: GpuError | undefined;
}

/** The head of the file, or a whole chunk more. What goes wrong comes after what was read. */
async function readHead(text: AsyncIterator<Buffer>): Promise<Head> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    while (length < headBytes) {
      const next = await text.next();
      if (next.done) return { bytes: Buffer.concat(parts), isWhole: true, error: undefined };
      parts.push(Buffer.from(next.value));
      length += next.value.length;
    }
  } catch (error) {
    return { bytes: Buffer.concat(parts), isWhole: true, error: keptError(error) };
  }
  return { bytes: Buffer.concat(parts), isWhole: false, error: undefined };
}

async function readMixed(
  name: string,
  head: Head,
  text: AsyncIterator<Buffer>,
  { everyLine }: Choice,
  findings: Findings,
  options: OpenRecordingsOptions,
): Promise<RecordedFile> {
  const reader = new RecordingReader(name, findings, {
    everyLine,
    nowMilliseconds: options.nowMilliseconds ?? Date.now(),
    maximumSectionCharacters: options.maximumSectionCharacters ?? 64 * 1024 * 1024,
  });
  const lines = new TextLines();
  lines.push(head.bytes, reader.push);
  let { error } = head;
  if (!head.isWhole) {
    try {
      for (let next = await text.next(); !next.done; next = await text.next()) {
        lines.push(next.value, reader.push);
      }
    } catch (thrown) {
      error = keptError(thrown);
    }
  }
  const { lineCount } = lines;
  lines.end(reader.push);
  const unread = reader.end(error !== undefined);
  const { formats, gpuCount, recordCount } = reader;
  return {
    name,
    formats: [...formats],
    gpuCount,
    recordCount,
    lineCount,
    unread: error ? [...unread, restOf(name, lineCount, error)] : unread,
    ...(error ? { error } : {}),
  };
}

async function scan(
  name: string,
  source: TextSource,
  { looksLike }: Choice,
  readers: ReplayReaders,
  findings: Findings,
  limits: ReadLimits & { readonly nowMilliseconds?: number },
): Promise<RecordedFile> {
  let recordCount = 0;
  let lastLine = 0;
  let error: GpuError | undefined;
  try {
    for await (const record of readers.scanKernelLog(source, limits)) {
      recordCount += 1;
      lastLine = record.line ?? lastLine;
      findings.kernelRecords.keep(record.file === name ? record : { ...record, file: name });
    }
  } catch (thrown) {
    error = keptError(thrown);
  }
  const isLog = looksLike === 'kernel log' || recordCount > 0;
  const unread = [
    ...(looksLike === 'kernel log'
      ? []
      : [{ file: name, line: 1, part: looksLike, reason: 'searched for kernel messages only' }]),
    ...(error ? [restOf(name, lastLine, error)] : []),
  ];
  return {
    name,
    formats: isLog ? ['kernel log'] : [],
    gpuCount: 0,
    recordCount,
    lineCount: null,
    unread,
    ...(error ? { error } : {}),
  };
}

const nowOf = ({ nowMilliseconds }: OpenRecordingsOptions) =>
  nowMilliseconds === undefined ? {} : { nowMilliseconds };

/** Damage ends one file; who cancelled wants nothing more. */
function keptError(error: unknown): GpuError {
  if (isGpuError(error) && error.code !== 'TIMEOUT' && error.code !== 'CANCELLED') return error;
  throw error;
}

function restOf(file: string, line: number, error: GpuError) {
  const reason = error.code === 'INVALID_INPUT' ? 'damaged, or not readable as text' : 'could not be read';
  return { file, line: Math.max(1, line), part: 'rest of the file', reason };
}
