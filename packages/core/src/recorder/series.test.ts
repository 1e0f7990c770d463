import { describe, expect, test } from 'vitest';
import { h100Link, h100Links, h100Reading, h100Ref } from '../../test/h100.ts';
import { type GpuReading, gpuStates } from '../domain/gpu.ts';
import { recoveryActions } from '../domain/readings/recovery.ts';
import {
  type RecordedSeries,
  type RecordedSeriesId,
  recordedSections,
  recordedSeries,
  recordedSeriesIds,
  recordedValues,
  seriesIndex,
  seriesOf,
} from './series.ts';

const table: readonly RecordedSeries[] = recordedSeries;
const recorded = (reading: GpuReading, id: RecordedSeriesId) => recordedValues(reading)[seriesIndex(id)];

describe('the table', () => {
  test('has thirty series, each with its own name, title and kind', () => {
    expect(table).toHaveLength(30);
    expect(new Set(recordedSeriesIds).size).toBe(30);
    expect(new Set(table.map(({ title }) => title)).size).toBe(30);
  });

  test('numbers have their unit in the name, labels stand where there is none', () => {
    for (const { id, kind, labels, counts } of table) {
      expect(labels !== undefined, id).toBe(kind === 'flags' || kind === 'state');
      expect(counts !== undefined, id).toBe(kind === 'counter');
      if (labels === undefined) {
        expect(id).toMatch(
          /(Celsius|Watts|Megahertz|Percent|Mebibytes|Lanes|Generation|Count|Milliseconds|Microseconds|Joules)$/,
        );
      }
    }
  });

  test('every state and every recovery action has a place, the good one first', () => {
    expect(seriesOf('state').labels?.toSorted()).toEqual([...gpuStates].sort());
    expect(seriesOf('state').labels?.[0]).toBe('ok');
    expect(seriesOf('recoveryAction').labels?.toSorted()).toEqual([...recoveryActions].sort());
    expect(seriesOf('recoveryAction').labels?.[0]).toBe('none');
  });

  test('the sections that are read are those that the series need', () => {
    expect(new Set(recordedSections)).toEqual(new Set(table.flatMap(({ sections }) => sections)));
    for (const { id, sections, read } of table) {
      const reading = h100Reading({ thermal: { fanSpeedPercent: 30 } });
      const { gpu, state, observedAt, gaps, probeMilliseconds } = reading;
      const only = Object.fromEntries(sections.map((section) => [section, reading[section]]));
      const cut = {
        gpu,
        state,
        observedAt,
        gaps,
        ...(probeMilliseconds ? { probeMilliseconds } : {}),
        ...only,
      };
      expect(read(cut as GpuReading), id).toBe(read(reading));
      expect(read(reading), id).not.toBeNull();
    }
  });
});

describe('values', () => {
  test('of a healthy H100', () => {
    const reading = h100Reading({ memory: { usedBytes: 3 * 1_048_576 } });
    expect(recorded(reading, 'temperatureCelsius')).toBe(31);
    expect(recorded(reading, 'powerDrawWatts')).toBe(71.42);
    expect(recorded(reading, 'memoryUsedMebibytes')).toBe(3);
    expect(recorded(reading, 'processCount')).toBe(0);
    expect(recorded(reading, 'activeNvlinkCount')).toBe(18);
    expect(recorded(reading, 'state')).toBe(0);
    expect(recorded(reading, 'remapPending')).toBe(0);
    expect(recorded(reading, 'energyJoules')).toBe(184_502_113.512);
    // No fan on this board: nothing, not zero.
    expect(recorded(reading, 'fanSpeedPercent')).toBeNaN();
  });

  test('flags are bits in the order of the reasons', () => {
    const held = h100Reading({ clocks: { eventReasons: ['idle', 'hardware-power-brake'] } });
    expect(recorded(held, 'clockEventReasons')).toBe(0b1000_0001);
    expect(recorded(h100Reading({ clocks: { eventReasons: [] } }), 'clockEventReasons')).toBe(0);
    expect(recorded(h100Reading({ clocks: { eventReasons: null } }), 'clockEventReasons')).toBeNaN();
  });

  test('a GPU that does not answer has its state and nothing else', () => {
    const values = recordedValues({ gpu: h100Ref(3), state: 'lost', observedAt: '', gaps: [] });
    const told = recordedSeriesIds.filter((_, index) => !Number.isNaN(values[index]));
    expect(told).toEqual(['state']);
    expect(seriesOf('state').labels?.[values[seriesIndex('state')] ?? -1]).toBe('lost');
  });

  test('links that are down count no errors, and one that does not tell makes the sum unknown', () => {
    const down = h100Links({ 2: { active: false, replayErrorCount: null }, 3: { replayErrorCount: 7 } });
    const reading = h100Reading({ nvlink: { links: down } });
    expect(recorded(reading, 'activeNvlinkCount')).toBe(17);
    expect(recorded(reading, 'nvlinkReplayCount')).toBe(7);
    const silent = h100Reading({ nvlink: { links: h100Links({ 2: { replayErrorCount: null } }) } });
    expect(recorded(silent, 'nvlinkReplayCount')).toBeNaN();
    const none = h100Reading({ nvlink: { links: [] } });
    expect(recorded(none, 'nvlinkReplayCount')).toBeNaN();
    expect(recorded(none, 'activeNvlinkCount')).toBeNaN();
    const allDown = h100Reading({ nvlink: { links: [h100Link(0, { active: false })] } });
    expect(recorded(allDown, 'activeNvlinkCount')).toBe(0);
    expect(recorded(allDown, 'nvlinkCrcErrorCount')).toBeNaN();
  });

  test('NVLink 5 counts recoveries by how they ended', () => {
    const links = [
      h100Link(0, { recoveryErrorCount: null, linkRecoverySuccessCount: 4, linkRecoveryFailureCount: 1 }),
    ];
    expect(recorded(h100Reading({ nvlink: { links } }), 'nvlinkRecoveryCount')).toBe(5);
  });
});
