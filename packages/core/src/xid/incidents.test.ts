import { describe, expect, test } from 'vitest';
import type { KernelEvent } from '../domain/event.ts';
import type { GpuRef } from '../domain/gpu.ts';
import { groupIncidents, verdictOfIncident } from './incidents.ts';

const uuidA = 'GPU-11111111-2222-3333-4444-555555555555';
const uuidB = 'GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';
const bootedAt = Date.UTC(2026, 0, 1);
let line = 0;

/** A page fault of the GPU on 3b, so many seconds after boot. */
function event(seconds: number, changes: Partial<KernelEvent> = {}): KernelEvent {
  line += 1;
  return {
    kind: 'xid',
    xid: 31,
    pciAddress: '0000:3b:00',
    detail: '',
    severity: 'warning',
    action: 'restart-app',
    at: new Date(bootedAt + seconds * 1000).toISOString(),
    uptimeSeconds: seconds,
    trusted: true,
    raw: `line ${line}`,
    ...changes,
  };
}
const fallenOff = (seconds: number, changes: Partial<KernelEvent> = {}) =>
  event(seconds, { xid: 79, severity: 'fatal', action: 'reboot-node', ...changes });
/** Exact optional properties: an event of another kind has no number at all. */
function without(source: KernelEvent, changes: Partial<KernelEvent>): KernelEvent {
  const { xid: _xid, ...rest } = source;
  return { ...rest, ...changes };
}
const busLoss = (seconds: number, changes: Partial<KernelEvent> = {}) =>
  without(fallenOff(seconds), { kind: 'bus-loss', ...changes });

const gpu = (index: number, uuid: string | null, pciAddress: string | null): GpuRef => ({
  index,
  uuid,
  pciAddress,
  name: null,
});

describe('grouping', () => {
  test('repeats within the window of the last one are one incident', () => {
    const [incident, ...others] = groupIncidents([event(0), event(200), event(499)]);
    expect(others).toEqual([]);
    expect(incident).toMatchObject({ count: 3, firstUptimeSeconds: 0, lastUptimeSeconds: 499, xid: 31 });
    expect(incident?.lastAt).toBe(new Date(bootedAt + 499_000).toISOString());
  });

  test('the window is 300 seconds unless told otherwise', () => {
    expect(groupIncidents([event(0), event(300)])).toHaveLength(1);
    expect(groupIncidents([event(0), event(301)])).toHaveLength(2);
    expect(groupIncidents([event(0), event(11)], { windowSeconds: 10 })).toHaveLength(2);
  });

  test('another device, number or kind is another incident; newest last', () => {
    const incidents = groupIncidents([
      event(0),
      event(1, { pciAddress: '0000:5e:00' }),
      event(2, { xid: 13 }),
      without(event(3), { kind: 'oom-kill', pciAddress: null }),
      event(4),
    ]);
    expect(incidents.map(({ kind, xid, pciAddress }) => [kind, xid, pciAddress])).toEqual([
      ['xid', 31, '0000:5e:00'],
      ['xid', 13, '0000:3b:00'],
      ['oom-kill', undefined, null],
      ['xid', 31, '0000:3b:00'],
    ]);
  });

  test('a container that says a line was repeated counts', () => {
    expect(groupIncidents([event(0), event(1, { repeatCount: 4 })])[0]?.count).toBe(5);
  });

  test('without any clock the same thing is one incident', () => {
    const timeless = { at: null, uptimeSeconds: null };
    expect(groupIncidents([event(0, timeless), event(9_999, timeless)])[0]?.count).toBe(2);
  });

  test('time since boot serves when there is no other, and going back is another boot', () => {
    const dmesg = (seconds: number) => event(seconds, { at: null });
    const incidents = groupIncidents([dmesg(5_000), dmesg(5_001), dmesg(12)]);
    expect(incidents.map(({ count, firstAt }) => [count, firstAt])).toEqual([
      [2, null],
      [1, null],
    ]);
  });

  test('a clock that nobody can read is no clock', () => {
    expect(groupIncidents([event(0, { at: 'soon' }), event(1, { at: 'later' })])).toHaveLength(1);
  });

  test('switches are told apart by number when their address is unknown', () => {
    const sxid = (switchIndex: number) =>
      without(event(0), { kind: 'sxid', sxid: 20034, switchIndex, pciAddress: null, severity: 'fatal' });
    const incidents = groupIncidents([sxid(0), sxid(1), sxid(0)]);
    expect(incidents.map(({ switchIndex, count }) => [switchIndex, count])).toEqual([
      [0, 2],
      [1, 1],
    ]);
    expect(incidents[0]?.title).toMatch(/^NVSwitch /);
  });

  test('evidence is bounded', () => {
    const many = Array.from({ length: 12_000 }, (_, index) =>
      event(index / 100, { pid: index, processName: `p${index}`, link: index % 100 }),
    );
    const [incident] = groupIncidents(many);
    expect(incident?.count).toBe(12_000);
    expect(incident?.raw).toHaveLength(3);
    expect(incident?.processes).toHaveLength(5);
    expect(incident?.links).toHaveLength(36);
  });

  test('one process named twice is one', () => {
    const [incident] = groupIncidents([
      event(0, { pid: 7, processName: 'a' }),
      event(1, { pid: 7, processName: 'a' }),
    ]);
    expect(incident?.processes).toEqual([{ pid: 7, name: 'a' }]);
  });

  test('nothing gives nothing; context lines are no incidents', () => {
    expect(groupIncidents([])).toEqual([]);
    expect(groupIncidents([without(event(0), { kind: 'gpu-identity', gpuUuid: uuidA })])).toEqual([]);
    expect(groupIncidents([without(event(0), { kind: 'driver-load' })])).toEqual([]);
  });
});

