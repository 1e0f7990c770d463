import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { createTerminal, type Terminal } from '@k8s-gpu-mcp/command-line';
import { describe, expect, it } from 'vitest';
import { curveWidth, renderTimeline } from './timeline.ts';

const terminalOf = (columns: number, environment: Record<string, string> = { NO_COLOR: '1' }): Terminal =>
  createTerminal(Object.assign(new PassThrough(), { isTTY: true, columns }), environment);

const head = {
  apiVersion: 'v1',
  node: 'node-a',
  observedAt: '2026-03-01T00:10:00.000Z',
  summary: '1 of 1 GPU recorded over 600 s, 2 events.',
  gaps: [],
  coverage: { gpuBackend: { backend: 'stub', readable: true } },
  nextSteps: [],
};
const ramp = [0, 1, 2, 3, 4, 5, 6, 7];
/** As `get_gpu_timeline` writes each kind of series. */
const series = {
  temperatureCelsius: {
    min: 40,
    mean: 51.25,
    max: 96,
    last: 88,
    points: ramp.map((value) => 40 + 8 * value),
  },
  powerDrawWatts: {
    min: 70,
    mean: 400,
    max: 700,
    last: 690,
    points: [[70, 80, 90], [380, 400, 410], [390, 400, 700], null, 400, 400, 400, 690],
  },
  gpuUtilizationPercent: {
    min: 49,
    mean: 50,
    max: 51,
    last: 50,
    points: ramp.map((value) => 49 + value / 4),
  },
  smClockMegahertz: { value: 1980 },
  recoveryAction: { value: 'none' },
  state: { last: 'hung', sharePercent: { ok: 90, hung: 10 } },
  memoryTemperatureCelsius: null,
  clockEventReasons: {
    sharePercent: { 'sw-power-cap': 25 },
    points: { 'sw-power-cap': [0, 0, 0, 0, 0, 0, 100, 100] },
  },
  thermalViolationMicroseconds: { dutyPercent: 12.5, increase: 75_000_000, perSecond: 125_000, points: ramp },
  eccUncorrectableCount: { increase: 3, perSecond: 0.005, resetCount: 1, points: [0, 0, 0, 3, 0, 0, 0, 0] },
};
const gpu = { index: 3, uuid: 'GPU-3', state: 'hung', sampleCount: 600, series };
const events = [
  { atSeconds: 0, kind: 'recorder-gap', seconds: 60, reason: 'asleep' },
  {
    atSeconds: 300,
    kind: 'xid',
    xid: 79,
    gpu: 3,
    verdict: 'critical',
    title: 'GPU has fallen off the bus',
    count: 2,
  },
  { atSeconds: 600, kind: 'state-change', gpu: 3, series: 'state', from: 'ok', to: 'hung' },
];
const answer = {
  ...head,
  startAt: '2026-03-01T00:00:00.000Z',
  seconds: 600,
  gpus: [gpu],
  events,
  eventCount: 5,
};

const rendered = (more: object = {}, columns = 120, hasBlocks = true) =>
  renderTimeline({ ...answer, ...more }, terminalOf(columns), { hasBlocks });
const row = (text: string, start: string) => text.split('\n').find((line) => line.startsWith(start)) ?? '';
const curve = (text: string, start: string, width = 8) => {
  const heading = row(text, 'SERIES');
  const column = Math.max(...text.split('\n').map((line) => line.indexOf('▁▂▃▄▅▆▇█')));
  expect(heading).not.toBe('');
  return row(text, start).slice(column, column + width);
};

describe('a series is one line', () => {
  const text = rendered();

  it('name, curve, least, mean, greatest and last value', () => {
    expect(row(text, 'temperatureCelsius')).toMatch(/^temperatureCelsius +▁▂▃▄▅▆▇█ +40 +51\.3 +96 +88$/);
  });

  it('shows of a bucket the end that stands out, and nothing where nothing was read', () => {
    expect(curve(text, 'powerDrawWatts')).toBe('▁▄█ ▅▅▅█');
  });

  it('draws percent against a hundred, not against its own noise', () => {
    expect(curve(text, 'gpuUtilizationPercent')).toBe('▄▄▄▄▅▅▅▅');
  });

  it('makes no mountain of a watt of noise', () => {
    const noise = { min: 253, mean: 253.5, max: 254, last: 253, points: [253, 254, 253, 254] };
    const text = rendered({ gpus: [{ ...gpu, series: { ...series, powerDrawWatts: noise } }] });
    expect(curve(text, 'powerDrawWatts', 4)).toBe('▄▅▄▅');
  });

  it('what never changed, and what was never read', () => {
    expect(row(text, 'smClockMegahertz')).toMatch(/^smClockMegahertz +1980 +1980 +1980 +1980$/);
    expect(row(text, 'recoveryAction')).toMatch(/none all the time$/);
    expect(row(text, 'memoryTemperatureCelsius')).toMatch(/^memoryTemperatureCelsius +not read$/);
    expect(row(text, 'state ')).toMatch(/hung at the end; ok 90 %, hung 10 %$/);
  });

  it('flags one by one, counters by what they grew', () => {
    expect(curve(text, '  sw-power-cap')).toBe('▁▁▁▁▁▁██');
    expect(row(text, '  sw-power-cap')).toMatch(/25 % of the time$/);
    expect(row(text, 'thermalViolationMicroseconds')).toMatch(/12\.5 % of the time$/);
    expect(row(text, 'eccUncorrectableCount')).toMatch(/\+3, 0\.01\/s, began anew: 1$/);
    expect(curve(text, 'eccUncorrectableCount')).toBe('▁▁▁█▁▁▁▁');
  });
});

