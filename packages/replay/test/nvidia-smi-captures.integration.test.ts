import { readdirSync, readFileSync } from 'node:fs';
import { gpuSectionLeaves } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { parseSmi } from '../src/nvidia-smi/parse-smi.ts';
import type { CapturedGpu, SmiCapture } from '../src/recording.ts';
import { differences, type Expectation, readingOf } from './nvidia-smi-comparison.ts';
import { element, expectationsOf, gpusOf, mebibytes, number, same, yes } from './nvidia-smi-extraction.ts';

const folder = new URL('../fixtures/nvidia-smi/', import.meta.url);
const filesOf = (kind: string) => readdirSync(new URL(`${kind}/`, folder)).sort();
const load = (kind: string, file: string) => readFileSync(new URL(`${kind}/${file}`, folder), 'utf8');

function read(kind: string, file: string, text = load(kind, file)): SmiCapture {
  const capture = parseSmi(text, { file, firstLine: 1 });
  if (capture === undefined) throw new Error(`${kind}/${file} was not recognised`);
  return capture;
}

function compareXml(xml: string, capture: SmiCapture): readonly string[] {
  const gpus = gpusOf(xml);
  return [
    ...(gpus.length === capture.gpus.length ? [] : [`${gpus.length} GPUs, ${capture.gpus.length} read`]),
    ...capture.gpus.flatMap((gpu, index) => differences(gpu, expectationsOf(gpus[index] ?? ''))),
  ];
}

describe('every nvidia-smi -q -x capture says what its file says', () => {
  test.each(filesOf('qx'))('%s', (file) => {
    const xml = load('qx', file);
    const capture = read('qx', file);
    expect(capture.format).toBe('nvidia-smi -q -x');
    expect(capture.driverVersion).toBe(element(xml, 'driver_version') ?? null);
    expect(capture.attachedGpuCount).toBe(Number(element(xml, 'attached_gpus') ?? Number.NaN) || null);
    expect(compareXml(xml, capture)).toEqual([]);
    expect(capture.unread).toEqual([]);
    expect(capture.gpus.map(({ state }) => state)).toEqual(capture.gpus.map(() => undefined));
    const addresses = [...xml.matchAll(/<gpu id="0000(.*?)">/g)].map((match) => match[1]?.toLowerCase());
    expect(capture.gpus.map(({ ref }) => ref.pciAddress)).toEqual(addresses);
  });

  test('there is something to compare', () => {
    const all = filesOf('qx').flatMap((file) => gpusOf(load('qx', file)).flatMap(expectationsOf));
    expect(all.filter(({ is }) => is === 'value').length).toBeGreaterThan(1_500);
    expect(all.filter(({ is }) => is === 'absent').length).toBeGreaterThan(250);
  });

  test('planted faults: a changed value turns the comparison red', () => {
    const file = 'nvidia__qx-b200.xml';
    const xml = load('qx', file);
    const changes = [
      ['<remapped_row_pending>No<', '<remapped_row_pending>Yes<'],
      ['<replay_counter>0<', '<replay_counter>7<'],
      ['<dram_uncorrectable>0<', '<dram_uncorrectable>1<'],
      ['<current_link_width>16x<', '<current_link_width>8x<'],
      ['<current_mig>Disabled<', '<current_mig>Enabled<'],
    ] as const;
    for (const [from, to] of changes) {
      expect(xml).toContain(from);
      expect(compareXml(xml, read('qx', file, xml.replace(from, to))), to).not.toEqual([]);
    }
    // The other way about: the parser reads the file, the expectation changed.
    const withProcesses = load('qx', 'influxdata__tesla-t4.xml');
    const t4 = read('qx', 'influxdata__tesla-t4.xml');
    expect(compareXml(withProcesses.replace('<pid>', '<pid>1'), t4)).toHaveLength(1);
    expect(compareXml(xml.replace(/<gpu_temp>\d+ C/, '<gpu_temp>99 C'), read('qx', file))).toHaveLength(1);
  });

  test('each value is cited where it stands', () => {
    for (const file of filesOf('qx')) {
      const lines = load('qx', file).split('\n');
      for (const gpu of read('qx', file).gpus) {
        const at = (leaf: string) => lines[(gpu.citations[leaf]?.line ?? 0) - 1] ?? '';
        expect(at('identity.uuid')).toContain(gpu.ref.uuid ?? '?');
        expect(at('thermal.temperatureCelsius')).toContain('<gpu_temp>');
        const leaves = Object.entries(gpu.readings).flatMap(([section, values]) =>
          Object.keys(values).map((leaf) => `${section}.${leaf}`),
        );
        expect(leaves.filter((leaf) => gpu.citations[leaf] === undefined)).toEqual([]);
      }
    }
  });
});

