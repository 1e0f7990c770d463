import { describe, expect, test } from 'vitest';
import { type ExpectedLine, readCorpus, type Snippet } from '../../fixtures/kernel-log/read.ts';
import { seededRandom } from '../../test/random.ts';
import type { KernelEvent } from '../domain/event.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import { createKernelLogLineReader, sniffKernelLogFormat } from './container.ts';
import { isKernelLogCandidate } from './needles.ts';
import { parseKernelEvent } from './parse.ts';

const nowMilliseconds = Date.UTC(2026, 9, 1);
const corpora = { xid: readCorpus('xid'), amdgpu: readCorpus('amdgpu'), intel: readCorpus('intel') };
const everything = Object.values(corpora).flat();

type Parse = typeof parseKernelEvent;

/** The events of a log as a file reader would get them: candidates only, unless the format needs every line. */
function eventsOf(raw: string, parse: Parse = parseKernelEvent): readonly KernelEvent[] {
  const lines = raw.split('\n');
  const { everyLine } = sniffKernelLogFormat(lines);
  const reader = createKernelLogLineReader({ nowMilliseconds, file: 'log' });
  const records = lines.flatMap((line, index) =>
    everyLine || isKernelLogCandidate(line) ? reader.push(line, index + 1) : [],
  );
  return [...records, ...reader.end()].flatMap((record) => parse(record) ?? []);
}

const isNumbered = ({ kind }: KernelEvent) => kind === 'xid' || kind === 'sxid';
const isEventLine = (line: ExpectedLine) => line.isXid || (line.isSXid && line.lineType === 'event');

/** Lines with a number that were missed or misread. */
function misread(snippets: readonly Snippet[], parse?: Parse): string[] {
  return snippets.flatMap((snippet) => {
    const events = eventsOf(snippet.raw, parse);
    return snippet.expect
      .filter((line) => isEventLine(line) && line.ambiguous !== true)
      .flatMap((line) => {
        const event = events.find((each) => each.line === line.line + 1 && isNumbered(each));
        const found = [
          event?.xid,
          event?.sxid,
          event?.pciAddress,
          event?.pid,
          event?.processName,
          event?.link,
        ];
        const wanted = [
          line.xid,
          line.sxid,
          pciDeviceKey(line.pciAddress) ?? null,
          line.pid ?? undefined,
          line.processName ?? undefined,
          line.isSXid ? line.link : event?.link,
        ];
        const isRight = found.every((value, index) => value === wanted[index]);
        return isRight ? [] : [`${snippet.id}:${line.line + 1} wants ${wanted.join()}, has ${found.join()}`];
      });
  });
}

/** Numbers reported where there are none. */
function invented(snippets: readonly Snippet[], parse?: Parse): string[] {
  return snippets.flatMap((snippet) =>
    eventsOf(snippet.raw, parse)
      .filter(isNumbered)
      .filter(({ line = 0 }) => {
        const told = snippet.expect[line - 1];
        return told === undefined || (told.ambiguous !== true && !isEventLine(told));
      })
      .map(({ line, xid, sxid }) => `${snippet.id}:${line} ${xid ?? ''}${sxid ?? ''}`),
  );
}

