import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exactFigure, figure, notMeasured } from './figure.mjs';
import { countOf, machineLines } from './machine.mjs';
import {
  exitCodeOf,
  linesOf,
  markdownOf,
  markers,
  mergedRun,
  numberText,
  statusOf,
  summaryLine,
  withMeasured,
} from './report.mjs';

const pairs = (ratio: number) => [0.98, 0.99, 1, 1.01, 1.02].map((part) => [ratio * part, 1]);
const met = figure({ name: 'start / peer', pairs: pairs(0.8), must: 1, stretch: 0.7, detail: '40 / 50 ms' });
const missed = figure({ name: 'memory / peer', pairs: pairs(1.2), must: 1, guard: 2 });
const worse = figure({ name: 'calls / peer', pairs: pairs(3), must: 1, guard: 2 });
const few = figure({ name: 'few / peer', pairs: pairs(1).slice(2), must: 1 });
const away = notMeasured({ name: 'away / peer', must: 1 }, 'no npm');
const told = figure({ name: 'told / peer', pairs: pairs(5) });
const result = (...figures: object[]) => ({ benchmark: 'start', figures });
const machine = {
  node: ['v20.20.2'],
  cpu: 'CPU',
  cores: 2,
  kernel: 'Linux 6.1',
  countsInstructions: false,
  load: 0.1,
  busyPart: 0.02,
  isBusy: false,
};

describe('status and exit code', () => {
  it('names each outcome', () => {
    expect([met, missed, worse, few, away, told].map(statusOf)).toEqual([
      'met',
      'NOT MET',
      'REGRESSION',
      'REFUSED',
      'not measured',
      'told',
    ]);
  });

  it('fails for a regression and for a benchmark that ended without figures, and for nothing else', () => {
    expect(exitCodeOf([result(met, missed, few, away, told)])).toBe(0);
    expect(exitCodeOf([result(met), result(worse)])).toBe(1);
    expect(exitCodeOf([{ ...result(), error: 'threw' }])).toBe(1);
  });

  it('with strict also fails for what is not met, refused or not measured', () => {
    expect(exitCodeOf([result(met, told)], { strict: true })).toBe(0);
    for (const each of [missed, few, away]) expect(exitCodeOf([result(met, each)], { strict: true })).toBe(1);
  });

  it('counts them', () => {
    expect(summaryLine([result(met, met), { ...result(away), error: 'threw' }])).toBe(
      '2 met, 1 not measured, 1 benchmarks FAILED',
    );
  });
});

describe('lines', () => {
  it('tell ratio, spread, rounds, goal and absolute values', () => {
    expect(linesOf(result(met))).toEqual([
      'met          start / peer: 0.80 (0.79 to 0.81; 5 rounds; at most 1.00, better 0.70)  40 / 50 ms',
    ]);
  });

  it('tell that a quantity does not vary', () => {
    const size = exactFigure({ name: 'tokens', ours: 4_000, theirs: 1, must: 8_000 });
    expect(linesOf(result(size))).toEqual(['met          tokens: 4,000 (exact; at most 8,000)']);
  });

  it('tell why there is no ratio, and no ratio', () => {
    const [line] = linesOf(result(few));
    expect(line).toBe('REFUSED      few / peer: 3 rounds, fewer than 5');
  });

  it('show that a benchmark failed', () => {
    expect(linesOf({ ...result(), error: 'ended with 1' })).toEqual(['FAILED       start: ended with 1']);
  });

  it('align tables', () => {
    const tables = [{ title: 'Answers', columns: ['tool', 'tokens'], rows: [['get_gpu_health', 5]] }];
    expect(linesOf({ ...result(), tables })).toEqual([
      'Answers',
      '  tool            tokens',
      '  get_gpu_health  5',
    ]);
  });

  it('write numbers as long as they are precise', () => {
    expect([0.034, 0.5, 12.34, 4321].map(numberText)).toEqual(['0.034', '0.50', '12.3', '4,321']);
  });
});

describe('markdown', () => {
  const run = { machine, isShort: false, results: [result(met, few, told)] };

  it('has a row for each figure, with the command beside it, and the absolute values below', () => {
    const text = markdownOf(run, machineLines);
    expect(text).toContain(
      '| start / peer | 0.80 (0.79 to 0.81; 5 rounds) | ≤ 1.00 | ≤ 0.70 | met | `npm run bench -- start` |',
    );
    expect(text).toContain('| few / peer | 3 rounds, fewer than 5 | ≤ 1.00 |  | REFUSED |');
    expect(text).toContain('| told / peer | 5.00 (4.95 to 5.05; 5 rounds) |  |  | told |');
    expect(text).toContain('- start / peer: 40 / 50 ms');
    expect(text).toContain('- Node v20.20.2, 2 x CPU, Linux 6.1');
  });

  it('says when the machine was busy or the run short', () => {
    const text = markdownOf({ ...run, machine: { ...machine, isBusy: true }, isShort: true }, machineLines);
    expect(text).toContain('WARNING: this machine is busy');
    expect(text).toContain('short run');
  });

  it('is the same from the results file as from the run', () => {
    expect(markdownOf(JSON.parse(JSON.stringify(run)), machineLines)).toBe(markdownOf(run, machineLines));
  });

  it('keeps a bar within a cell', () => {
    const tables = [{ title: 'T', columns: ['a'], rows: [['x|y']] }];
    expect(markdownOf({ ...run, results: [{ ...result(), tables }] }, machineLines)).toContain('| x\\|y |');
  });

  it('replaces what is between the markers, and only that', () => {
    const document = `before\n${markers.start}\nold\n${markers.end}\nafter\n`;
    const once = withMeasured(document, 'new');
    expect(once).toBe(`before\n${markers.start}\n\nnew\n\n${markers.end}\nafter\n`);
    expect(withMeasured(once, 'new')).toBe(once);
    expect(() => withMeasured('no markers', 'new')).toThrow(/has no/);
  });
});

describe('results of an earlier run', () => {
  const other = { benchmark: 'image', figures: [met] };

  it('stay where they were not measured again', () => {
    const before = { machine, results: [result(missed), other] };
    const merged = mergedRun(before, { machine, results: [result(met)] });
    expect(merged.results).toEqual([other, result(met)]);
  });

  it('are not mixed with those of another machine', () => {
    const elsewhere = { machine: { ...machine, cpu: 'other' }, results: [other] };
    expect(() => mergedRun(elsewhere, { machine, results: [result(met)] })).toThrow(/another machine/);
  });
});

describe('instructions', () => {
  it('are what perf counted, and nothing where it could not count', () => {
    expect(countOf('123456,,instructions:u,1000,100.00,,')).toBe(123_456);
    expect(countOf('<not supported>,,instructions:u,0,100.00,,')).toBeUndefined();
    expect(countOf('0,,instructions:u,0,0.00,,')).toBeUndefined();
    expect(countOf('')).toBeUndefined();
  });
});

const [document, results] = ['docs/performance.md', 'docs/performance.json'].map((file) =>
  resolve(import.meta.dirname, '../..', file),
) as [string, string];

describe('docs/performance.md', () => {
  it.skipIf(!existsSync(results))('shows what docs/performance.json holds', () => {
    const text = readFileSync(document, 'utf8');
    const measured = markdownOf(JSON.parse(readFileSync(results, 'utf8')), machineLines);
    expect(text).toBe(withMeasured(text, measured));
  });
});
