import { describe, expect, test } from 'vitest';
import type { KernelEvent, KernelLogRecord } from '../domain/event.ts';
import { createKernelLogLineReader, sniffKernelLogFormat } from './container.ts';
import { parseJournalEntry } from './journal.ts';
import { parseKmsgRecord, parsePrintkLine } from './kmsg.ts';
import { isKernelLogCandidate } from './needles.ts';
import { parseKernelEvent } from './parse.ts';

const nowMilliseconds = Date.UTC(2026, 9, 1);
const message = 'NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus.';

function recordsOf(
  lines: readonly string[],
  options: { bootedAt?: string } = {},
): readonly KernelLogRecord[] {
  const { everyLine } = sniffKernelLogFormat(lines);
  const reader = createKernelLogLineReader({ nowMilliseconds, ...options });
  const pushed = lines.flatMap((line, index) =>
    everyLine || isKernelLogCandidate(line) ? reader.push(line, index + 1) : [],
  );
  return [...pushed, ...reader.end()];
}
const eventsOf = (...lines: readonly string[]): readonly KernelEvent[] =>
  recordsOf(lines).flatMap((record) => parseKernelEvent(record) ?? []);

/** What a container tells of its message: wall-clock time, seconds since boot, who wrote it. */
type Told = readonly [at: string | null, uptimeSeconds: number | null, trusted: KernelEvent['trusted']];
const containers: readonly (readonly [name: string, line: string, ...Told])[] = [
  ['bare', message, null, null, 'unknown'],
  ['dmesg', `[  365.969681] ${message}`, null, 365.969681, 'unknown'],
  ['dmesg after 11 days', `[6781741.548779] ${message}`, null, 6781741.548779, 'unknown'],
  ['dmesg with caller', `[  130.456250] [  T1946] ${message}`, null, 130.45625, 'unknown'],
  ['dmesg with CPU', `[  130.456250] [    C3] ${message}`, null, 130.45625, 'unknown'],
  ['dmesg -T', `[Fri Mar  3 04:44:24 2023] ${message}`, '2023-03-03T04:44:24.000Z', null, 'unknown'],
  [
    'dmesg -x, ISO',
    `kern  :warn  : 2025-01-21T04:41:44,283302+00:00 ${message}`,
    '2025-01-21T04:41:44.283Z',
    null,
    true,
  ],
  [
    'dmesg -x, injected',
    `syslog:err   : 2025-05-27T04:18:56,089671+00:00 ${message}`,
    '2025-05-27T04:18:56.089Z',
    null,
    false,
  ],
  ['dmesg -x, uptime', `user  :notice: [   12.000001] ${message}`, null, 12.000001, false],
  ['kmsg', `4,1227,437812449932,-;${message}`, null, 437812.449932, true],
  ['kmsg with caller', `3,1,5000000,-,caller=T123;${message}`, null, 5, true],
  ['kmsg, from user space', `12,1227,437812449932,-;${message}`, null, 437812.449932, false],
  ['printk', `<6>[    2.608284] ${message}`, null, 2.608284, true],
  ['printk, from user space', `<14>[    2.608284] ${message}`, null, 2.608284, false],
  ['syslog', `Sep  6 17:59:27 host kernel: ${message}`, '2026-09-06T17:59:27.000Z', null, 'unknown'],
  [
    'syslog, zero-padded day',
    `Sep 06 17:59:27 host kernel: ${message}`,
    '2026-09-06T17:59:27.000Z',
    null,
    'unknown',
  ],
  [
    'syslog, next to the year’s end',
    `Dec 31 23:59:59 host kernel: ${message}`,
    '2025-12-31T23:59:59.000Z',
    null,
    'unknown',
  ],
  [
    'syslog with uptime',
    `Mar 21 20:18:56 pc kernel: [   65.315783] ${message}`,
    '2026-03-21T20:18:56.000Z',
    65.315783,
    'unknown',
  ],
  ['syslog without host', `May 18 19:02:39 kernel: ${message}`, '2026-05-18T19:02:39.000Z', null, 'unknown'],
  ['syslog without tag', `Sep 18 20:07:01 ${message}`, '2026-09-18T20:07:01.000Z', null, 'unknown'],
  [
    'syslog, precise',
    `Sep 03 14:17:32.162991 deck kernel: ${message}`,
    '2026-09-03T14:17:32.162Z',
    null,
    'unknown',
  ],
  [
    'syslog, ISO',
    `2026-09-04T14:16:55+03:00 host kernel: ${message}`,
    '2026-09-04T11:16:55.000Z',
    null,
    'unknown',
  ],
  [
    'syslog, ISO without colon',
    `2026-09-04T14:16:55+0300 host kernel: ${message}`,
    '2026-09-04T11:16:55.000Z',
    null,
    'unknown',
  ],
  [
    'syslog, ISO with uptime',
    `2013-06-14T03:59:34.103035+02:00 host kernel: [303714.267370] ${message}`,
    '2013-06-14T01:59:34.103Z',
    303714.26737,
    'unknown',
  ],
  [
    'a daemon',
    `Mar 05 23:33:35 host relay[1734]: [91063.874832] ${message}`,
    '2026-03-05T23:33:35.000Z',
    91063.874832,
    false,
  ],
  [
    'a daemon, ISO',
    `2026-09-04T14:16:55Z host relay[17]: ${message}`,
    '2026-09-04T14:16:55.000Z',
    null,
    false,
  ],
  [
    'a tag that is the driver’s name',
    `Sep 04 14:16:55 host NVRM[17]: ${message}`,
    '2026-09-04T14:16:55.000Z',
    null,
    false,
  ],
  ['kernel only', `kernel: ${message}`, null, null, 'unknown'],
  ['kernel and uptime', `kernel: [16450076.435595] ${message}`, null, 16450076.435595, 'unknown'],
  [
    'Talos',
    `192.0.2.19: kern: warning: [2026-04-22T21:27:51.291660856Z]: ${message}`,
    '2026-04-22T21:27:51.291Z',
    null,
    true,
  ],
  [
    'Talos, padded',
    `192.0.2.19: kern:     err: [2026-04-22T21:27:51.291660856Z]: ${message}`,
    '2026-04-22T21:27:51.291Z',
    null,
    true,
  ],
  [
    'Talos, a user',
    `192.0.2.19: user: warning: [2026-04-22T21:27:51.291660856Z]: ${message}`,
    '2026-04-22T21:27:51.291Z',
    null,
    false,
  ],
  ['copied into kmsg', `[538441.007373] [1235733.431527] ${message}`, null, 538441.007373, 'unknown'],
  ['quoted', `> Aug 12 01:22:51 host kernel: ${message}`, '2026-08-12T01:22:51.000Z', null, 'unknown'],
  ['commented', `#   ${message}`, null, null, 'unknown'],
  ['elided', `[...] ${message}`, null, null, 'unknown'],
  ['elided with one character', `[…] ${message}`, null, null, 'unknown'],
  [
    'rsyslog repeat',
    `Sep  6 17:59:27 host kernel: message repeated 3 times: [ ${message}]`,
    '2026-09-06T17:59:27.000Z',
    null,
    'unknown',
  ],
  ['German', `Mai 06 17:59:27 host kernel: ${message}`, '2026-05-06T17:59:27.000Z', null, 'unknown'],
  ['Italian', `set 12 18:38:24 host kernel: ${message}`, '2026-09-12T18:38:24.000Z', null, 'unknown'],
  ['Polish', `kwi 12 18:38:24 host kernel: ${message}`, '2026-04-12T18:38:24.000Z', null, 'unknown'],
  ['Spanish', `abr 12 18:38:24 host kernel: ${message}`, '2026-04-12T18:38:24.000Z', null, 'unknown'],
  ['Chinese', `11月 12 18:38:24 host kernel: ${message}`, '2025-11-12T18:38:24.000Z', null, 'unknown'],
];

