import { exitCodeOf, exitCodeOfError, UsageError } from '@k8s-gpu-mcp/command-line';
import {
  isContext,
  isGpuError,
  parseKernelEvent,
  type Verdict,
  verdictOfEvent,
  worstVerdict,
} from '@k8s-gpu-mcp/core';
import { readText, scanKernelLog } from '@k8s-gpu-mcp/host-linux';
import { openRecordings, type Recordings } from '@k8s-gpu-mcp/replay';
import { analyzeRecordings } from '../../analyze/answer.ts';
import { eventLine } from '../../analyze/event-lines.ts';
import { checkInputs, countLines, type Input } from '../../analyze/inputs.ts';
import { readRecords, type ScanOutcome } from '../../analyze/records.ts';
import { readThresholds } from '../../thresholds.ts';
import type { CommandContext } from '../command.ts';
import { renderDiagnosis } from '../render/diagnosis.ts';

/** Files on a laptop: no GPU, no MCP, nothing native. */
export async function analyze(context: CommandContext): Promise<number> {
  const inputs = await checkInputs(context.operands);
  return context.config.events ? printEvents(inputs, context) : report(inputs, context);
}

const batchLength = 64 * 1024;

/** One line of JSON per event of the kernel logs, as soon as it is read; memory does not grow with the input. */
async function printEvents(
  inputs: readonly Input[],
  { host, terminal, note }: CommandContext,
): Promise<number> {
  const verdicts = new Set<Verdict>(['ok']);
  for (const input of inputs) {
    const outcome: ScanOutcome = { recordCount: 0 };
    let batch = '';
    try {
      for await (const record of readRecords(input, host.stdin, outcome)) {
        const event = parseKernelEvent(record);
        if (!event || isContext(event)) continue;
        verdicts.add(verdictOfEvent(event));
        batch += eventLine(event, input.name);
        if (batch.length < batchLength) continue;
        await terminal.write(batch);
        batch = '';
      }
    } finally {
      if (batch !== '') await terminal.write(batch);
    }
    if (outcome.damage !== undefined) {
      note(outcome.damage);
      verdicts.add('unknown');
    }
  }
  return exitCodeOf({ verdict: worstVerdict(verdicts) });
}

/** One diagnosis of everything that the files hold. */
async function report(inputs: readonly Input[], context: CommandContext): Promise<number> {
  const { config, host, terminal, note } = context;
  const recordings = await open(inputs, host.stdin);
  try {
    for (const { name, error } of recordings.files)
      if (error) note(`${name}: ${error.message}. ${error.hint}`);
    for (const line of recordings.notes) note(line);
    const { gpu, pid, at, since } = config;
    const result = await analyzeRecordings(recordings, {
      nodeName: config.nodeName,
      thresholds: await readThresholds(config.healthThresholds),
      question: {
        ...(gpu === undefined ? {} : { gpu }),
        ...(pid === undefined ? {} : { pid }),
        ...(at === undefined ? {} : { at }),
        ...(since === undefined ? {} : { since }),
      },
    });
    if (result.isError) {
      note(result.text);
      return exitCodeOfError(result.code);
    }
    const { structuredContent: answer, text } = result;
    if (config.json) await terminal.write(`${text}\n`);
    else if (isEmpty(recordings)) await terminal.write(await nothingFound(recordings, inputs));
    else await terminal.write(renderDiagnosis(answer, terminal));
    return exitCodeOf(answer);
  } finally {
    await recordings.close();
  }
}

async function open(inputs: readonly Input[], stdin: AsyncIterable<Uint8Array>): Promise<Recordings> {
  const sources = inputs.map(({ name, stats }) => (stats ? { name, path: name } : { name, stream: stdin }));
  try {
    return await openRecordings(sources, { readText, scanKernelLog });
  } catch (error) {
    if (isGpuError(error) && error.code === 'INVALID_INPUT')
      throw new UsageError(`${error.message} ${error.hint}`);
    throw error;
  }
}

/** Everything was searched, and nothing in it is about a GPU. */
const isEmpty = ({ files, applicationErrors }: Recordings) =>
  applicationErrors.length === 0 &&
  files.every(
    ({ gpuCount, recordCount, lineCount, error }) =>
      gpuCount === 0 && recordCount === 0 && lineCount !== 0 && !error,
  );

async function nothingFound({ files }: Recordings, inputs: readonly Input[]): Promise<string> {
  // The lines of a plain kernel log are not counted on the way, and need not be unless there is nothing else to say.
  const counts = await Promise.all(
    files.map(async ({ lineCount }, index) => lineCount ?? (await countLines(inputs[index]))),
  );
  const known = counts.flatMap((count) => count ?? []);
  const lines = known.reduce((sum, count) => sum + count, 0);
  return `no GPU events found; ${known.length === counts.length ? `${lines} lines read` : 'everything read'}\n`;
}