describe('severity and action', () => {
  test('the worst event gives severity and decoded detail, the strongest action stands', () => {
    const [incident] = groupIncidents([
      event(0, { xid: 145, severity: 'info', action: 'none', decoded: { unit: 'A' } }),
      event(1, { xid: 145, severity: 'fatal', action: 'reset-gpu', decoded: { unit: 'B' } }),
      event(2, { xid: 145, severity: 'warning', action: 'restart-app', decoded: { unit: 'C' } }),
    ]);
    expect(incident).toMatchObject({ severity: 'fatal', action: 'reset-gpu', decoded: { unit: 'B' } });
  });

  test('of Xid 154 the latest counts', () => {
    const advice = (seconds: number, changes: Partial<KernelEvent>) =>
      event(seconds, { xid: 154, ...changes });
    const [incident] = groupIncidents([
      advice(0, { severity: 'fatal', action: 'reboot-node', decoded: { recoveryTo: 2 } }),
      advice(1, { severity: 'info', action: 'none', decoded: { recoveryTo: 0 } }),
    ]);
    expect(incident).toMatchObject({
      severity: 'info',
      action: 'none',
      decoded: { recoveryTo: 0 },
      verdict: 'ok',
    });
  });

  test.each([
    ['fatal', false, true, 'critical'],
    ['fatal', true, 'unknown', 'critical'],
    ['critical', false, true, 'critical'],
    ['warning', false, true, 'warning'],
    ['warning', true, true, 'ok'],
    ['info', false, true, 'ok'],
    ['fatal', false, false, 'unknown'],
    ['info', false, false, 'unknown'],
  ] as const)('%s, of applications %s, trusted %s: %s', (severity, applicationCommon, trusted, verdict) => {
    expect(verdictOfIncident(severity, applicationCommon, trusted)).toBe(verdict);
  });

  test('a number without an entry is described all the same', () => {
    const [incident] = groupIncidents([event(0, { xid: 999, action: 'monitor' })]);
    expect(incident).toMatchObject({ xid: 999, verdict: 'warning', action: 'monitor' });
    expect(incident?.title).toMatch(/without a catalogue entry/);
  });
});

describe('Xid 45', () => {
  const removal = (seconds: number, changes: Partial<KernelEvent> = {}) =>
    event(seconds, { xid: 45, severity: 'info', action: 'monitor', ...changes });
  const actionOf45 = (events: readonly KernelEvent[]) =>
    groupIncidents(events).find(({ xid }) => xid === 45)?.action;

  test('next to another Xid of its GPU asks for nothing, before or after', () => {
    expect(actionOf45([fallenOff(0), removal(5)])).toBe('none');
    expect(actionOf45([removal(0), fallenOff(200)])).toBe('none');
  });

  test('keeps its own action when it stands alone, or the other is far off or elsewhere', () => {
    expect(actionOf45([removal(0)])).toBe('monitor');
    expect(actionOf45([fallenOff(0), removal(301)])).toBe('monitor');
    expect(actionOf45([fallenOff(0, { pciAddress: '0000:5e:00' }), removal(1)])).toBe('monitor');
  });

  test('is not excused by what a program wrote', () => {
    expect(actionOf45([fallenOff(0, { trusted: false }), removal(1)])).toBe('monitor');
  });
});