/** Columns of `--query-gpu`, the leaf they are, and how far apart two moments of one run may be (a share of the value). */
const columns: readonly (readonly [string, string, ((text: string) => unknown)?, number?])[] = [
  ['name', 'identity.name', same],
  ['serial', 'identity.serial', same],
  ['uuid', 'identity.uuid', same],
  ['pcie.link.gen.max', 'pcie.maxGeneration'],
  ['pcie.link.gen.gpumax', 'pcie.deviceMaxGeneration'],
  ['pcie.link.width.current', 'pcie.currentLinkWidthLanes'],
  ['pcie.link.width.max', 'pcie.maxLinkWidthLanes'],
  ['persistence_mode', 'identity.persistenceModeEnabled', yes],
  ['addressing_mode', 'identity.addressingMode', (text) => text.toLowerCase()],
  ['accounting.mode', 'processes.accountingEnabled', yes],
  ['vbios_version', 'identity.vbiosVersion', same],
  ['inforom.img', 'identity.inforomVersion', same],
  ['inforom.oem', 'identity.inforomOemVersion', same],
  ['inforom.ecc', 'identity.inforomEccVersion', same],
  ['inforom.pwr', 'identity.inforomPowerVersion', same],
  ['gpu_recovery_action', 'recovery.action', (text) => text.toLowerCase()],
  ['fan.speed [%]', 'thermal.fanSpeedPercent', number, 0.2],
  ['pstate', 'clocks.performanceState', same],
  ['memory.total [MiB]', 'memory.totalBytes', mebibytes],
  ['memory.reserved [MiB]', 'memory.reservedBytes', mebibytes],
  ['memory.used [MiB]', 'memory.usedBytes', mebibytes, 0.2],
  ['compute_mode', 'identity.computeMode', (text) => text.toLowerCase()],
  ['ecc.mode.current', 'ecc.enabled', yes],
  ['ecc.mode.pending', 'ecc.pendingEnabled', yes],
  ['ecc.errors.corrected.volatile.total', 'ecc.correctableVolatileCount'],
  ['ecc.errors.corrected.aggregate.total', 'ecc.correctableAggregateCount'],
  ['ecc.errors.uncorrected.volatile.total', 'ecc.uncorrectableVolatileCount'],
  ['ecc.errors.uncorrected.aggregate.total', 'ecc.uncorrectableAggregateCount'],
  ['ecc.errors.corrected.volatile.sram', 'ecc.sramCorrectableVolatileCount'],
  ['ecc.errors.uncorrected.aggregate.sram', 'ecc.sramUncorrectableAggregateCount'],
  ['ecc.errors.uncorrected.aggregate.sram.thresholdExceeded', 'ecc.sramThresholdExceeded', yes],
  ['ecc.errors.uncorrected.aggregate.sram.l2', 'ecc.sramUncorrectableL2AggregateCount'],
  ['retired_pages.single_bit_ecc.count', 'rowRemap.singleBitRetiredPageCount'],
  ['retired_pages.double_bit.count', 'rowRemap.doubleBitRetiredPageCount'],
  ['retired_pages.pending', 'rowRemap.retiredPagesPending', yes],
  ['remapped_rows.correctable', 'rowRemap.correctableRowCount'],
  ['remapped_rows.uncorrectable', 'rowRemap.uncorrectableRowCount'],
  ['remapped_rows.pending', 'rowRemap.pending', yes],
  ['remapped_rows.failure', 'rowRemap.failureOccurred', yes],
  ['temperature.gpu', 'thermal.temperatureCelsius', number, 0.1],
  ['temperature.gpu.tlimit', 'thermal.marginCelsius', number, 0.1],
  ['temperature.memory', 'thermal.memoryTemperatureCelsius', number, 0.1],
  ['power.draw.average [W]', 'power.averageDrawWatts', number, 0.3],
  ['power.draw.instant [W]', 'power.instantDrawWatts', number, 0.5],
  ['power.limit [W]', 'power.requestedLimitWatts'],
  ['enforced.power.limit [W]', 'power.enforcedLimitWatts'],
  ['power.default_limit [W]', 'power.defaultLimitWatts'],
  ['power.min_limit [W]', 'power.minLimitWatts'],
  ['power.max_limit [W]', 'power.maxLimitWatts'],
  ['clocks.current.memory [MHz]', 'clocks.memoryClockMegahertz', number, 0.5],
  ['clocks.applications.graphics [MHz]', 'clocks.applicationGraphicsClockMegahertz'],
  ['clocks.max.graphics [MHz]', 'clocks.maxGraphicsClockMegahertz'],
  ['clocks.max.sm [MHz]', 'clocks.maxSmClockMegahertz'],
  ['clocks.max.memory [MHz]', 'clocks.maxMemoryClockMegahertz'],
  ['mig.mode.current', 'mig.enabled', yes],
  ['mig.mode.pending', 'mig.pendingEnabled', yes],
  ['fabric.cliqueId', 'fabric.cliqueId'],
  ['fabric.state', 'fabric.state', (text) => text.toLowerCase()],
];

