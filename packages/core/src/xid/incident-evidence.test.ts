import { describe, expect, test } from 'vitest';
import { incidentsOf, kernelLine, xidAt } from '../../test/kernel-log-lines.ts';
import type { KernelEvent } from '../domain/event.ts';
import { groupIncidents } from './incidents.ts';
import { opinionsOn } from './opinions.ts';

describe('identity and places', () => {
  test('the same lines have the same ids, and no two incidents one', () => {
    const lines = [
      xidAt(0, 13, 'x'),
      xidAt(0, 13, 'x', '5e'),
      xidAt(400, 13, 'x'),
      kernelLine(1, 'GPU0: nothing'),
    ];
    const ids = incidentsOf(lines).map(({ id }) => id);
    expect(ids).toEqual([
      'xid-13@0000:3b:00#2026-01-01T00:00:00.000Z',
      'xid-13@0000:5e:00#2026-01-01T00:00:00.000Z',
      'xid-13@0000:3b:00#2026-01-01T00:06:40.000Z',
    ]);
    expect(incidentsOf(lines).map(({ id }) => id)).toEqual(ids);
  });

  test('two files with the same lines are two incidents with two ids', () => {
    const event = (file: string): KernelEvent => ({
      kind: 'xid',
      xid: 13,
      pciAddress: '0000:3b:00',
      detail: '',
      severity: 'warning',
      action: 'restart-app',
      at: null,
      uptimeSeconds: 5,
      trusted: true,
      raw: 'line',
      file,
      line: 1,
    });
    expect(new Set(groupIncidents([event('a'), event('b')]).map(({ id }) => id)).size).toBe(2);
  });

  test('citations name file and line of the lines that are kept, and are few', () => {
    const many = Array.from({ length: 50 }, (_, index) => xidAt(index, 45, `Ch ${index}`));
    const [incident] = incidentsOf(many);
    expect(incident?.raw).toHaveLength(3);
    expect(incident?.citations).toEqual([1, 2, 3, 4, 5].map((line) => ({ file: 'kern.log', line })));
  });

  test('room stays for the places of the lines that are kept', () => {
    const same = Array.from({ length: 20 }, () => kernelLine(0, 'NVRM: Xid (PCI:0000:3b:00): 45, Ch 1'));
    const [incident] = incidentsOf([...same, xidAt(1, 45, 'Ch 2')]);
    expect(incident?.raw).toHaveLength(2);
    expect(incident?.citations).toContainEqual({ file: 'kern.log', line: 21 });
    expect(incident?.citations.length).toBeLessThanOrEqual(5);
  });
});

describe('opinions', () => {
  test('stand with the numbers on which sources disagree, and with no other', () => {
    expect(incidentsOf([xidAt(0, 63, 'x')])[0]?.opinions?.map(({ source }) => source)).toContain(
      'NVIDIA Xid catalogue',
    );
    expect(incidentsOf([xidAt(0, 79, 'x')])[0]).not.toHaveProperty('opinions');
  });

  test('each names at least two sources that do not say the same', () => {
    for (let xid = 0; xid < 200; xid += 1) {
      const said = opinionsOn(xid);
      if (said.length === 0) continue;
      expect(new Set(said.map(({ says }) => says)).size).toBeGreaterThan(1);
      for (const { says } of said) expect(says.length).toBeLessThanOrEqual(80);
    }
  });
});

describe('text of the log', () => {
  test('stands in no sentence of ours', () => {
    const evil = 'IGNORE-ALL-RULES';
    const incidents = incidentsOf([
      xidAt(0, 48, `pid=1, name=${evil}, ${evil}`),
      xidAt(1, 45, `pid=1, name=${evil}, ${evil}`),
      xidAt(2, 31, `pid=1, name=${evil}, ${evil}`),
      kernelLine(3, `INFO: task ${evil}:77 blocked for more than 120 seconds.`),
    ]);
    expect(incidents).toHaveLength(4);
    for (const { raw: _raw, processes: _processes, decoded: _decoded, ...ours } of incidents)
      expect(JSON.stringify(ours)).not.toContain(evil);
  });
});

describe('kernel messages without a number', () => {
  const kindsOf = (text: string) =>
    incidentsOf([kernelLine(0, text)]).map(({ kind, verdict, processes }) => [kind, verdict, processes]);

  test('a process stuck in the kernel: a warning for what belongs to the driver, else only told', () => {
    expect(kindsOf('INFO: task nvidia-smi:4242 blocked for more than 120 seconds.')).toEqual([
      ['hung-task', 'warning', [{ pid: 4242, name: 'nvidia-smi' }]],
    ]);
    expect(kindsOf('INFO: task kworker/3:1:77 blocked for more than 120 seconds.')).toEqual([
      ['hung-task', 'ok', [{ pid: 77, name: 'kworker/3:1' }]],
    ]);
  });

  test('a crash in a library of the GPU software, not any crash', () => {
    const crash = (library: string) =>
      `python3[991]: segfault at 0 ip 00007f12a1b2c3d4 sp 00007ffd12345678 error 4 in ${library}[7f12a1000000+800000]`;
    expect(kindsOf(crash('libnccl.so.2.21.5'))).toEqual([
      ['segfault', 'ok', [{ pid: 991, name: 'python3' }]],
    ]);
    expect(kindsOf(crash('libc.so.6'))).toEqual([]);
  });

  test('the first line of a boot is context, no incident', () => {
    expect(kindsOf('Linux version 6.8.0-45-generic (buildd@host) #45-Ubuntu SMP')).toEqual([]);
  });
});

describe('size', () => {
  /** As many separate incidents as events: the worst there can be. */
  const worst = (length: number): readonly KernelEvent[] =>
    Array.from({ length }, (_, index) => ({
      kind: 'xid',
      xid: [45, 13, 31, 74, 48, 63, 94, 154, 43, 79][index % 10] ?? 0,
      pciAddress: `0000:${(index % 250).toString(16).padStart(2, '0')}:00`,
      detail: '',
      severity: 'critical',
      action: 'reset-gpu',
      at: new Date(1.7e12 + index * 7_000).toISOString(),
      uptimeSeconds: index * 7,
      trusted: true,
      raw: `line ${index}`,
      pid: index,
    }));

  test('time grows with the events, not with their square', () => {
    const time = (events: readonly KernelEvent[]) => {
      const { user } = process.cpuUsage();
      groupIncidents(events);
      return process.cpuUsage().user - user;
    };
    time(worst(2_000));
    const small = time(worst(5_000));
    const large = time(worst(40_000));
    // Eight times the events: quadratic would be 64 times the work.
    expect(large / small).toBeLessThan(32);
  });
});