describe('bus loss', () => {
  test.each([
    ['after', [fallenOff(0), busLoss(1), busLoss(2)]],
    ['before', [busLoss(0), fallenOff(1)]],
  ])('lines %s the Xid 79 belong to it', (_, events) => {
    const incidents = groupIncidents(events);
    expect(incidents).toHaveLength(1);
    expect(incidents[0]).toMatchObject({ xid: 79, count: 1, action: 'reboot-node', verdict: 'critical' });
    expect(incidents[0]?.raw).toHaveLength(events.length);
  });

  test('of another GPU, at another time or from another writer is its own incident', () => {
    expect(groupIncidents([fallenOff(0), busLoss(1, { pciAddress: '0000:5e:00' })])).toHaveLength(2);
    expect(groupIncidents([fallenOff(0), busLoss(400)])).toHaveLength(2);
    expect(groupIncidents([fallenOff(0, { trusted: false }), busLoss(1)])).toHaveLength(2);
    expect(groupIncidents([busLoss(0, { pciAddress: null }), fallenOff(1)])).toHaveLength(2);
  });
});

describe('trust', () => {
  test('what a program wrote never mixes with what the kernel wrote', () => {
    const incidents = groupIncidents([event(0), event(1, { trusted: false }), event(2)]);
    expect(incidents.map(({ trusted, count, verdict }) => [trusted, count, verdict])).toEqual([
      [false, 1, 'unknown'],
      [true, 2, 'ok'],
    ]);
  });

  test('a forged loss keeps its description and decides nothing', () => {
    const [incident] = groupIncidents([fallenOff(0, { trusted: false })]);
    expect(incident).toMatchObject({ xid: 79, severity: 'fatal', verdict: 'unknown' });
    expect(incident?.title).toBe(groupIncidents([fallenOff(0)])[0]?.title);
  });

  test('lines of unknown origin make the whole incident unknown, not false', () => {
    expect(groupIncidents([event(0), event(1, { trusted: 'unknown' })])[0]?.trusted).toBe('unknown');
  });
});

describe('attribution', () => {
  const gpus = [gpu(0, uuidA, '0000:3b:00.0'), gpu(1, uuidB, '00000000:5E:00.0')];
  const identity = (pciAddress: string, gpuUuid: string, changes: Partial<KernelEvent> = {}) =>
    without(event(0), { kind: 'gpu-identity', pciAddress, gpuUuid, ...changes });

  test('by address, in any spelling of the inventory', () => {
    expect(groupIncidents([event(0)], { gpus })[0]?.gpu).toEqual({ index: 0, uuid: uuidA });
    expect(groupIncidents([event(0, { pciAddress: '0000:5e:00' })], { gpus })[0]?.gpu?.index).toBe(1);
  });

  test('by the identity line when the inventory has no address', () => {
    const blind = [gpu(0, uuidA, null)];
    expect(groupIncidents([identity('0000:3b:00', uuidA), event(1)], { gpus: blind })[0]?.gpu?.index).toBe(0);
  });

  test('to the GPU that was there, when it has moved since', () => {
    const moved = [gpu(0, uuidB, '0000:3b:00.0'), gpu(1, uuidA, '0000:5e:00.0')];
    expect(groupIncidents([identity('0000:3b:00', uuidA), event(1)], { gpus: moved })[0]?.gpu?.index).toBe(1);
  });

  test('to nobody, when another GPU sits there now', () => {
    const replaced = [gpu(0, uuidB, '0000:3b:00.0')];
    expect(
      groupIncidents([identity('0000:3b:00', uuidA), event(1)], { gpus: replaced })[0],
    ).not.toHaveProperty('gpu');
  });

  test('a GPU that cannot be opened has no UUID: the address stands', () => {
    const lost = [gpu(4, null, '0000:3b:00.0')];
    const [incident] = groupIncidents([identity('0000:3b:00', uuidA), fallenOff(1)], { gpus: lost });
    expect(incident?.gpu).toEqual({ index: 4, uuid: null });
  });

  test('identity lines that a program wrote move nothing', () => {
    const forged = identity('0000:3b:00', uuidB, { trusted: false });
    expect(groupIncidents([forged, event(1)], { gpus })[0]?.gpu?.index).toBe(0);
  });

  test('an unknown address belongs to nobody', () => {
    for (const pciAddress of [null, '0000:99:00']) {
      expect(groupIncidents([event(0, { pciAddress })], { gpus })[0]).not.toHaveProperty('gpu');
    }
  });
});

