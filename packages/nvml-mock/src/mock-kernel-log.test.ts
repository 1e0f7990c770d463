import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import { createMockKernelLog, createMockProvider, type MockScenarioName, mockScenarios } from './index.ts';

const signal = new AbortController().signal;
const start = '2026-03-04T05:06:07.000Z';
const read = (scenario: MockScenarioName, since?: string) =>
  createMockKernelLog({ scenario, clock: fixedClock(start) }).read(
    since === undefined ? { signal } : { signal, since },
  );

const device = '[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}';
const process = "(?:pid=(?:\\d+|'<unknown>'), name=[^,]{1,15}, )";
const recovery = '0x\\d \\((?:None|GPU Reset Required|Node Reboot Required|Drain P2P|Drain and Reset)\\)';

/**
 * What may follow the number of each Xid, and the other lines, as the driver prints them.
 * Source: print formats of open-gpu-kernel-modules 515 to 595 and public logs.
 */
const xidForms: Readonly<Record<string, RegExp>> = {
  8: new RegExp(`^${process}(?:Ch [0-9a-f]{8}|channel 0x[0-9a-f]{8})$`),
  31: new RegExp(
    `^${process}channel 0x[0-9a-f]{8}, intr [0-9a-f]{8}\\. MMU Fault: ENGINE [A-Z0-9_]+ (?:GPC\\d )?[A-Z0-9_]+ faulted @ 0x[0-9a-f]+_[0-9a-f]{8}\\. Fault is of type FAULT_[A-Z_]+ ACCESS_TYPE_[A-Z_]+$`,
  ),
  43: new RegExp(`^${process}(?:Ch [0-9a-f]{8}|channel 0x[0-9a-f]{8})$`),
  45: new RegExp(`^${process}(?:Ch [0-9a-f]{8}|channel 0x[0-9a-f]{8})$`),
  48: new RegExp(
    `^${process}?An uncorrectable double bit error \\(DBE\\) has been detected on GPU in the framebuffer at (?:physAddr 0x[0-9a-f]+ )?partition \\d+, subpartition \\d+\\.$`,
  ),
  63: new RegExp(
    `^${process}?(?:Row Remapper: New row \\(0x[0-9a-f]{16}\\) marked for remapping, reset gpu to activate\\.|Dynamic Page Retirement: New retired page, reload the driver to activate\\. \\(0x[0-9a-f]{16}\\))$`,
  ),
  64: /^Row Remapper Error: \(0x[0-9a-f]{16}\) - (?:Row Remapping table is full|All reserved rows for bank are remapped)$/,
  74: /^NVLink: fatal error detected on link \d+\(0x[0-9a-f]+(?:, 0x[0-9a-f]+){6}\)$/,
  79: new RegExp(`^${process}?GPU has fallen off the bus\\.$`),
  94: new RegExp(
    `^${process}Contained: [^(]+ \\(0x[0-9a-f]+\\)\\. (?:physAddr: 0x[0-9a-f]{8,} )?RST: (?:Yes|No), D-RST: (?:Yes|No)$`,
  ),
  119: new RegExp(
    `^${process}Timeout after \\d+s of waiting for RPC response from GPU\\d GSP! Expected function \\d+ \\([A-Z_]+\\) (?:sequence \\d+ )?\\(0x[0-9a-f]+ 0x[0-9a-f]+\\)\\.$`,
  ),
  154: new RegExp(`^GPU recovery action changed from ${recovery} to ${recovery}$`),
};
const otherForms: readonly RegExp[] = [
  /^NVRM: loading NVIDIA UNIX (?:Open Kernel Module for x86_64|x86_64 Kernel Module) {2}\d+\.\d+(?:\.\d+)? {2}\S/,
  new RegExp(`^NVRM: GPU at PCI:${device}: GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
  /^NVRM: GPU Board Serial Number: \d{13}$/,
  new RegExp(`^NVRM: GPU ${device}\\.0: GPU (?:has fallen off the bus|serial number is \\d{13})\\.$`),
  /^NVRM: A GPU crash dump has been created\. If possible, please run\nNVRM: nvidia-bug-report\.sh .*\nNVRM: the NVIDIA kernel module is unloaded\.$/,
  new RegExp(
    `^pcieport ${device}\\.[0-7]: AER: Uncorrectable \\((?:Fatal|Non-Fatal)\\) error (?:message )?received from ${device}\\.[0-7]$`,
  ),
  new RegExp(`^nvidia ${device}\\.[0-7]: AER: can't recover \\(no error_detected callback\\)$`),
  /^NVRM: GPU\d GSP RPC buffer contains function \d+ \([A-Z_]+\) and data 0x[0-9a-f]{16} 0x[0-9a-f]{16}\.$/,
  new RegExp(
    `^NVRM: Rate limiting GSP RPC error prints for GPU at PCI:${device} \\(printing 1 of every \\d+\\)\\. {2}The GPU likely needs to be reset\\.$`,
  ),
  /^INFO: task \S{1,15}:\d+ blocked for more than \d+ seconds\.$/,
  /^ {6}Tainted: [A-Z ]+ \d+\.\d+\.\d+-\d+-generic #\d+-Ubuntu$/,
  /^task:\S{1,15} +state:D stack:\d+ +pid:\d+ tgid:\d+ ppid:\d+ +flags:0x[0-9a-f]{8}$/,
  /^ nvidia_unlocked_ioctl\+0x[0-9a-f]+\/0x[0-9a-f]+ \[nvidia\]$/,
  /^NVRM: krcWatchdog_IMPL: RC watchdog: GPU is probably locked! {2}Notify Timeout Seconds: \d+$/,
];

const xidLine = new RegExp(`^NVRM: Xid \\(PCI:(${device})\\): (\\d+), (.*)$`);

function followsGrammar(text: string): boolean {
  const [, , number = '', detail = ''] = xidLine.exec(text) ?? [];
  return number === ''
    ? otherForms.some((form) => form.test(text))
    : (xidForms[number]?.test(detail) ?? false);
}

const xidsOf = async (scenario: MockScenarioName) =>
  (await read(scenario)).records.flatMap((record) => xidLine.exec(record.text)?.[2] ?? []).map(Number);

describe('lines are spelled as the driver spells them', () => {
  test.each(mockScenarios.map(({ name }) => name))('%s', async (name) => {
    const { records } = await read(name);
    expect(records.map((record) => record.text).filter((text) => !followsGrammar(text))).toEqual([]);
  });

  test.each([
    'NVRM: Xid (PCI:0000:61:00.0): 79, GPU has fallen off the bus.',
    'NVRM: Xid (PCI:0000:61:00): 74, NVLink: fatal error detected on link 6',
    'NVRM: Xid (PCI:0000:61:00): 31, MMU fault',
    'NVRM: something new',
  ])('the grammar refuses %s', (text) => {
    expect(followsGrammar(text)).toBe(false);
  });
});

test.each<readonly [MockScenarioName, readonly number[]]>([
  ['healthy-8xh100', []],
  ['fallen-off-bus', [79, 154]],
  ['ecc-uncorrectable', [48, 63, 94, 45]],
  ['row-remap-failed', [48, 64, 154]],
  ['retired-pages', [48, 63]],
  ['thermal-throttle', []],
  ['nvlink-down', [74]],
  ['gsp-timeout', [119, 119, 119]],
  ['gsp-storm', [...Array.from({ length: 36 }, () => 119), 154]],
  ['application-page-fault', [31, 43]],
  ['power-brake', []],
  ['stuck-process', []],
  ['recovered-by-reset', [119, 154, 154]],
  ['hung-driver', [8]],
  ['mig', []],
  ['vbios-drift', []],
  ['memory-held-by-nobody', []],
  ['straggler', []],
  ['mixed-faults', [63, 94, 154, 79, 154]],
])('%s logs Xid %j', async (scenario, xids) => {
  expect(await xidsOf(scenario)).toEqual(xids);
});

describe.each(mockScenarios.map(({ name }) => name))('%s', (scenario) => {
  test('records are trusted, in order, before the start, and agree in all their clocks', async () => {
    const { records, coverage } = await read(scenario);
    const bootedAt = Date.parse(coverage.from ?? '');
    let previous = bootedAt;
    for (const { at, uptimeSeconds, trusted, raw, text } of records) {
      const time = Date.parse(at ?? '');
      expect(trusted).toBe(true);
      expect(time).toBeGreaterThanOrEqual(previous);
      expect(time).toBeLessThan(Date.parse(start));
      expect(time).toBe(Math.floor(bootedAt + (uptimeSeconds ?? 0) * 1000));
      const [, microseconds, message] = /^[345],\d+,(\d+),-;([^\n]*)$/.exec(raw) ?? [];
      expect(Number(microseconds)).toBe(Math.round((uptimeSeconds ?? 0) * 1e6));
      expect(message?.replaceAll('\\x0a', '\n')).toBe(text);
      previous = time;
    }
    expect(coverage).toMatchObject({ source: 'mock', readable: true, to: records.at(-1)?.at });
  });

  test('names the GPUs of the provider with the same seed', async () => {
    const options = { scenario, clock: fixedClock(start), seed: 3 };
    const { gpus } = await createMockProvider(options).describeNode(signal);
    const { records } = await createMockKernelLog(options).read({ signal });
    const known = new Set(gpus.flatMap((gpu) => gpu.pciAddress?.slice(0, -2) ?? []));
    const named = records.flatMap((record) => xidLine.exec(record.text)?.[1] ?? []);
    const lostCount = gpus.filter((gpu) => gpu.pciAddress === null).length;
    expect(new Set(named.filter((address) => !known.has(address))).size).toBe(lostCount);
  });
});

test('since leaves out what is older', async () => {
  const all = (await read('mixed-faults')).records;
  const recent = (await read('mixed-faults', '2026-03-04T04:30:00.000Z')).records;
  expect(recent.length).toBeGreaterThan(0);
  expect(recent.length).toBeLessThan(all.length);
  expect(recent.every((record) => (record.at ?? '') >= '2026-03-04T04:30:00.000Z')).toBe(true);
});

test('an aborted read is cut off', async () => {
  const log = createMockKernelLog({ scenario: 'mig', clock: fixedClock(start) });
  await expect(log.read({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'TIMEOUT' });
});