describe('events', () => {
  it('stand under the curves by their time, and below with their text', () => {
    const text = rendered();
    expect(curve(text, 'events')).toBe('a   b  c');
    expect(text).toContain('a  00:00:00Z  nothing recorded for 60 s (asleep)');
    expect(text).toContain('b  00:05:00Z  CRITICAL  GPU 3  Xid 79 GPU has fallen off the bus (2 times)');
    expect(text).toContain('c  00:10:00Z  GPU 3  state: ok to hung');
    expect(text).toContain('and 2 more: see --json');
  });

  it('stand by the time at which the curves begin, where that is later than what was asked for', () => {
    // 200 s of the 600 are before the curve: 300 s is a quarter of the rest, and 0 s is under no column of it.
    const text = rendered({ pointsStartAt: '2026-03-01T00:03:20.000Z' });
    expect(curve(text, 'events')).toBe('  b    c');
  });

  it('of another GPU are not under this one', () => {
    const text = rendered({ events: [{ atSeconds: 300, kind: 'xid', xid: 31, gpu: 0, title: 'MMU fault' }] });
    expect(row(text, 'events')).toBe('');
    expect(text).toContain('GPU 0  Xid 31 MMU fault');
  });

  it('share a mark where there are too many', () => {
    const many = Array.from({ length: 40 }, (_, index) => ({
      atSeconds: index,
      kind: 'xid',
      xid: 13,
      gpu: 3,
    }));
    const text = rendered({ events: many, eventCount: 40 });
    expect(row(text, 'events')).toMatch(/^events +\+$/);
  });
});

describe('on any terminal', () => {
  it('is the same text with and without colour', () => {
    const coloured = renderTimeline(answer, terminalOf(100, { FORCE_COLOR: '1' }));
    expect(coloured).not.toBe(rendered({}, 100));
    expect(stripVTControlCharacters(coloured)).toBe(rendered({}, 100));
  });

  it('stays within its columns', () => {
    const long = Array.from({ length: 200 }, (_, index) => index % 9);
    const wide = {
      ...gpu,
      series: { ...series, temperatureCelsius: { ...series.temperatureCelsius, points: long } },
    };
    for (const columns of [80, 100, 240]) {
      const lines = rendered({ gpus: [wide] }, columns).split('\n');
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
      expect(curveWidth(terminalOf(columns))).toBeLessThanOrEqual(100);
    }
    expect(curveWidth(terminalOf(40))).toBe(10);
  });

  it('has nothing but ASCII where blocks cannot be shown', () => {
    expect(rendered({}, 120, false)).toMatch(/^[\n -~]*$/);
    expect(row(rendered({}, 120, false), 'temperatureCelsius')).toMatch(/^temperatureCelsius {2,}\S{8} /);
  });
});

describe('what there is not', () => {
  it('is told: no samples, no events, damaged samples', () => {
    const coverage = {
      ...head.coverage,
      recorder: {
        from: '2026-03-01T00:00:00.000Z',
        to: '2026-03-01T00:10:00.000Z',
        intervalMilliseconds: 1000,
        store: { lostSampleCount: 8, failedAppendCount: 1, detail: '/var/record cannot be written: ENOSPC' },
      },
    };
    const text = rendered({
      gpus: [{ index: 0, uuid: null, state: null, sampleCount: 0 }],
      events: [],
      eventCount: 0,
      coverage,
    });
    expect(text).toContain('GPU 0  -  0 samples\n');
    expect(text).not.toContain('Events');
    expect(text).toContain('every 1000 ms, 8 damaged samples left out');
    expect(text).toContain('record directory: /var/record cannot be written: ENOSPC');
  });

  it('text of others cannot act on the terminal', () => {
    const hostile = '\u001b]0;owned\u0007\u202eevil\r\nGPU 9  all is well';
    const text = rendered({
      node: hostile,
      gpus: [{ ...gpu, uuid: hostile, state: hostile, series: { [hostile]: { value: hostile } } }],
      events: [{ atSeconds: 1, kind: hostile, pciAddress: hostile, title: hostile }],
    });
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|^GPU 9 {2}all is well/m);
  });
});