describe('one message in every container', () => {
  test.each(containers)('%s', (_, line, at, uptimeSeconds, trusted) => {
    expect(isKernelLogCandidate(line)).toBe(true);
    for (const variant of [line, `${line}\r`, `\u001b[1m${line}\u001b[0m`, `\0\0${line}`, `\ufeff${line}`]) {
      const [event, ...more] = eventsOf(variant);
      expect(more).toEqual([]);
      expect(event).toMatchObject({
        kind: 'xid',
        xid: 79,
        pciAddress: '0000:3b:00',
        pid: 1234,
        processName: 'python3',
        at,
        uptimeSeconds,
        trusted,
        line: 1,
      });
    }
  });

  test('a wrong expectation is seen', () => {
    const [event] = eventsOf(`<14>[    2.608284] ${message}`);
    expect(event).not.toMatchObject({ trusted: true });
    expect(event).not.toMatchObject({ uptimeSeconds: 2 });
  });
});

describe('journal', () => {
  const base = { __REALTIME_TIMESTAMP: '1790200000000001', _SOURCE_MONOTONIC_TIMESTAMP: '12500000' };
  const json = (fields: object) => JSON.stringify({ ...base, ...fields });
  const bytes = [...new TextEncoder().encode(message)];
  const at = new Date(1_790_200_000_000).toISOString();

  test.each([
    ['a string', { MESSAGE: message }],
    ['bytes', { MESSAGE: bytes }],
    ['bytes that are no text at the end', { MESSAGE: [...bytes, 0xff, 0xfe] }],
    ['a repeated field', { MESSAGE: [message, 'something else'] }],
    ['a repeated field of bytes', { MESSAGE: [bytes, 'something else'] }],
  ])('JSON, MESSAGE as %s', (_, fields) => {
    const line = json({ ...fields, _TRANSPORT: 'kernel', SYSLOG_FACILITY: '0' });
    const [event] = eventsOf(line);
    expect(event).toMatchObject({ xid: 79, pid: 1234, at, uptimeSeconds: 12.5, trusted: true });
    expect(parseJournalEntry(line)).toMatchObject({ at, uptimeSeconds: 12.5, trusted: true });
  });

  test.each([
    [{ _TRANSPORT: 'kernel' }, true],
    [{ _TRANSPORT: 'kernel', SYSLOG_FACILITY: '3' }, false],
    [{ _TRANSPORT: 'syslog', SYSLOG_FACILITY: '0' }, false],
    [{ _TRANSPORT: 'stdout' }, false],
    [{ SYSLOG_FACILITY: '3' }, false],
    [{ _TRANSPORT: ['kernel', 'syslog'] }, false],
    [{}, 'unknown'],
  ])('who wrote it: %j gives %s', (fields, trusted) => {
    expect(parseJournalEntry(json({ MESSAGE: message, ...fields }))?.trusted).toBe(trusted);
  });

  test('what is no entry gives nothing', () => {
    for (const text of ['', '{', '[]', 'null', '1', '{}', '{"MESSAGE":null}', '"x"']) {
      const record = parseJournalEntry(text);
      expect(record === undefined || record.text === '').toBe(true);
    }
  });

  const exported = (...fields: readonly string[]) => [
    '__CURSOR=s=1',
    ...Object.entries(base).map(([name, value]) => `${name}=${value}`),
    ...fields,
    '',
  ];

  test('export', () => {
    const lines = [
      ...exported('_TRANSPORT=kernel', 'MESSAGE=something else'),
      ...exported('_TRANSPORT=kernel', `MESSAGE=${message}`),
    ];
    expect(sniffKernelLogFormat(lines).everyLine).toBe(true);
    expect(eventsOf(...lines)).toMatchObject([{ xid: 79, at, uptimeSeconds: 12.5, trusted: true }]);
  });

  test('export without the last empty line', () => {
    expect(eventsOf(...exported('_TRANSPORT=kernel', `MESSAGE=${message}`).slice(0, -1))).toHaveLength(1);
  });

  /** The field's name, its length in eight bytes (least significant first), then the bytes; read as UTF-8 like the rest of the file. */
  const binary = (text: string): readonly string[] => {
    const content = new TextEncoder().encode(text);
    const length = [content.length % 256, content.length >> 8, 0, 0, 0, 0, 0, 0];
    return ['MESSAGE', ...new TextDecoder().decode(Uint8Array.from([...length, ...content])).split('\n')];
  };

  test.each([message.length, 127, 128, 200, 256, 266, 522])(
    'export, a binary field of %d bytes',
    (length) => {
      const lines = exported('_TRANSPORT=kernel', ...binary(message.padEnd(length, '.')), 'PRIORITY=3');
      const [event, ...more] = eventsOf(...lines, ...exported('MESSAGE=NVRM: nothing'));
      expect(more).toEqual([]);
      expect(event).toMatchObject({ xid: 79, pid: 1234, processName: 'python3', at });
      // A length byte that is no text is lost when the file is read as text: then the end is a guess.
      expect(event?.trusted).toBe(length % 256 < 128 ? true : 'unknown');
    },
  );

  test.each([0, 100, 5_000])(
    'export, a binary field of several lines forges no field (%d more bytes)',
    (padding) => {
      const text = `${message}${'.'.repeat(padding)}\n_TRANSPORT=kernel\nSYSLOG_FACILITY=0`;
      const [event] = eventsOf(...exported('_TRANSPORT=stdout', ...binary(text)));
      expect(event?.xid).toBe(79);
      expect(event?.trusted).not.toBe(true);
    },
  );

  test('export, hostile binary fields end', () => {
    const endless = [
      '__CURSOR=1',
      '_TRANSPORT=kernel',
      'MESSAGE',
      '\x7f\x7f\x7f\0\0\0\0\0x',
      ...Array.from({ length: 30_000 }, () => 'y'),
      '',
    ];
    const started = performance.now();
    const records = recordsOf([...endless, ...exported(`MESSAGE=${message}`)]);
    expect(records.some(({ text }) => text === message)).toBe(true);
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

describe('what spans lines', () => {
  const loss = [
    'NVRM: The NVIDIA GPU 0000:b3:00.0',
    'NVRM: (PCI ID: 10de:26b5) installed in this system has',
    'NVRM: fallen off the bus and is not responding to commands.',
  ];
  const [first = '', second = '', third = ''] = loss;
  const indent = ' '.repeat(15);

  test.each([
    ['dmesg', [`[ 1843.308145] ${first}`, `${indent}${second}`, `${indent}${third}`]],
    ['dmesg, a time on each line', loss.map((line) => `[ 1843.308145] ${line}`)],
    ['syslog, bare continuation', [`Mar 26 12:33:30 host kernel: ${first}`, second, third]],
    ['syslog, a time on each line', loss.map((line) => `Mar 26 12:33:30 host kernel: ${line}`)],
    ['rsyslog escapes', [`Mar 26 12:33:30 host kernel: ${loss.join('#012')}`]],
    ['kmsg escapes', [`4,12,1843308145,-;${loss.join('\\x0a')}`]],
  ])('a bus loss at probe time is one event with its address: %s', (_, lines) => {
    expect(eventsOf(...lines)).toMatchObject([{ kind: 'bus-loss', pciAddress: '0000:b3:00', line: 1 }]);
  });

  test('deltas of dmesg -H build on each other', () => {
    const lines = ['[15jun 20:55] something', '[  +0,500000] else', `[  +2,000000] ${message}`];
    expect(sniffKernelLogFormat(lines).everyLine).toBe(true);
    expect(eventsOf(...lines)).toMatchObject([{ xid: 79, at: '2026-06-15T20:55:02.500Z', line: 3 }]);
  });

  test('a repeat counts for the line before it', () => {
    const [event, ...more] = eventsOf(
      `Apr  8 20:19:46 host kernel: ${message}`,
      'Apr  8 20:19:47 host last message repeated 3 times',
    );
    expect(more).toEqual([]);
    expect(event).toMatchObject({ xid: 79, line: 1 });
  });

  test('a repeat of another program’s line counts for nothing', () => {
    const [event] = eventsOf(
      `Apr  8 20:19:46 host kernel: ${message}`,
      'Apr  8 20:19:46 host cron[12]: something',
      'Apr  8 20:19:47 host cron[12]: last message repeated 3 times',
    );
    expect(event?.repeatCount).toBeUndefined();
  });

  test('versions of an API mismatch', () => {
    const lines = [
      '[  176.010840] NVRM: API mismatch: the client has the version 470.161.03, but',
      `${indent}NVRM: this kernel module has the version 470.103.01.  Please`,
      `${indent}NVRM: make sure that this kernel module and all NVIDIA driver`,
      `${indent}NVRM: components have the same version.`,
    ];
    expect(eventsOf(...lines)).toMatchObject([
      { kind: 'version-mismatch', decoded: { clientVersion: '470.161.03' }, line: 1 },
    ]);
  });

  test('lines indented alike are lines of their own', () => {
    expect(eventsOf(`    ${message}`, `    ${message}`)).toHaveLength(2);
  });

  test('boot time makes uptime absolute', () => {
    const [record] = recordsOf([`[   10.500000] ${message}`], { bootedAt: '2026-01-01T00:00:00.000Z' });
    expect(record).toMatchObject({ at: '2026-01-01T00:00:10.500Z', uptimeSeconds: 10.5 });
  });
});

describe('single records', () => {
  const bootedAt = '2026-01-01T00:00:00.000Z';

  test('/dev/kmsg with its KEY=value lines', () => {
    const record = parseKmsgRecord(`4,1,10500000,-;${message}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n`, {
      bootedAt,
    });
    expect(record).toMatchObject({ text: message, at: '2026-01-01T00:00:10.500Z', trusted: true });
  });

  test('/dev/kmsg escapes are bytes', () => {
    expect(parseKmsgRecord('4,1,1,-;a\\x5cb\\x0ac\\xc3\\xa9', {})?.text).toBe('a\\b\ncé');
  });

  test('syslog(2)', () => {
    expect(parsePrintkLine(`<4>[   10.500000] ${message}`, { bootedAt })).toMatchObject({
      text: message,
      at: '2026-01-01T00:00:10.500Z',
      uptimeSeconds: 10.5,
      trusted: true,
    });
    expect(parsePrintkLine(`<12>${message}`, {})).toMatchObject({ text: message, at: null, trusted: false });
  });

  test('what is no record gives nothing', () => {
    for (const text of ['', 'x', ';', '4,1', '4,1,1,-', '<', '<x>', ' KEY=value']) {
      expect(parseKmsgRecord(text, {})).toBeUndefined();
      expect(parsePrintkLine(text, {})).toBeUndefined();
    }
  });
});

describe('forgery', () => {
  test('a device that names itself like an error is not believed', () => {
    const [event] = eventsOf(`4,1,1,-;usb 1-1: Product: ${message}`);
    expect(event?.trusted).not.toBe(true);
  });
});

describe('journal records of early boot and of programs', () => {
  test('the time is when the record was written, not when journald took it in', () => {
    // Written 10 s after boot, taken in 230 s after boot at 12:03:50: written at 12:00:10.
    const entry = parseJournalEntry(
      JSON.stringify({
        __REALTIME_TIMESTAMP: String(Date.parse('2026-11-01T12:03:50Z') * 1000),
        __MONOTONIC_TIMESTAMP: '230000000',
        _SOURCE_MONOTONIC_TIMESTAMP: '10000000',
        _TRANSPORT: 'kernel',
        SYSLOG_FACILITY: '0',
        MESSAGE: 'NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.',
      }),
    );
    expect(entry).toMatchObject({ at: '2026-11-01T12:00:10.000Z', uptimeSeconds: 10, trusted: true });
  });

  test('a forged record whose first word journald took for a name is recognised, and not trusted', () => {
    const entry = parseJournalEntry(
      JSON.stringify({
        _TRANSPORT: 'kernel',
        SYSLOG_FACILITY: '1',
        SYSLOG_IDENTIFIER: 'NVRM',
        MESSAGE: 'Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.',
      }),
    );
    expect(entry).toMatchObject({
      text: 'NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.',
      trusted: false,
    });
  });
});