test('a grouping that ignored the device would be seen', () => {
  const careless = groupIncidents([event(0), { ...event(1), pciAddress: '0000:3b:00' }]);
  const careful = groupIncidents([event(0), event(1, { pciAddress: '0000:5e:00' })]);
  expect(careless).toHaveLength(1);
  expect(careful).not.toHaveLength(1);
});

describe('a GPU that no longer tells its address', () => {
  const placed = gpu(0, uuidA, '0000:3b:00.0');
  const lost = gpu(1, null, null);

  test('is the one on the only lost address that belongs to no other', () => {
    const [incident] = groupIncidents([fallenOff(0, { pciAddress: '0000:5e:00' })], { gpus: [placed, lost] });
    expect(incident?.gpu?.index).toBe(1);
  });

  test('takes the other errors of that address with it', () => {
    const events = [event(0, { pciAddress: '0000:5e:00' }), fallenOff(1, { pciAddress: '0000:5e:00' })];
    const gpus = groupIncidents(events, { gpus: [placed, lost] }).map((incident) => incident.gpu?.index);
    expect(gpus).toEqual([1, 1]);
  });

  test.each([
    [
      'two GPUs tell no address',
      [fallenOff(0, { pciAddress: '0000:5e:00' })],
      [placed, lost, gpu(2, null, null)],
    ],
    [
      'two unknown addresses are lost',
      [fallenOff(0, { pciAddress: '0000:5e:00' }), fallenOff(1, { pciAddress: '0000:af:00' })],
      [placed, lost],
    ],
    ['no address is lost', [event(0, { pciAddress: '0000:5e:00' })], [placed, lost]],
    [
      'a program claims the loss',
      [fallenOff(0, { pciAddress: '0000:5e:00', trusted: false })],
      [placed, lost],
    ],
  ])('is not guessed when %s', (_, events, gpus) => {
    for (const incident of groupIncidents(events, { gpus })) expect(incident.gpu).toBeUndefined();
  });
});

describe('what is over, and what is elsewhere', () => {
  const advice = (seconds: number, to: 'reset' | 'none', changes: Partial<KernelEvent> = {}) =>
    event(seconds, {
      xid: 154,
      severity: to === 'reset' ? 'fatal' : 'info',
      action: to === 'reset' ? 'reset-gpu' : 'none',
      ...changes,
    });

  test('a recovery action that the driver took back asks for nothing', () => {
    const incidents = groupIncidents([advice(0, 'reset'), advice(900, 'none')]);
    expect(incidents.map(({ verdict, action }) => [verdict, action])).toEqual([
      ['ok', 'none'],
      ['ok', 'none'],
    ]);
  });

  test('one that came back stands, and another GPU or a forged line takes nothing back', () => {
    const stands = (events: readonly KernelEvent[]) =>
      groupIncidents(events).some(({ verdict, action }) => verdict === 'critical' && action === 'reset-gpu');
    expect(stands([advice(0, 'none'), advice(900, 'reset')])).toBe(true);
    expect(stands([advice(0, 'reset'), advice(900, 'none', { pciAddress: '0000:5e:00' })])).toBe(true);
    expect(stands([advice(0, 'reset'), advice(900, 'none', { trusted: false })])).toBe(true);
  });

  test('the same address in two files is not one incident', () => {
    const incidents = groupIncidents([
      fallenOff(0, { file: 'node-a.log' }),
      fallenOff(1, { file: 'node-b.log' }),
    ]);
    expect(incidents.map(({ count }) => count)).toEqual([1, 1]);
  });

  test('what the vendor wants looked at is a warning, also where applications commonly cause it', () => {
    expect(verdictOfIncident('warning', true, true, 'contact-support')).toBe('warning');
    expect(verdictOfIncident('warning', true, true, 'restart-app')).toBe('ok');
    expect(verdictOfIncident('warning', true, false, 'contact-support')).toBe('unknown');
  });
});
