import { describe, expect, test } from 'vitest';
import { incident } from '../../test/incident.ts';
import { byIncidentUrgency, presentIncident } from './kernel-events.ts';

const hostile = '\u001b[31mLTC\u202e\n```';

describe('presentIncident', () => {
  test('makes every text of the log harmless', () => {
    const shown = presentIncident(
      incident({
        raw: [hostile],
        processes: [{ pid: 7, name: hostile }],
        decoded: { unit: hostile, partition: 6, list: [1] },
      }),
      'full',
    );
    expect(shown).toMatchObject({
      raw: ["LTC '''"],
      processes: [{ pid: 7, name: "LTC '''" }],
      decoded: { unit: "LTC '''", partition: 6, list: [1] },
    });
  });

  test('caps lines and names', () => {
    const long = 'x'.repeat(5_000);
    const { raw, processes } = presentIncident(
      incident({ raw: [long], processes: [{ name: long }] }),
      'summary',
    );
    expect(raw).toEqual([`${'x'.repeat(240)}…`]);
    expect(processes).toEqual([{ name: `${'x'.repeat(64)}…` }]);
  });

  test('a summary shows one line and two processes', () => {
    const many = incident({ raw: ['a', 'b', 'c'], processes: [{ pid: 1 }, { pid: 2 }, { pid: 3 }] });
    expect(presentIncident(many, 'summary')).toMatchObject({
      raw: ['a'],
      processes: [{ pid: 1 }, { pid: 2 }],
    });
    expect(presentIncident(many, 'full')).toMatchObject({
      raw: ['a', 'b', 'c'],
      processes: [{}, {}, { pid: 3 }],
    });
  });
});

test('byIncidentUrgency: worst first, then newest, then latest since boot', () => {
  const none = { firstAt: null, lastAt: null };
  const sorted = [
    incident({ xid: 5, verdict: 'ok' }),
    incident({ xid: 4, ...none, lastUptimeSeconds: 10 }),
    incident({ xid: 3, ...none, lastUptimeSeconds: 20 }),
    incident({ xid: 2, lastAt: '2026-01-01T00:00:00.000Z' }),
    incident({ xid: 1, lastAt: '2026-01-02T00:00:00.000Z' }),
  ].sort(byIncidentUrgency);
  expect(sorted.map(({ xid }) => xid)).toEqual([1, 2, 3, 4, 5]);
});

test('byIncidentUrgency: an announcement stands after what it is about, though it is newer', () => {
  const loss = incident({ xid: 79, id: 'loss', lastAt: '2026-01-01T00:00:00.000Z' });
  const advice = incident({ xid: 154, causedBy: 'loss', lastAt: '2026-01-01T00:00:01.000Z' });
  const milder = incident({ xid: 13, verdict: 'ok', lastAt: '2026-01-03T00:00:00.000Z' });
  expect([milder, advice, loss].sort(byIncidentUrgency).map(({ xid }) => xid)).toEqual([79, 154, 13]);
});