/**
 * Where the two forms of one driver disagree: for a GPU without ECC `-q` prints N/A and `--query-gpu` zeros. A zero is not a reading
 * of a counter that does not exist, so N/A it is.
 */
const withoutEcc = new Set(['ecc.sramThresholdExceeded', 'ecc.sramUncorrectableL2AggregateCount']);

/** The tool quotes nothing and separates by a comma and a blank. */
function rowOf(csv: string): ReadonlyMap<string, string> {
  const [head = '', row = ''] = csv.split('\n').map((line) => line.trimEnd().split(', '));
  return new Map((head as readonly string[]).map((name, position) => [name, row[position] ?? '']));
}

function compareCsv(
  csv: string,
  gpu: CapturedGpu,
): { readonly found: readonly string[]; readonly compared: number } {
  const row = rowOf(csv);
  const expectations = columns.flatMap(([column, leaf, decode = number, within]): Expectation[] => {
    const text = row.get(column);
    if (text === undefined) return [];
    if (withoutEcc.has(leaf) && row.get('ecc.mode.current') === '[N/A]') return [{ leaf, is: 'none' }];
    if (/^\[?(?:N\/A|Requested functionality has been deprecated)\]?$/.test(text))
      return [{ leaf, is: 'none' }];
    return [{ leaf, is: 'value', value: decode(text), ...(within === undefined ? {} : { within }) }];
  });
  return { found: differences(gpu, expectations), compared: expectations.length };
}

const pairs = filesOf('query-gpu-csv').map((file) => file.replace(/\.csv$/, ''));

describe('the text form agrees with --query-gpu of the same machine and run', () => {
  test.each(pairs)('%s', (stem) => {
    const capture = read('q', `${stem}.txt`);
    const row = rowOf(load('query-gpu-csv', `${stem}.csv`));
    expect(capture.driverVersion).toBe(row.get('driver_version') ?? row.get('kmd_version'));
    const [gpu] = capture.gpus;
    if (gpu === undefined) throw new Error('no GPU');
    const { found, compared } = compareCsv(load('query-gpu-csv', `${stem}.csv`), gpu);
    expect(found).toEqual([]);
    expect(compared).toBeGreaterThan(50);
  });

  test('planted faults: another limit, another count, another mode', () => {
    const stem = 'linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01__idle';
    const csv = load('query-gpu-csv', `${stem}.csv`);
    const text = load('q', `${stem}.txt`);
    const changes = [
      [/Default Power Limit( +): 700/, 'Default Power Limit$1: 650'],
      [/SRAM Threshold Exceeded( +): No/, 'SRAM Threshold Exceeded$1: Yes'],
      [/Uncorrectable Error( +): 0/, 'Uncorrectable Error$1: 1'],
    ] as const;
    for (const [from, to] of changes) {
      expect(text).toMatch(from);
      const [gpu] = read('q', `${stem}.txt`, text.replace(from, to)).gpus;
      if (gpu === undefined) throw new Error('no GPU');
      expect(compareCsv(csv, gpu).found, to).toHaveLength(1);
    }
  });
});