describe('public logs', () => {
  const real = everything.filter(
    ({ provenance, edited }) => (provenance === 'wild' || provenance === 'injected') && !edited,
  );

  test('hold what the tests think they hold', () => {
    const lines = real.flatMap(({ expect: lines }) => lines.filter(isEventLine));
    expect(everything.length).toBeGreaterThan(130);
    expect(lines.length).toBeGreaterThan(100);
  });

  test('every Xid and SXid of unedited logs is found and read right', () =>
    expect(misread(real)).toEqual([]));

  test('also of edited ones, documents and other projects’ fixtures', () =>
    expect(misread(everything)).toEqual([]));

  test('nothing else is taken for one', () => expect(invented(everything)).toEqual([]));

  const kinds: Readonly<Record<string, string>> = {
    'fallen-off-bus': 'bus-loss',
    'fallen-off-bus-multiline': 'bus-loss',
    'rm-init-failed': 'init-failure',
    'api-mismatch': 'version-mismatch',
    'iommu-fault': 'iommu-fault',
    'gsp-rate-limit': 'gsp-fault',
  };
  test.each(Object.entries(kinds))('%s is %s', (label, kind) => {
    const wrong = corpora.xid.flatMap((snippet) => {
      const events = eventsOf(snippet.raw);
      return snippet.expect
        .filter((line) => line.kind === label)
        .filter((line) => events.find((each) => each.line === line.line + 1)?.kind !== kind)
        .map((line) => `${snippet.id}:${line.line + 1}`);
    });
    expect(corpora.xid.some((snippet) => snippet.expect.some((line) => line.kind === label))).toBe(true);
    expect(wrong).toEqual([]);
  });

  test('identity lines give the UUID, unless it was cut', () => {
    for (const snippet of corpora.xid) {
      const events = eventsOf(snippet.raw);
      for (const { line, gpuUuid, pciAddress } of snippet.expect) {
        if (!gpuUuid || !/^GPU-[0-9a-f-]{36}$/.test(gpuUuid)) continue;
        expect(events.find((each) => each.line === line + 1)).toMatchObject({
          kind: 'gpu-identity',
          gpuUuid,
          pciAddress: pciDeviceKey(pciAddress),
        });
      }
    }
  });

  test('recovery actions of Xid 154 are read', () => {
    const lines = corpora.xid.flatMap((snippet) =>
      snippet.expect.flatMap((line) =>
        line.recoveryTo === undefined
          ? []
          : [{ line, event: eventsOf(snippet.raw).find((each) => each.line === line.line + 1) }],
      ),
    );
    expect(lines.length).toBeGreaterThan(5);
    for (const { line, event } of lines) {
      expect(event?.decoded).toMatchObject({
        recoveryFrom: line.recoveryFrom?.code,
        recoveryTo: line.recoveryTo?.code,
      });
    }
  });
});

describe('a fault in the parser is seen', () => {
  test('one that misses a number', () => {
    const blind: Parse = (record) => {
      const event = parseKernelEvent(record);
      return event?.xid === 45 ? undefined : event;
    };
    expect(misread(everything, blind).length).toBeGreaterThan(0);
  });

  test('one that reports dumps of an SXid', () => {
    const eager: Parse = (record) => {
      const event = parseKernelEvent(record);
      if (event || !record.text.includes('SXid (')) return event;
      const template = parseKernelEvent({
        ...record,
        text: 'NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.',
      });
      return template;
    };
    expect(invented(everything, eager).length).toBeGreaterThan(0);
  });
});

