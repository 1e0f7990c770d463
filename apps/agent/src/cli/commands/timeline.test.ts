import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { createTerminal } from '@k8s-gpu-mcp/command-line';
import { recordedSeries, silentLogger } from '@k8s-gpu-mcp/core';
import { createRecorderStore } from '@k8s-gpu-mcp/host-linux';
import { afterAll, describe, expect, it } from 'vitest';
import { type GivenFlags, resolveConfig } from '../../config.ts';
import type { CommandContext } from '../command.ts';
import { timeline } from './timeline.ts';

const root = mkdtempSync(join(tmpdir(), 'timeline-command-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const seriesNames = recordedSeries.map(({ id }) => id);

/** Runs the command against simulated GPUs; time passes as soon as it is waited for. */
async function run(flags: GivenFlags, env: Record<string, string> = {}) {
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
  const notes: string[] = [];
  const waits: number[] = [];
  const config = resolveConfig('timeline', { backend: ['mock'], nodeName: ['node-a'], ...flags }, {});
  const context: CommandContext = {
    config,
    operands: [],
    host: { stdin: new PassThrough(), stdout: process.stdout, stderr: process.stderr, env },
    terminal: createTerminal(output, { NO_COLOR: '1' }),
    note: (line) => notes.push(line),
    createLogger: async () => silentLogger,
  };
  let passed = 0;
  const code = await timeline(context, {
    now: () => Date.now() + passed,
    after(milliseconds, callback) {
      waits.push(milliseconds);
      passed += milliseconds;
      callback();
      return () => {};
    },
  });
  return { code, notes, waits, text: String(output.read() ?? '') };
}

/** A minute of one GPU that gets hotter, as an agent would have left it: its last samples are a minute old. */
async function recordMinute(directory: string, end = Date.now() - 60_000): Promise<void> {
  let now = end;
  const store = createRecorderStore({ directory, seriesNames, clock: { now: () => now } });
  for (let second = 0; second < 60; second += 1) {
    const values = new Float64Array(seriesNames.length).fill(Number.NaN);
    values[seriesNames.indexOf('temperatureCelsius')] = 30 + second;
    values[seriesNames.indexOf('state')] = 0;
    now = end - (59 - second) * 1000;
    await store.append([{ gpuUuid: '', gpuIndex: 0, atMilliseconds: now, values }]);
  }
  await store.close();
}

describe('timeline', () => {
  it('shows at once what the record directory has', async () => {
    const directory = join(root, 'record');
    await recordMinute(directory);
    const { notes, waits, text } = await run({ recordDirectory: [directory], gpu: ['0'] });
    expect([notes, waits]).toEqual([[], []]);
    const row = text.split('\n').find((line) => line.startsWith('temperatureCelsius')) ?? '';
    expect(row).toMatch(/ ▁[▁▂▃▄▅▆▇█ ]*█ +30 +[\d.]+ +89 +[\d.]+$/);
  });

  it('records for the window when nothing was recorded', async () => {
    const { code, notes, waits, text } = await run({ windowSeconds: ['7'] });
    expect(notes).toEqual(['recording for 7 s']);
    expect(waits).toEqual([7_000]);
    expect(text).toContain('node-a');
    expect(code).toBe(0);
  });

  it('says that the record directory is empty, or cannot be read', async () => {
    const empty = join(root, 'empty');
    expect((await run({ recordDirectory: [empty] })).notes).toEqual([
      `${empty} has nothing; recording for 10 s`,
    ]);
    const { notes } = await run({ recordDirectory: [process.execPath] });
    expect(notes[0]).toMatch(/^the record directory: .* cannot be read: ENOTDIR/);
  });

  it('is ASCII where the locale is not UTF-8, and JSON when asked', async () => {
    const directory = join(root, 'ascii');
    await recordMinute(directory);
    const { text } = await run({ recordDirectory: [directory] }, { LC_ALL: 'C' });
    expect(text).not.toMatch(/[▁▂▃▄▅▆▇█]/);
    const { text: json } = await run({ recordDirectory: [directory], json: ['true'] });
    expect(JSON.parse(json)).toMatchObject({ node: 'node-a', seconds: 600 });
  });

  it('shows the end of a record that ended hours ago', async () => {
    const directory = join(root, 'crashed');
    // Of what is older than ten minutes one in ten seconds is kept, so that the newest is of nine seconds before.
    const end = Date.now() - 3 * 3_600_000;
    await recordMinute(directory, end + 9_000);
    const { notes, text } = await run({ recordDirectory: [directory], json: ['true'] });
    expect(notes).toEqual([]);
    const answer = JSON.parse(text) as Record<string, unknown>;
    expect(answer).toMatchObject({
      startAt: new Date(end - 600_000).toISOString(),
      seconds: 600,
      pointsStartAt: new Date(end - 50_000).toISOString(),
    });
    expect(answer['gpus']).toContainEqual(expect.objectContaining({ index: 0, sampleCount: 6 }));
  });

  it.each([
    ['a GPU that is not there', { gpu: ['99'] }, 'GPU_NOT_FOUND'],
    ['a time that is none', { since: ['soon'] }, 'since = "soon"'],
  ])('%s is a usage error, told before the window', async (_, flags, told) => {
    const { code, notes, waits } = await run(flags);
    expect([code, waits]).toEqual([64, []]);
    expect(notes.join()).toContain(told);
  });
});