describe('every other capture is read', () => {
  const kinds = ['q', 'table', 'errors', 'L'] as const;
  const all = kinds.flatMap((kind) => filesOf(kind).map((file) => [kind, file] as const));

  test.each(all)('%s/%s', (kind, file) => {
    const text = load(kind, file);
    if (file === 'stas00-2.txt') {
      // Links, not GPUs: somebody else reads them.
      expect(parseSmi(text, { file, firstLine: 1 })).toBeUndefined();
      return;
    }
    const capture = read(kind, file);
    const uuids = [...text.matchAll(/GPU-[0-9a-f-]{36}/g)].map(([uuid]) => uuid);
    if (uuids.length > 0) expect(capture.gpus.map(({ ref }) => ref.uuid)).toEqual(uuids);
    if (capture.failure === undefined) expect(capture.gpus.length).toBeGreaterThan(0);
    expect(capture.unread.filter(({ part }) => part !== 'lines that were left out')).toEqual([]);
    expect(capture.gpus.map(({ state }) => state)).toEqual(capture.gpus.map(() => undefined));
  });

  test('the processes and MIG devices of the text are those of the table of the same run', () => {
    const stems = filesOf('table').filter((file) => filesOf('q').includes(file));
    expect(stems.length).toBeGreaterThan(4);
    for (const file of stems) {
      const [fromText] = read('q', file).gpus;
      const [fromTable] = read('table', file).gpus;
      for (const leaf of ['mig.devices', 'mig.enabled', 'memory.totalBytes', 'power.enforcedLimitWatts']) {
        expect(readingOf(fromTable, leaf), `${file} ${leaf}`).toEqual(readingOf(fromText, leaf));
      }
      const pids = (gpu: CapturedGpu | undefined) =>
        gpu?.readings.processes?.running?.map(({ pid, kinds }) => [pid, kinds]);
      expect(pids(fromTable), file).toEqual(pids(fromText));
    }
  });
});

/** What `nvidia-smi -q` does not print in either form. Sections without a dot: nothing of them. */
const neverPrinted = [
  'identity.computeCapability',
  'identity.coreCount',
  'identity.memoryBusWidthBits',
  'identity.gspFirmwareEnabled',
  'thermal.fans',
  'power.energyJoules',
  'clocks.supportedEventReasons',
  'violations.boardLimitMicroseconds',
  'violations.lowUtilizationMicroseconds',
  'violations.reliabilityMicroseconds',
  'violations.applicationClocksMicroseconds',
  'violations.baseClocksMicroseconds',
  'profiling',
  'pcie.currentSpeedMegatransfersPerSecond',
  'pcie.maxSpeedMegatransfersPerSecond',
  'pcie.linkRecoveryCount',
  'pcie.correctableErrorCount',
  'pcie.nonFatalErrorCount',
  'pcie.fatalErrorCount',
  'pcie.unsupportedRequestCount',
  'pcie.badTlpCount',
  'pcie.badDllpCount',
  'pcie.lcrcErrorCount',
  'pcie.laneErrorCount',
  'pcie.receiverErrorCount',
  'pcie.naksSentCount',
  'pcie.naksReceivedCount',
  'nvlink',
  'topology',
  'mig.maxDeviceCount',
  'mig.profiles',
  'events',
];

test.each(['q', 'qx'])('%s: every leaf that is printed is found in some capture', (kind) => {
  const found = new Set(
    filesOf(kind).flatMap((file) => read(kind, file).gpus.flatMap(({ citations }) => Object.keys(citations))),
  );
  const all = Object.entries(gpuSectionLeaves).flatMap(([section, leaves]) =>
    leaves.map((leaf) => `${section}.${leaf}`),
  );
  const isExpected = (leaf: string) =>
    !neverPrinted.includes(leaf) && !neverPrinted.includes(leaf.split('.')[0] ?? '');
  // Only the XML lists processes that have ended.
  const expected = all.filter(
    (leaf) => isExpected(leaf) && !(kind === 'q' && leaf === 'processes.accounted'),
  );
  expect([...found].sort()).toEqual(expected.sort());
});