describe('hostile text', () => {
  const eventLines = corpora.xid.flatMap((snippet) =>
    snippet.expect
      .filter((line) => isEventLine(line) && line.ambiguous !== true)
      .map((line) => snippet.raw.split('\n')[line.line] ?? ''),
  );

  test('a line cut anywhere gives the same number, no number, or nothing', () => {
    for (const line of eventLines) {
      const [whole] = eventsOf(line).filter(isNumbered);
      const code = String(whole?.xid ?? whole?.sxid);
      for (let length = 0; length < line.length; length += 1) {
        for (const event of eventsOf(line.slice(0, length))) {
          if (isNumbered(event)) expect(code.startsWith(String(event.xid ?? event.sxid))).toBe(true);
        }
      }
    }
  });

  test('random bytes in and round a line never throw', () => {
    const random = seededRandom(20_260_101);
    const alphabet = [
      '\0',
      '\u001b[31m',
      '\ufffd',
      '\n',
      '\r',
      '[',
      ']',
      '(',
      ')',
      '{',
      '"',
      '\\x0a',
      '#012',
      '9',
      ' ',
      ':',
      ';',
      'é',
      '\u202e',
    ];
    for (let round = 0; round < 3_000; round += 1) {
      const line = random.pick(eventLines);
      const at = random.below(line.length);
      const noise = Array.from({ length: random.below(12) }, () => random.pick(alphabet)).join('');
      eventsOf(line.slice(0, at) + noise + line.slice(at + random.below(4)));
      eventsOf(Array.from({ length: 40 }, () => String.fromCharCode(random.below(0x250))).join(''));
    }
  });

  test.each([
    ['spaces', ' '],
    ['brackets', '['],
    ['open bracket and digits', '[1'],
    ['open brackets of an Xid', 'NVRM: Xid (PCI:'],
    ['Xids without an end', 'NVRM: Xid (PCI:0000:3b:00): '],
    ['names', 'name=a, '],
    ['words', 'NVRM: The NVIDIA GPU 0000:3b:00.0\n'],
    ['SXid heads', 'nvidia-nvswitch0: SXid (PCI:0000:05:00.0): '],
    ['hex words', '0x0 '],
    ['addresses', '0000:3b:00.0: '],
    ['tags', 'host kernel: '],
    ['uptimes', '[ 12.345678] '],
    ['repeats', 'message repeated 3 times: [ '],
    ['Kill', 'Out of memory: Killed process 1 ('],
    ['bus errors', '0000:3b:00.0: PCIe Bus Error: severity='],
    ['letters', 'a'],
    ['digits', '9'],
    ['JSON', '{"MESSAGE":['],
    ['loading', 'NVRM: loading NVIDIA UNIX '],
  ])('a line of one megabyte of %s takes linear time', (_, unit) => {
    const line = unit.repeat(Math.ceil(1_000_000 / unit.length));
    const started = performance.now();
    eventsOf(line);
    eventsOf(`NVRM: Xid (PCI:0000:3b:00): 31, ${line}`);
    eventsOf(`[    1.000000] Oct  3 14:17:32 host kernel: ${line.replaceAll('\n', ' ')}`);
    // Quadratic time over a megabyte would be minutes.
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  test('evidence is capped', () => {
    const [event] = eventsOf(`NVRM: Xid (PCI:0000:3b:00): 31, ${'x'.repeat(1_000_000)}`);
    expect(event?.xid).toBe(31);
    expect(event?.raw.length).toBeLessThanOrEqual(4_096);
  });

  test.each([
    'nvidia-nvswitch1: no SXid here',
    'NVRM: SXid (PCI:0000:3b:00): 79, GPU has fallen off the bus.',
    'NVRM: Xid: 31',
    'NVRM: Xid (43, pid: 5678): ROBUST_CHANNEL_RESETCHANNEL_VERIF_ERROR',
    'NVRM: Xid (PCI:0000:66:00): abc, pid=2280636',
    'NVRM: Xid (PCI:0000:66:00)',
    'NVRM: _kgspLogXid119: Note: Please also check logs above.',
    'NVRM: RPC sequence 119 was dropped',
    'NVRM: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED] (0x00000062) returned from status',
    'XidCriticalError: Xid=94 on Device=GPU-455e672a-0000-0000-0000-000000000000',
    'DCGM policy XID 95 triggered',
    'XID 95 Uncontained: FBHUB',
    'Xid 154 GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)',
    'channel 0x00000010 caused by previous Xid 149',
    'nvidia-peermem nv_get_p2p_free_callback:127 ERROR detected invalid context',
    'nouveau 0000:01:00.0: fifo: FAULT at 000000',
    'nvlddmkm event 153',
    'MTGPU: Guilty Lockup',
    'nvrm-nvlog: CwAAAAAECAAIAQQCAAAAAAAAAAAAdklRmGCSHamm5x7t02nF',
    'nvidia-nvswitch2: SXid (PCI:0000:07:00.0): 20034, Severity 1 Engine instance 60 Sub-engine instance 00',
    'nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Data {0x10000000, 0x10000000, 0x00000000}',
  ])('a lookalike: %s', (line) => {
    expect(eventsOf(`[   12.345678] ${line}`).filter(isNumbered)).toEqual([]);
  });
});
