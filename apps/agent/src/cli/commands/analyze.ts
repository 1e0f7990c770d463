import {
  createGpuTools,
  isContext,
  type KernelLogRecord,
  parseKernelEvent,
  type StructuredContent,
  type Verdict,
  verdictOfEvent,
  worstVerdict,
} from '@k8s-gpu-mcp/core';
import { eventLine } from '../../analyze/event-lines.ts';
import { chooseInputs, countLines, type Input } from '../../analyze/inputs.ts';
import { offlineProvider, recordedKernelLog } from '../../analyze/offline-ports.ts';
import { readRecords, type ScanOutcome } from '../../analyze/records.ts';
import type { CommandContext } from '../command.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { renderIncidents } from '../render/incidents.ts';

/** Enough for any real storm; beyond it the oldest are dropped and the answer says how many. */
const maximumRecords = 200_000;
const maximumIncidents = 200;

/** Kernel logs in files or on standard input: no GPU, no MCP, nothing native. */
export async function analyze(context: CommandContext): Promise<number> {
  const { inputs, refused } = await chooseInputs(context.operands);
  for (const line of [...refused, ...inputs.flatMap(({ remark }) => remark ?? [])]) context.note(line);
  return context.config.events ? printEvents(inputs, context) : report(inputs, context);
}

const batchLength = 64 * 1024;

/** One line of JSON per event, as soon as it is read; memory does not grow with the input. */
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

/** The answer of analyze_xid_errors over the files. */
async function report(inputs: readonly Input[], context: CommandContext): Promise<number> {
  const { config, host, terminal, note } = context;
  const kept = createRecordKeeper();
  const outcomes: ScanOutcome[] = [];
  for (const input of inputs) {
    const outcome: ScanOutcome = { recordCount: 0 };
    outcomes.push(outcome);
    for await (const record of readRecords(input, host.stdin, outcome)) kept.keep(record);
    if (outcome.damage !== undefined) note(outcome.damage);
  }
  const source = inputs.map(({ name }) => `file:${name}`).join(', ');
  const [records, lostRecordCount] = kept.finish();
  const tools = createGpuTools(
    {
      gpuProvider: offlineProvider,
      kernelLog: recordedKernelLog(source, records, lostRecordCount, unreadParts(inputs, outcomes)),
    },
    { nodeName: config.nodeName, deadlineMilliseconds: 600_000 },
  );
  const result = await tools
    .find(({ name }) => name === 'analyze_xid_errors')
    ?.call({ limit: maximumIncidents, detail: 'full' });
  if (!result || result.isError) throw new Error(result?.text ?? 'analyze_xid_errors is not among the tools');
  const { structuredContent: answer, text } = result;
  if (config.json) await terminal.write(`${text}\n`);
  else if (answer['eventCount'] === 0) await terminal.write(await nothingFound(inputs, outcomes));
  else await terminal.write(renderIncidents(answer, terminal));
  return exitCodeOf(isDamaged(outcomes) ? worseThanUnknown(answer) : answer);
}

/** Files with nothing in them, files that are no text, and what stands behind a damage: none of it is a log without errors. */
function unreadParts(inputs: readonly Input[], outcomes: readonly ScanOutcome[]) {
  return inputs.flatMap(({ name, stats, isBinary }, index) => {
    const { damage, lineCount, recordCount } = outcomes[index] ?? {};
    const isEmpty = stats?.isFile() ? stats.size === 0 : lineCount === 0;
    const isUnread = isEmpty ? 'it is empty' : isBinary && recordCount === 0 ? 'it is not text' : undefined;
    const reason = damage ?? isUnread;
    return reason === undefined ? [] : [{ source: `file:${name}`, reason }];
  });
}

const isDamaged = (outcomes: readonly ScanOutcome[]) => outcomes.some(({ damage }) => damage !== undefined);

const worseThanUnknown = ({ verdict }: StructuredContent) => ({
  verdict: worstVerdict([verdict as Verdict, 'unknown']),
});

async function nothingFound(inputs: readonly Input[], outcomes: readonly ScanOutcome[]): Promise<string> {
  const counts = await Promise.all(
    inputs.map(async (input, index) => outcomes[index]?.lineCount ?? countLines(input)),
  );
  const known = counts.flatMap((count) => count ?? []);
  const lines = known.reduce((sum, count) => sum + count, 0);
  return `no GPU events found; ${known.length === counts.length ? `${lines} lines read` : 'everything read'}\n`;
}

function createRecordKeeper() {
  let records: KernelLogRecord[] = [];
  let lostRecordCount = 0;
  const trim = () => {
    const excess = records.length - maximumRecords;
    if (excess <= 0) return;
    records = records.slice(excess);
    lostRecordCount += excess;
  };
  return {
    keep(record: KernelLogRecord): void {
      records.push(record);
      if (records.length >= 2 * maximumRecords) trim();
    },
    finish(): readonly [readonly KernelLogRecord[], number] {
      trim();
      return [records, lostRecordCount];
    },
  };
}
